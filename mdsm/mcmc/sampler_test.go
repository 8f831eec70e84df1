package mcmc

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

var small = energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 16}

// brief has few transitions.
func brief(m Method, chains int) Settings {
	s := Default(m, chains)
	s.Warmup, s.Draws, s.Thin, s.Seed, s.Anneal = 6, 3, 2, 11, []float64{9, 3}
	if m == HMC {
		s.Leapfrog = 3
	}
	return s
}

// A chain must not depend on anything but its index, the seed and the settings.
func TestSameBits(t *testing.T) {
	testkit.Long(t)
	w := energy.Init(small, rng.New(3))
	for _, method := range []Method{Langevin, MALA, HMC} {
		set := brief(method, 37)
		m := models(t, small, w, set.Leapfrog)
		want := all(t, sampler(t, 1, m), set)
		two := sampler(t, 2, m)
		for _, batch := range []int{0, 16} {
			set.Batch = batch
			got := all(t, two, set)
			testkit.SameBits(t, string(method), tensor.Data[float32](got.X), tensor.Data[float32](want.X))
			if !slices.Equal(got.StepSize, want.StepSize) || !slices.Equal(got.Acceptance, want.Acceptance) ||
				!slices.EqualFunc(got.Energy, want.Energy, slices.Equal) {
				t.Errorf("%s: step sizes, acceptance or energies differ", method)
			}
		}
		part := set
		part.First, part.Count = 13, 8
		got := all(t, two, part)
		each := 256 * set.Draws
		testkit.SameBits(t, string(method)+", a part", tensor.Data[float32](got.X), tensor.Data[float32](want.X)[13*each:21*each])
	}
}

// TestChainsMeetAndAdapt runs a few chains of known densities from far-off
// starts: acceptance comes near its target, R̂ near 1, and means and variances
// are right within five Monte Carlo errors.
func TestChainsMeetAndAdapt(t *testing.T) {
	testkit.Long(t)
	d, err := energy.Toy("stretched", 20)
	if err != nil {
		t.Fatal(err)
	}
	truth := d.(energy.Gaussian)
	for _, method := range []Method{MALA, HMC} {
		set := Default(method, 8)
		set.Warmup, set.Draws, set.Thin, set.Raw, set.Seed = 400, 300, 1, true, 5
		if method == MALA {
			set.Warmup, set.Thin = 1500, 20
		}
		c := all(t, sampler(t, 2, models(t, energy.Known{Density: d}, nil, set.Leapfrog)), set)
		for i, a := range c.Acceptance {
			if math.Abs(a-set.Target) > 0.12 || c.Divergent[i] > 0 {
				t.Errorf("%s: chain %d has acceptance %.3f with step size %.3g and %d divergent transitions, want about %g", method, i, a,
					c.StepSize[i], c.Divergent[i], set.Target)
			}
		}
		values := c.X.Float64s()
		least := math.Inf(1)
		for j := range 20 {
			series, squares := make([][]float64, 8), make([][]float64, 8)
			for i := range 8 {
				for k := range set.Draws {
					v := values[(i*set.Draws+k)*20+j]
					series[i] = append(series[i], v)
					squares[i] = append(squares[i], (v-truth.Mean[j])*(v-truth.Mean[j]))
				}
			}
			mean, err := Diagnose(series)
			if err != nil {
				t.Fatal(err)
			}
			square, err := Diagnose(squares)
			if err != nil {
				t.Fatal(err)
			}
			least = min(least, mean.Bulk, mean.Tail)
			if mean.RHat > 1.1 || math.Abs(mean.Mean-truth.Mean[j]) > 5*mean.StdErr ||
				math.Abs(square.Mean-truth.Sigma[j]*truth.Sigma[j]) > 5*square.StdErr {
				t.Errorf("%s: value %d: %+v, squares %+v, want mean %g and deviation %g", method, j, mean, square, truth.Mean[j], truth.Sigma[j])
			}
		}
		energies, err := Diagnose(c.Energy)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(energies.Mean-10) > 5*energies.StdErr {
			t.Errorf("%s: the mean energy is %+v, want 10", method, energies)
		}
		t.Logf("%s: acceptance %.2f, step sizes %.3f, least ESS %.0f of %d draws", method, c.Acceptance, c.StepSize, least, 8*set.Draws)
	}
}

