package ais

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"

	"ebm/internal/npz"
	"ebm/mdsm/hmc"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

// store is the file that keeps the state of a group, or the step sizes:
// DIR/ais-KEY/forward-000000.npz, with a key that holds all settings. Without a
// folder nothing is kept.
type store struct {
	samples.State
	sum []byte // SHA-256 of the points that the group begins with
}

func (e *Estimator) open(name string, sum []byte) store {
	s := store{State: samples.State{Log: e.log}, sum: sum}
	if e.Dir != "" {
		s.Path = filepath.Join(e.Dir, "ais-"+e.Key(), name+".npz")
	}
	return s
}

func (e *Estimator) stepStore() store { return e.open("steps", nil) }

// store returns that of a group which begins with x [Size …].
func (c *chainGroup) store(x *tensor.Tensor) store {
	h := sha256.New()
	fmt.Fprintln(h, c.used)
	// Writing to a hash does not fail.
	_ = npz.WriteElements(h, x)
	return c.open(fmt.Sprintf("%s-%06d", c.direction, c.group), h.Sum(nil))
}

func (s store) saveSteps(steps []float64) error {
	return s.Write(map[string]*tensor.Tensor{"step_size": tensor.Of(steps, len(steps))})
}

// loadSteps returns n step sizes, nil when there are none.
func (s store) loadSteps(n int) ([]float64, error) {
	arrays, err := s.Read()
	if arrays == nil || err != nil {
		return nil, err
	}
	t := arrays["step_size"]
	if !fits(t, tensor.Float64, n) || slices.ContainsFunc(t.Float64s(), func(v float64) bool { return !(v > 0) }) {
		s.Reject(s.Path + " does not hold the step sizes")
		return nil, nil
	}
	return t.Float64s(), nil
}

// save keeps the state of a group; of one that is done, only the results.
func (s store) save(c *chainGroup) error {
	arrays := map[string]*tensor.Tensor{
		"start_sha256": tensor.Of(slices.Clone(s.sum), len(s.sum)), "done": tensor.Of([]int64{int64(c.done)}, 1),
		"log_w": tensor.Of(c.logW, len(c.logW)), "accepted": tensor.Of([]float64{c.accepted}, 1), "energy_at_model": c.atModel,
	}
	if c.done < c.set.Distributions {
		arrays["x"], arrays["energy"], arrays["reference"], arrays["score"] = c.state.X, c.state.Energy, c.state.Reference, c.state.Score
	}
	return s.Write(arrays)
}

// load goes on with the state that was kept, if there is one of these points.
func (s store) load(c *chainGroup) (bool, error) {
	a, err := s.Read()
	if a == nil || err != nil {
		return false, err
	}
	n := c.layout.Size
	x := append([]int{n}, c.layout.Shape...)
	sound := fits(a["start_sha256"], tensor.Uint8, len(s.sum)) && fits(a["done"], tensor.Int64, 1) && fits(a["log_w"], tensor.Float64, n) &&
		fits(a["accepted"], tensor.Float64, 1) && fits(a["energy_at_model"], tensor.Float32, n)
	if sound && !bytes.Equal(tensor.Data[uint8](a["start_sha256"]), s.sum) {
		return false, nil // chains of other points, or another number of them
	}
	done := 0
	if sound {
		done = int(tensor.Data[int64](a["done"])[0])
		sound = done >= 0 && done <= c.set.Distributions
	}
	if sound && done < c.set.Distributions {
		sound = fits(a["x"], tensor.Float32, x...) && fits(a["score"], tensor.Float32, x...) && fits(a["energy"], tensor.Float32, n) &&
			fits(a["reference"], tensor.Float32, n)
	}
	if !sound {
		s.Reject(s.Path + " does not hold a state of these chains")
		return false, nil
	}
	c.done, c.logW, c.atModel = done, tensor.Data[float64](a["log_w"]), a["energy_at_model"]
	c.accepted = tensor.Data[float64](a["accepted"])[0]
	c.state = hmc.State{X: a["x"], Energy: a["energy"], Reference: a["reference"], Score: a["score"]}
	return true, nil
}

// fits reports whether a tensor is there and of this type and shape.
func fits(t *tensor.Tensor, dtype tensor.DType, shape ...int) bool {
	return t != nil && t.DType() == dtype && slices.Equal(t.Shape(), shape)
}
