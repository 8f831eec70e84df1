//go:build device

package bench

import (
	"testing"

	"ebm/mdsm"
	"ebm/mdsm/ais"
	"ebm/mdsm/hmc"
	"ebm/mdsm/mcmc"
	"ebm/mdsm/restore"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// once is what models that draw their noise take once: the samples' indices and the key.
const once = 8*128 + 8

// A restoration sends x, memory and measurements once, and at each update its number and
// coefficients, which are those of all chains; it fetches samples.
func TestCUDARestoration(t *testing.T) {
	rt := cuda(t)
	const group, updates = 128, 7
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 8}
	a, err := restore.Frame{Shape: n.InputShape()}.Compressed(0.3, 1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := restore.Measure(a, tensor.New(tensor.Float32, append([]int{3}, n.InputShape()...)...), 0.1, 1)
	if err != nil {
		t.Fatal(err)
	}
	files, err := restore.NewFiles(n, energy.Init(n, rng.New(1)), a, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := restore.New(rt, files, a, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	set := restore.Settings{Updates: make([]mdsm.Update, updates-1), Samples: 2} // and the jump
	for i := range set.Updates {
		set.Updates[i] = mdsm.Update{StepSize: 0.1, Temperature: 1}
	}
	run := func() error { _, err := s.Run(t.Context(), p, set); return err }
	if err := run(); err != nil {
		t.Fatal(err)
	}
	x, rank := uint64(4*group*tensor.Volume(n.InputShape())), uint64(4*a.Rank())
	crosses(t, rt, "restoration", run, 2*x+group*rank+once+updates*(8+4*mdsm.Coefficients+5*rank), x)
}

// A transition of MALA and of Hamiltonian Monte Carlo sends a number in [0, 1) and a step size of
// each chain, two weights and its number, and fetches what became of each; x is sent once, and
// comes with a draw and its energies. Annealed importance sampling fetches both energies too.
func TestCUDATransitions(t *testing.T) {
	rt := cuda(t)
	const group, transitions, draws = 128, 6, 2
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 8}
	weights := energy.Init(n, rng.New(1))
	x := uint64(4 * group * tensor.Volume(n.InputShape()))
	up, down := uint64(2*4*group+2*4+8), uint64(2*4*group)
	for _, method := range []mcmc.Method{mcmc.MALA, mcmc.HMC} {
		set := mcmc.Default(method, 3)
		set.Anneal, set.Warmup, set.Thin, set.Draws, set.Leapfrog = nil, transitions-draws, 1, draws, 1
		if method == mcmc.HMC {
			set.Leapfrog = 3
		}
		files, err := mcmc.NewFiles(n, weights, 0.1, set.Leapfrog)
		if err != nil {
			t.Fatal(err)
		}
		s, err := mcmc.New(rt, files)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		run := func() error { return s.Sample(t.Context(), set, func(mcmc.Chains) error { return nil }) }
		if err := run(); err != nil {
			t.Fatal(err)
		}
		// Energies come at the start and with draws, twice: before and by the jump.
		crosses(t, rt, string(method), run, x+once+transitions*up, 4*group+transitions*down+draws*(x+2*4*group))
	}

	set := ais.Cheap()
	set.Distributions, set.Leapfrog = 5, 2
	files, err := hmc.NewFiles(n, weights, set.Reference, set.Leapfrog)
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := hmc.Load(rt, files)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kernel.Close() })
	e, err := ais.New(kernel, set)
	if err != nil {
		t.Fatal(err)
	}
	run := func() error { _, err := e.Forward(t.Context(), 3); return err }
	if err := run(); err != nil { // pilots too
		t.Fatal(err)
	}
	m := uint64(set.Distributions)
	crosses(t, rt, "annealed importance sampling", run, x+once+(m-1)*up, (m-1)*down+m*2*4*group)
}
