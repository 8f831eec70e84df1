package ebm_test

import (
	"math"
	"testing"

	"ebm"
	"ebm/internal/testkit"
	"ebm/mdsm/langevin"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// TestFastSampler holds chains of the sampler in the layout that sessions have,
// with a network wide enough for all its forms, to those of the files that are
// exported.
func TestFastSampler(t *testing.T) {
	rt := testkit.Open(t, 0)
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 64, Size: 8}
	m := &ebm.Model{Network: n, Weights: energy.Init(n, rng.New(1)), Sigma0: 0.1}
	models, err := m.Files()
	if err != nil {
		t.Fatal(err)
	}
	if models.Fast == nil {
		t.Fatal("there is no fast form")
	}
	set := langevin.Default(3)
	set.Schedule.Steps = 9
	var samples [2][]float32
	for i, fast := range []bool{false, true} {
		form := models
		if !fast {
			form.Fast = nil
		}
		sampler, err := langevin.New(rt, form)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sampler.Sample(t.Context(), set, func(_ int, x *tensor.Tensor) error {
			samples[i] = append(samples[i], tensor.Data[float32](x)...)
			return nil
		})
		sampler.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(samples[1]) != 3*8*8 {
		t.Fatalf("%d values, want three pictures", len(samples[1]))
	}
	var worst, largest float64
	for i, v := range samples[0] {
		worst = max(worst, math.Abs(float64(samples[1][i]-v)))
		largest = max(largest, math.Abs(float64(v)))
	}
	if !(worst < 1e-5*largest) || largest == 0 {
		t.Errorf("the chains differ by %g, their values reach %g", worst, largest)
	}
}
