package mdsm_test

import (
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// TestPartsMakeTheObjective: what PerturbGraph, a score and ErrorGraph say of
// each picture has the training step's loss as its mean.
func TestPartsMakeTheObjective(t *testing.T) {
	testkit.Long(t)
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 2, Size: 8}
	w := energy.Init(n, rng.New(5))
	o := mdsm.Objective{Sigma0: 0.2, Weighting: mdsm.Inverse}
	x, noise := normal(1, 3, 1, 8, 8), normal(2, 3, 1, 8, 8)
	sigma := f64([]int{3}, 0.1, 0.7, 3)

	in := single(values{"x": x, "noise": noise, "sigma": sigma})
	in["noisy"] = execute(t, mdsm.PerturbGraph(1, 8, 8), in)["noisy"]
	scored := execute(t, mdsm.ScoreGraph(n, w), values{"x": in["noisy"]})
	parts := execute(t, o.ErrorGraph(1, 8, 8), values{"x": in["x"], "noisy": in["noisy"], "score": scored["score"], "sigma": in["sigma"]})

	batch := values{"x": in["x"], "noise": in["noise"], "sigma": in["sigma"]}
	for name, p := range w {
		batch[name] = p
	}
	want := execute(t, mdsm.GradientGraph(n, o, 1), batch)["loss"].Float64s()[0]
	mean := 0.0
	for _, v := range parts["loss"].Float64s() {
		mean += v / 3
	}
	testkit.Near(t, "mean of the losses", tensor.Of([]float64{mean}, 1), []float64{want}, 1e-5)
	for i, s := range []float64{0.1, 0.7, 3} {
		testkit.Near(t, "loss over error", tensor.Of([]float64{parts["loss"].Float64s()[i]}, 1),
			[]float64{parts["error"].Float64s()[i] / s}, 1e-6)
	}
}