// Unadjusted Langevin chains of a Gaussian of variance σ² have the stationary
// variance T·σ²/(1 − h/2σ²) with h = ε²/2; and at temperature T the corrected
// ones have T·σ².
func TestTemperature(t *testing.T) {
	testkit.Long(t)
	const sigma, stepSize, count, temperature = 0.5, 0.4, 8192, 2.0
	d := energy.Gaussian{Mean: []float64{0.8, -0.3}, Sigma: []float64{sigma, sigma}}
	s := sampler(t, 2, models(t, energy.Known{Density: d}, nil, 1))
	h := stepSize * stepSize / 2
	for method, want := range map[Method]float64{Langevin: temperature * sigma * sigma / (1 - h/(2*sigma*sigma)),
		MALA: temperature * sigma * sigma} {
		set := Default(method, count)
		set.Warmup, set.Draws, set.StepSize, set.Target, set.Temperature, set.Raw = 40, 1, stepSize, 0, temperature, true
		_, variance := moments(all(t, s, set).X.Float64s()) // of both values together
		between := math.Pow((0.8+0.3)/2, 2)
		if off := math.Abs(variance-between-want) / (want * math.Sqrt(1./count)); off > 6 {
			t.Errorf("%s: variance %g, want %g", method, variance-between, want)
		}
	}
}

func TestStart(t *testing.T) {
	s := sampler(t, 1, models(t, small, energy.Init(small, rng.New(3)), 1))
	x := tensor.New(tensor.Float32, 3, 1, 16, 16)
	rng.New(6).Uniform(tensor.Data[float32](x), rng.Probe, 0, 0)
	set := Default(Langevin, 5)
	set.Warmup, set.Draws, set.StepSize, set.Raw, set.Start = 0, 1, 1e-12, true, Start{From: x}
	got := all(t, s, set)
	for i := range 5 {
		testkit.SameBits(t, "start", tensor.Data[float32](got.X)[i*256:(i+1)*256], tensor.Data[float32](x)[i%3*256:(i%3+1)*256])
	}
	// The jump is x + σ₀²·score.
	set.Raw = false
	jumped := all(t, s, set)
	if slices.Equal(tensor.Data[float32](jumped.X), tensor.Data[float32](got.X)) {
		t.Error("the jump changes nothing")
	}
}

func TestErrors(t *testing.T) {
	s := sampler(t, 2, models(t, small, energy.Init(small, rng.New(3)), 1))
	for name, change := range map[string]func(*Settings){
		`"gibbs"`:                  func(s *Settings) { s.Method = "gibbs" },
		"leapfrog steps":           func(s *Settings) { s.Leapfrog = 2 },
		"step size 0":              func(s *Settings) { s.StepSize = 0 },
		"target acceptance 1":      func(s *Settings) { s.Target = 1 },
		"temperature 0":            func(s *Settings) { s.Temperature = 0 },
		"[1 -1]":                   func(s *Settings) { s.Anneal = []float64{1, -1} },
		"0 draws":                  func(s *Settings) { s.Draws = 0 },
		"-1 transitions":           func(s *Settings) { s.Warmup = -1 },
		"standard deviation -1":    func(s *Settings) { s.Start.Sigma = -1 },
		"0 chains":                 func(s *Settings) { s.Count = 0 },
		"batch -1":                 func(s *Settings) { s.Batch = -1 },
		"at most":                  func(s *Settings) { s.Draws, s.Thin = math.MaxInt32, 2 },
		"points to begin with are": func(s *Settings) { s.Start.From = tensor.New(tensor.Float32, 2, 8, 8) },
		"value 3 is not a finite":  func(s *Settings) { s.Start.From = withNaN(3) },
	} {
		set := brief(MALA, 3)
		change(&set)
		if err := s.Sample(t.Context(), set, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
	set := brief(Langevin, 3)
	set.StepSize = 1e18
	if err := s.Sample(t.Context(), set, func(Chains) error { return nil }); err == nil ||
		!strings.Contains(err.Error(), "smaller step size") {
		t.Errorf("a huge step: error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	set = brief(MALA, 100000)
	if err := s.Sample(ctx, set, func(Chains) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	full := errors.New("disk is full")
	if err := s.Sample(t.Context(), set, func(Chains) error { return full }); !errors.Is(err, full) {
		t.Errorf("a sink that fails: error %v", err)
	}
	m := models(t, small, energy.Init(small, rng.New(3)), 1)
	m.Denoise = nil
	if err := sampler(t, 1, m).Sample(t.Context(), brief(MALA, 1), nil); err == nil {
		t.Error("a jump without its model is no error")
	}
}

func withNaN(at int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, 1, 1, 16, 16)
	tensor.Data[float32](x)[at] = float32(math.NaN())
	return x
}
