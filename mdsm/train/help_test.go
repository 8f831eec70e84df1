package train_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/rng"
)

// tiny is a run of some milliseconds a step, with everything that a step can
// have: mirror images and averaged weights.
func tiny() (train.Settings, *dataset.Set) {
	s, err := train.Preset("demo")
	if err != nil {
		panic(err)
	}
	s.Preset, s.Steps, s.Batch, s.Seed = "", 30, 4, 7
	s.Data.Size, s.Data.Flip = 8, true
	s.Net.Name, s.Net.Dim, s.Net.Channels = "res6", 2, 1
	s.Optimiser.EMA = 0.9
	s.Output = train.OutputSettings{CheckpointEvery: 6, LogEvery: 3}
	set := &dataset.Set{Name: "mnist", Channels: 1, Height: 8, Width: 8, Pixels: make([]uint8, 11*64)}
	source := rng.New(3)
	for i := range set.Pixels {
		set.Pixels[i] = uint8(source.IntN(256, rng.Probe, uint64(i), 0))
	}
	return s, set
}

// loop is what Train makes of settings.
func loop(s train.Settings, dir string) train.Loop {
	return train.Loop{
		Steps: s.Steps, LearningRate: s.Optimiser.LearningRate, Dir: dir, CheckpointEvery: s.Output.CheckpointEvery,
		KeepCheckpoints: s.Output.KeepCheckpoints, LogEvery: s.Output.LogEvery,
	}
}

// problem makes the problem of the settings, with a hook before every step.
func problem(t *testing.T, s train.Settings, data *dataset.Set, before func(step int)) train.Problem {
	t.Helper()
	p, err := train.NewProblem(s, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	fill := p.Fill
	p.Fill = func(step int) {
		fill(step)
		before(step)
	}
	return p
}

// steps returns the steps of a run's checkpoints.
func steps(t *testing.T, dir string) []int {
	t.Helper()
	list, err := train.Checkpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	var n []int
	for _, c := range list {
		n = append(n, c.Step)
	}
	return n
}

// sameState compares the last checkpoints of two runs, byte for byte.
func sameState(t *testing.T, what, got, want string) {
	t.Helper()
	for _, file := range []string{"model.safetensors", "state.safetensors"} {
		a, b := content(t, got, file), content(t, want, file)
		if !bytes.Equal(a, b) {
			t.Errorf("%s: %s differs from that of the uninterrupted run", what, file)
		}
	}
}

func content(t *testing.T, dir, file string) []byte {
	t.Helper()
	c, err := train.Newest(dir)
	if err != nil {
		t.Fatal(err)
	}
	b := testkit.Read(t, c.Dir, file)
	return b
}

// line is what is read back of a line of metrics.
type line struct {
	Step         int     `json:"step"`
	Loss         float64 `json:"loss"`
	GradNorm     float64 `json:"grad_norm"`
	LearningRate float64 `json:"learning_rate"`
}

func readMetrics(t *testing.T, dir string) []line {
	t.Helper()
	b := testkit.Read(t, dir, "metrics.jsonl")
	var list []line
	for text := range strings.Lines(string(b)) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		list = append(list, l)
	}
	return list
}
