package mdsm_test

import (
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// TestShortRunIsItsFormula takes the chains of a training step apart: their
// steps, one by one through SamplerGraph, end where the step's loss has them.
func TestShortRunIsItsFormula(t *testing.T) {
	testkit.Long(t)
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 2, Size: 8}
	w := energy.Init(n, rng.New(5))
	run := mdsm.ShortRun{Steps: 3, StepSize: 0.4, Temperature: 0.04, Sigma: 0.5, Regularise: 0.1}
	x, noise, start, kicks := normal(1, 2, 1, 8, 8), normal(2, 2, 1, 8, 8), normal(3, 2, 1, 8, 8), normal(4, 2, 3, 1, 8, 8)

	batch := single(values{"x": x, "noise": noise, "start": start, "chain_noise": kicks})
	for name, p := range w {
		batch[name] = p
	}
	got := execute(t, mdsm.GradientGraph(n, run, 1), batch)["loss"].Float64s()[0]

	// The chains' noise is [K N …] in a sampler and [N K …] in a step.
	turned := tensor.New(tensor.Float32, 3, 2, 1, 8, 8)
	from, to := tensor.Data[float32](batch["chain_noise"]), tensor.Data[float32](turned)
	for i := range 2 {
		for k := range 3 {
			copy(to[(k*2+i)*64:(k*2+i+1)*64], from[(i*3+k)*64:(i*3+k+1)*64])
		}
	}
	temperature := tensor.Of([]float32{0.04, 0.04, 0.04}, 3)
	ends := execute(t, mdsm.SamplerGraph(n, w), values{
		"x": batch["start"], "noise": turned, "temperature": temperature, "step_size": tensor.Of([]float32{0.4}, 1),
	})["x_next"]
	noisy := tensor.New(tensor.Float32, 2, 1, 8, 8)
	for i := range noisy.Len() {
		tensor.Data[float32](noisy)[i] = tensor.Data[float32](batch["x"])[i] + 0.5*tensor.Data[float32](batch["noise"])[i]
	}
	plus := execute(t, mdsm.EnergyGraph(n, w), values{"x": noisy})["energy"].Float64s()
	minus := execute(t, mdsm.EnergyGraph(n, w), values{"x": ends.AsFloat32()})["energy"].Float64s()
	want := 0.0
	for i := range 2 {
		want += (plus[i] - minus[i] + 0.1*(plus[i]*plus[i]+minus[i]*minus[i])) / 2
	}
	if math.Abs(got-want) > 1e-5*math.Max(1, math.Abs(want)) {
		t.Errorf("loss %g, want %g", got, want)
	}
}

func TestShortRunValidate(t *testing.T) {
	good := mdsm.ShortRun{Steps: 30, StepSize: 0.1}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, bad := range []mdsm.ShortRun{{}, {Steps: 30}, {Steps: 2000, StepSize: 1}, {Steps: 1, StepSize: 1, Temperature: -1},
		{Steps: 1, StepSize: 1, Sigma: math.NaN()}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
