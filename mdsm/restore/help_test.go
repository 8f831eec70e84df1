package restore

import (
	"testing"

	"ebm/export/session"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// sampler returns that of an operator through a network.
func sampler(t testing.TB, n energy.Network, w energy.Weights, a *Operator, sigma0 float64, threads int) *Sampler {
	t.Helper()
	return samplerOn(t, testkit.Open(t, threads), n, w, a, sigma0, false)
}

// samplerOn is sampler on a runtime. With device, chains go through the models of devices;
// where the CPU computes, what a device would hold is held in the host.
func samplerOn(t testing.TB, rt *runtime.Runtime, n energy.Network, w energy.Weights, a *Operator, sigma0 float64, device bool) *Sampler {
	t.Helper()
	files, err := NewFiles(n, w, a, sigma0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(rt, files, a, sigma0)
	if err != nil {
		t.Fatal(err)
	}
	if device {
		s.device = session.NewModels(rt, files.Fixed)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// matrix returns an operator of rows for points.
func matrix(t testing.TB, rows ...[]float64) *Operator {
	t.Helper()
	var all []float64
	for _, r := range rows {
		all = append(all, r...)
	}
	a, err := FromMatrix("matrix", tensor.Of(all, len(rows), len(rows[0])), []int{len(rows[0])})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// eq8 returns n steps of eq. (8) at temperature 1 after some that fall to it.
func eq8(stepSize float64, hot []float64, n int) []mdsm.Update {
	var list []mdsm.Update
	for _, t := range hot {
		list = append(list, mdsm.Update{StepSize: stepSize, Temperature: t})
	}
	for range n {
		list = append(list, mdsm.Update{StepSize: stepSize, Temperature: 1})
	}
	return list
}

// random returns numbers of a seed.
func random(seed uint64, n int) []float64 {
	out := make([]float32, n)
	rng.New(seed).Normal(out, rng.Probe, 0, 0)
	return tensor.Of(out, n).Float64s()
}

// stopping cancels a run after so many units.
type stopping struct {
	cancel func()
	after  int64
}

func (s stopping) Stage(string, int64, string) progress.Stage { return &stoppingStage{stopping: s} }

type stoppingStage struct {
	progress.Silent
	stopping
	done int64
}

func (s *stoppingStage) Add(n int64) {
	if s.done += n; s.done >= s.after {
		s.cancel()
	}
}
