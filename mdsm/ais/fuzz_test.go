package ais

import (
	"bytes"
	"path/filepath"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/mdsm/hmc"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
	"ebm/runtime/parallel"
)

// FuzzState reads any bytes as a kept state: they are refused, or are a state of
// the right shapes.
func FuzzState(f *testing.F) {
	layout := parallel.Layout{Shape: []int{2}, Size: 3, Workers: 1}
	group := func() *chainGroup {
		set := Cheap()
		set.Distributions = 5
		return &chainGroup{Estimator: &Estimator{layout: layout, set: set}, used: 2}
	}
	sum := make([]byte, 32)
	c := group()
	c.logW, c.atModel, c.done = make([]float64, 3), tensor.New(tensor.Float32, 3), 2
	c.state = hmc.State{X: layout.New(), Score: layout.New(), Energy: tensor.New(tensor.Float32, 3), Reference: tensor.New(tensor.Float32, 3)}
	for _, done := range []int{2, 5} {
		c.done = done
		path := filepath.Join(f.TempDir(), "state.npz")
		if err := (store{State: samples.State{Path: path}, sum: sum}).save(c); err != nil {
			f.Fatal(err)
		}
		data := testkit.Read(f, path)
		f.Add(data)
	}
	var b bytes.Buffer
	if err := npz.Write(&b, map[string]*tensor.Tensor{"done": tensor.Of([]int64{-1}, 1), "log_w": tensor.New(tensor.Float64, 4)},
		npz.Store); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "any.npz")
		testkit.Write(t, path, data)
		s := store{State: samples.State{Path: path}, sum: sum}
		c := group()
		ok, err := s.load(c)
		if err != nil {
			t.Fatal(err)
		}
		if ok && (c.done < 0 || c.done > 5 || len(c.logW) != 3 || c.atModel.Len() != 3 || c.done < 5 && c.state.X.Len() != 6) {
			t.Errorf("a state of %d steps with %v is taken", c.done, c.state)
		}
		if _, err := s.loadSteps(6); err != nil {
			t.Fatal(err)
		}
	})
}
