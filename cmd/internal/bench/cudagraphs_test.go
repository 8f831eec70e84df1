//go:build device

package bench

import (
	"testing"

	"ebm/models/tensor"
	"ebm/runtime"
)

// With CUDA graphs, the first step of each of the two places is captured, and every later one is
// one launch of a graph; what crosses is the same. What a graph computes a device must show.
func TestCUDAGraphs(t *testing.T) {
	rt, err := runtime.Open(t.Context(), runtime.Config{Provider: runtime.CUDA, Choices: runtime.Elu.With(runtime.Graphs, true)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	const batch = 4
	run := func(w *Work) counters {
		before := seenSoFar(t)
		if _, err := w.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return since(t, before)
	}

	spec := tiny(t, Train, batch)
	spec.Settings = spec.Settings.ShardsFor(rt.Info())
	w := ready(t, rt, spec) // makes a step
	x := uint64(4 * batch * tensor.Volume(spec.Settings.Network().InputShape()))
	up := 2*x + 4*batch + 4 + 8 // x, noise, sigma, learning rate and step
	for i := range 5 {
		c := run(w)
		t.Logf("train, step %d: %d B up, %d B down; %d launches, %d of libraries, %d graphs", i+2, c.Up, c.Down, c.Launches, c.Library, c.Graphs)
		if c.Graphs != 1 || c.Up != up || c.Down != 8 {
			t.Errorf("train, step %d: %d graphs, %d B up and %d B down, want one, %d and 8", i+2, c.Graphs, c.Up, c.Down, up)
		}
		if captured := i == 0; captured != (c.Launches > 0) || captured != (c.Library > 0) {
			t.Errorf("train, step %d: %d launches and %d of libraries, want some in the second step alone", i+2, c.Launches, c.Library)
		}
	}

	// A group of chains: its steps but for what the capture of two costs, and a jump.
	var chains [2]counters
	for i, steps := range []int{7, 70} {
		spec := tiny(t, Sample, batch)
		spec.Steps = steps
		w := ready(t, rt, spec)
		c := run(w)
		t.Logf("%d steps: %d B up, %d B down; %d launches, %d of libraries, %d graphs", steps, c.Up, c.Down, c.Launches, c.Library, c.Graphs)
		const group = 128
		if up := x/batch*group + 8*group + 8 + uint64(steps)*(8+4+4); c.Graphs != uint64(steps) || c.Up != up {
			t.Errorf("%d steps: %d graphs and %d B up, want one each and %d", steps, c.Graphs, c.Up, up)
		}
		chains[i] = c
	}
	if a, b := chains[0], chains[1]; a.Launches != b.Launches || a.Library != b.Library || a.Launches == 0 {
		t.Errorf("7 and 70 steps: %d and %d launches, %d and %d of libraries, want the same", a.Launches, b.Launches, a.Library, b.Library)
	}
}
