package langevin

import (
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// bowl is ‖x − μ‖²/2w² in the plane.
func bowl(mu, width float64) points {
	return points{2, func(x *graph.Node) *graph.Node {
		d := graph.Shift(x, -mu)
		return graph.Scale(graph.ReduceSum(graph.Mul(d, d), 1), 1/(2*width*width))
	}}
}

// TestFewStepsKeepTheLevel: of data at one point μ the denoiser is exact with the
// energy ‖x − μ‖²/2σ₀². Then ancestral steps leave noise of the level that they go
// to, DDIM scales the noise that chains begin with, and the jump leads to μ.
func TestFewStepsKeepTheLevel(t *testing.T) {
	const mu, from, to, count = 0.3, 3.0, 0.2, 8192
	files, err := NewFiles(bowl(mu, sigma0), nil, sigma0, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := sampler(t, 2, files)
	draw := func(rule func(a, b, sigma0 float64) mdsm.Update, n int, raw bool) *tensor.Tensor {
		t.Helper()
		set := Settings{Start: Start{Mean: mu, Sigma: from}, Count: count, Seed: 5, Raw: raw}
		if set.Updates, err = mdsm.FewSteps(rule, from, to, sigma0, n); err != nil {
			t.Fatal(err)
		}
		x, err := s.All(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, n := range []int{1, 7, 30} {
		mean, covariance := moments(draw(mdsm.Ancestral, n, true))
		for a := range 2 {
			if off := math.Abs(mean[a]-mu) / (to / math.Sqrt(count)); off > 5 {
				t.Errorf("ancestral in %d steps: mean %v is %.1f standard errors off", n, mean, off)
			}
			if off := math.Abs(covariance[a][a]-to*to) / (to * to * math.Sqrt(2./count)); off > 5 {
				t.Errorf("ancestral in %d steps: variance %g, want %g, is %.1f standard errors off", n, covariance[a][a], to*to, off)
			}
		}
	}
	start := draw(mdsm.DDIM, 1, true).Float64s()
	for i, v := range draw(mdsm.DDIM, 20, true).Float64s() {
		if math.Abs(v-start[i]) > 2e-6 {
			t.Fatalf("DDIM in 20 steps ends at %g, in one at %g", v, start[i])
		}
	}
	for i, v := range draw(mdsm.Ancestral, 7, false).Float64s() {
		if math.Abs(v-mu) > 1e-6 {
			t.Fatalf("value %d after the jump is %g, want %g", i, v, mu)
		}
	}
}

// TestFastStepsOfANormal follows the variance of a normal distribution through the
// updates: each takes v to (1 − ε²/2w²)² v + ε² T.
func TestFastStepsOfANormal(t *testing.T) {
	const mu, width, from, count = -0.2, 0.15, 3.0, 8192
	files, err := NewFiles(bowl(mu, width), nil, sigma0, nil)
	if err != nil {
		t.Fatal(err)
	}
	set := Settings{Start: Start{Mean: mu, Sigma: from}, Count: count, Seed: 6, Raw: true}
	if set.Updates, err = mdsm.FastSteps(from, sigma0); err != nil {
		t.Fatal(err)
	}
	if len(set.Updates) != 69 {
		t.Errorf("%d updates, want 69", len(set.Updates))
	}
	want := from * from
	for _, u := range set.Updates {
		keep := 1 - u.StepSize*u.StepSize/(2*width*width)
		want = keep*keep*want + u.StepSize*u.StepSize*u.Temperature
	}
	x, err := sampler(t, 2, files).All(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	mean, covariance := moments(x)
	for a := range 2 {
		if off := math.Abs(mean[a]-mu) / math.Sqrt(want/count); off > 5 {
			t.Errorf("mean %v is %.1f standard errors off", mean, off)
		}
		if off := math.Abs(covariance[a][a]-want) / (want * math.Sqrt(2./count)); off > 5 {
			t.Errorf("variance %g, want %g, is %.1f standard errors off", covariance[a][a], want, off)
		}
	}
}

// TestFewStepsHaveSameBits: a sample does not depend on the others, the batch or
// the steps in a run of the model.
func TestFewStepsHaveSameBits(t *testing.T) {
	testkit.Long(t)
	s := sampler(t, 2, models(t, small))
	set := short(40, 1)
	var err error
	if set.Updates, err = mdsm.FastSteps(3, sigma0); err != nil {
		t.Fatal(err)
	}
	set.Start.Sigma = 3
	whole, err := s.All(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	part := set
	part.First, part.Count, part.Batch, part.StepsPerRun = 17, 9, 1, 3
	got, err := sampler(t, 1, models(t, small)).All(t.Context(), part)
	if err != nil {
		t.Fatal(err)
	}
	testkit.SameBits(t, "samples", tensor.Data[float32](got), tensor.Data[float32](whole.Rows(17, 26)))
}

func TestFewStepsErrors(t *testing.T) {
	for _, c := range []struct {
		from, to, sigma0 float64
		n                int
	}{{1, 2, 0.1, 3}, {1, 1, 0.1, 3}, {1, 0, 0.1, 3}, {1, 0.1, 0, 3}, {1, 0.1, 0.1, 0}, {math.Inf(1), 0.1, 0.1, 3}} {
		if got, err := mdsm.FewSteps(mdsm.DDIM, c.from, c.to, c.sigma0, c.n); err == nil {
			t.Errorf("%+v: %v, want an error", c, got)
		}
	}
	set := short(1, 1)
	for _, bad := range []mdsm.Update{{StepSize: 0}, {StepSize: math.NaN()}, {StepSize: 0.1, Temperature: -1}, {StepSize: 0.1, Temperature: math.Inf(1)}} {
		if set.Updates = []mdsm.Update{bad}; set.Validate() == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}
