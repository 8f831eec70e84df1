package hmc

import (
	"fmt"
	"testing"

	"ebm/export/session"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// TestDevices compares transitions by the models of devices, for which sessions on the CPU
// stand, with those of the files: the same up to rounding; and those of one device with those
// of three, of chains that were kept and go on, and of a transition that is taken back and made again.
// Where the model draws the momenta, they are others than the host's, and as much a chain's own;
// with integers of 32 bits, and on a device, they are nearly the same.
func TestDevices(t *testing.T) {
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 16}
	for _, c := range []struct {
		leapfrog int
		counts   bool
	}{{1, false}, {3, false}, {3, true}} {
		leapfrog := c.leapfrog
		files, err := NewFiles(n, energy.Init(n, rng.New(3)), mdsm.Reference{Mean: 0.5, Sigma: 1}, leapfrog)
		if err != nil {
			t.Fatal(err)
		}
		const many = 1<<44 + 1<<20 // of the indices of reverse chains
		run := func(rt *runtime.Runtime, first uint64, device, halves, interrupted bool) State {
			t.Helper()
			k, err := Load(rt, files)
			if err != nil {
				t.Fatal(err)
			}
			if device {
				k.device = session.NewModels(rt, files.Fixed)
				k.device.Counts, k.device.Halves = c.counts, halves
			}
			t.Cleanup(func() { k.Close() })
			l := k.Layout(16)
			numbers := k.Numbers(l, rng.New(8), first, 0, l.Size, 5)
			c, err := k.Start(t.Context(), l.New(), numbers)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { c.Close() }()
			for step := range 5 {
				numbers.Draw(step, func(int) float64 { return 0.05 })
				if interrupted {
					at, err := c.State()
					if err != nil {
						t.Fatal(err)
					}
					old := c
					kept := State{at.X.Clone(), at.Energy.Clone(), at.Reference.Clone(), at.Score.Clone()}
					if c, err = k.Resume(kept, numbers); err != nil {
						t.Fatal(err)
					}
					old.Close()
					if _, err := c.Move(t.Context(), Potential{0.5, 0.5}); err != nil {
						t.Fatal(err)
					}
					c.Turn()
				}
				if _, err := c.Move(t.Context(), Potential{0.5, 0.5}); err != nil {
					t.Fatal(err)
				}
			}
			s, err := c.State()
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		host, one := run(testkit.Open(t, 1), many, false, false, false), run(testkit.Open(t, 1), many, true, false, false)
		three, again := run(testkit.OpenDevices(t, 3), many, true, false, false), run(testkit.Open(t, 1), many, true, false, true)
		for i, want := range one.parts() {
			name := fmt.Sprintf("%d leapfrog steps, counted %t, part %d", leapfrog, c.counts, i)
			if off := testkit.Apart(want, host.parts()[i]); off < 1e-4 == c.counts {
				t.Errorf("%s differs by %g from the host's", name, off)
			}
			testkit.SameBits(t, name+", three devices", tensor.Data[float32](three.parts()[i]), tensor.Data[float32](want))
			testkit.SameBits(t, name+", interrupted", tensor.Data[float32](again.parts()[i]), tensor.Data[float32](want))
		}
		for _, rt := range testkit.Players(t, 1) {
			for i, got := range run(rt, many, true, true, false).parts() {
				off := testkit.Apart(got, one.parts()[i])
				t.Logf("%s, %d leapfrog steps, counted %t, integers of 32 bits: part %d differs by %.1e", rt.Info().Provider, leapfrog,
					c.counts, i, off)
				testkit.Within(t, "state", off, 0, 1e-3)
			}
		}
		later := run(testkit.Open(t, 1), many+3, true, false, false)
		size := one.X.Shape()[0]
		if off := testkit.Apart(later.X.Rows(0, size-3), one.X.Rows(3, size)); !(off < 1e-5) {
			t.Errorf("chains at other places differ by %g", off)
		}
		if off := testkit.Apart(one.X, tensor.New(tensor.Float32, one.X.Shape()...)); !(off > 0.1) {
			t.Error("chains did not move")
		}
	}
}

func (s State) parts() []*tensor.Tensor { return []*tensor.Tensor{s.X, s.Energy, s.Reference, s.Score} }
