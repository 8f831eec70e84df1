package mdsm_test

import (
	"math"
	"slices"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// The form for float16 computes the same gradients, in float32 with the same bits; and leaves weights and
// moments where they are when a gradient is not finite.
func TestFloat16(t *testing.T) {
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 8}
	objective := mdsm.Objective{Sigma0: 0.1, Weighting: mdsm.InverseVariance}
	criterion, optimiser := mdsm.Float16(objective, mdsm.PaperAdam(), 2)
	in := values{"x": normal(1, 2, 1, 8, 8), "noise": normal(2, 2, 1, 8, 8), "sigma": tensor.Of([]float32{0.1, 1}, 2)}
	for name, w := range energy.Init(n, rng.New(1)) {
		in[name] = w.AsFloat32()
	}
	want, got := execute(t, mdsm.GradientGraph(n, objective, 1), in), execute(t, mdsm.GradientGraph(n, criterion, 1), in)
	for name, v := range want {
		testkit.SameBits(t, name, tensor.Data[float32](got[name]), tensor.Data[float32](v))
	}

	g := mdsm.UpdateOf([]string{"p"}, map[string][]int{"p": {2}}, optimiser, 1)
	for _, bad := range []float32{1, float32(math.Inf(-1)), float32(math.NaN())} {
		p, m, v := []float32{1, 2}, []float32{3, 4}, []float32{5, 6}
		out := execute(t, g, values{"p": tensor.Of(p, 2), "p.m": tensor.Of(m, 2), "p.v": tensor.Of(v, 2),
			"p.grad/0": tensor.Of([]float32{1, bad}, 2), "learning_rate": tensor.Of([]float32{0.1}, 1), "step": tensor.Of([]int64{1}, 1)})
		for name, had := range map[string][]float32{"p.next": p, "p.m.next": m, "p.v.next": v} {
			if stayed := slices.Equal(tensor.Data[float32](out[name]), had); stayed == (bad == 1) {
				t.Errorf("%s for a gradient with %g is %v, of %v before", name, bad, out[name].Raw(), had)
			}
		}
		if norm := out["grad_norm"].Float64s()[0]; (math.IsNaN(norm) || math.IsInf(norm, 0)) == (bad == 1) {
			t.Errorf("the norm of a gradient with %g is %g", bad, norm)
		}
	}
}
