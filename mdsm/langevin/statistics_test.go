package langevin

import (
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/samples"
	"ebm/models/energy"
	"ebm/models/tensor"
)

// moments of points [N 2].
func moments(x *tensor.Tensor) (mean [2]float64, covariance [2][2]float64) {
	v := x.Float64s()
	n := float64(len(v) / 2)
	for i, value := range v {
		mean[i%2] += value / n
	}
	for i := 0; i < len(v); i += 2 {
		for a := range 2 {
			for b := range 2 {
				covariance[a][b] += (v[i+a] - mean[a]) * (v[i+b] - mean[b]) / n
			}
		}
	}
	return mean, covariance
}

// For a Gaussian of variance σ² the chain is x ← μ + (1−h/σ²)(x−μ) + √(2hT) n
// with h = ε²/2, whose stationary variance is exactly T·σ²/(1 − h/2σ²).
// The estimates may be five standard errors off: σ/√N for a mean and σ²√(2/N)
// for a variance.
func TestGaussian(t *testing.T) {
	testkit.Long(t)
	const sigma, count, stepSize = 0.5, 8192, 0.2
	gaussian := energy.Mixture{Means: [][]float64{{0.8, -0.3}}, Sigma: sigma}
	net := points{2, gaussian.Energy}
	s := sampler(t, 2, Files{Sampler: testkit.Encode(t, mdsm.SamplerGraph(net, nil)),
		Denoise: testkit.Encode(t, mdsm.DenoiseGraph(net, nil, 0.3))})
	for _, temperature := range []float64{1, 4} {
		set := Settings{Schedule: Schedule{Cooling: Constant, Steps: 200, Cool: temperature}, StepSize: stepSize,
			Start: Start{Mean: 0.5, Sigma: 1}, Count: count, Seed: 3, Raw: true}
		h := stepSize * stepSize / 2
		variance := temperature * sigma * sigma / (1 - h/(2*sigma*sigma))
		check := func(what string, x *tensor.Tensor, variance float64) {
			mean, covariance := moments(x)
			for a := range 2 {
				if off := math.Abs(mean[a]-gaussian.Means[0][a]) / math.Sqrt(variance/count); off > 5 {
					t.Errorf("%s at temperature %g: mean %v is %.1f standard errors off", what, temperature, mean, off)
				}
				if off := math.Abs(covariance[a][a]-variance) / (variance * math.Sqrt(2./count)); off > 5 {
					t.Errorf("%s at temperature %g: variance %g, want %g, is %.1f standard errors off", what, temperature, covariance[a][a], variance, off)
				}
			}
			if off := math.Abs(covariance[0][1]) / (variance / math.Sqrt(count)); off > 5 {
				t.Errorf("%s at temperature %g: covariance %g is %.1f standard errors off", what, temperature, covariance[0][1], off)
			}
		}
		x, _ := all(t, s, set)
		check("chain", x, variance)
		// The jump takes σ0²/σ² of the way to the mean.
		set.Raw = false
		x, _ = all(t, s, set)
		keep := 1 - 0.3*0.3/(sigma*sigma)
		check("jump", x, variance*keep*keep)
	}
}

// Two modes close enough for chains to cross: the mean and covariance of the
// mixture, up to five standard errors and the discretisation, which is below
// 2 % of the variance.
func TestMixture(t *testing.T) {
	testkit.Long(t)
	const count = 8192
	mixture := energy.Mixture{Means: [][]float64{{-0.5, 0}, {0.7, 0.2}}, Sigma: 0.4}
	net := points{2, mixture.Energy}
	s := sampler(t, 2, Files{Sampler: testkit.Encode(t, mdsm.SamplerGraph(net, nil))})
	set := Settings{Schedule: Schedule{Cooling: Constant, Steps: 600, Cool: 1}, StepSize: 0.1, Start: Start{Sigma: 1},
		Count: count, Seed: 4, Raw: true}
	x, _ := all(t, s, set)
	mean, covariance := moments(x)
	wantMean, want := [2]float64{0.1, 0.1}, [2][2]float64{{0.16 + 0.36, 0.06}, {0.06, 0.16 + 0.01}}
	for a := range 2 {
		if math.Abs(mean[a]-wantMean[a]) > 5*math.Sqrt(want[a][a]/count) {
			t.Errorf("mean %v, want %v", mean, wantMean)
		}
		for b := range 2 {
			scale := math.Sqrt(want[a][a] * want[b][b])
			if math.Abs(covariance[a][b]-want[a][b]) > scale*(5*math.Sqrt(2./count)+0.02) {
				t.Errorf("covariance %v, want %v", covariance, want)
			}
		}
	}
}

// TestAcceptance holds the acceptance of a step to that of Metropolis and Hastings,
// computed from the energy and the density of the proposal.
func TestAcceptance(t *testing.T) {
	const mu, width, step, temperature = 0.2, 0.15, 0.25, 2.0
	files, err := NewFiles(bowl(mu, width), nil, sigma0, nil)
	if err != nil {
		t.Fatal(err)
	}
	set := Settings{Start: Start{Mean: mu, Sigma: 0.3}, Seed: 4, Count: 200,
		Updates: []mdsm.Update{{StepSize: step, Temperature: temperature}, {StepSize: step}}}
	set.Watch = samples.Watch{Chains: 200, Snapshots: []int{0, 1, 2}}
	_, p := all(t, sampler(t, 2, files), set)
	if p.Snapshots[1].Acceptance != nil || p.Snapshots[2].Acceptance != nil {
		t.Error("a step at T = 0, and one that there is not, have an acceptance")
	}
	before, after := p.Snapshots[0].X.Float64s(), p.Snapshots[1].X.Float64s()
	square := func(v float64) float64 { return v * v }
	mean := 0.0
	for i, got := range p.Snapshots[0].Acceptance {
		logDensity := 0.0 // of y under E/T and of the way back, less that of x and of the way there
		for a := 2 * i; a < 2*i+2; a++ {
			x, y := before[a], after[a]
			to := func(v float64) float64 { return v - step*step/2*(v-mu)/(width*width) }
			logDensity -= (square(y-mu) - square(x-mu)) / (2 * width * width * temperature)
			logDensity -= (square(x-to(y)) - square(y-to(x))) / (2 * step * step * temperature)
		}
		want := math.Exp(min(logDensity, 0))
		mean += want / 200
		if math.Abs(float64(got)-want) > 1e-4 {
			t.Fatalf("chain %d: %g, want %g", i, got, want)
		}
	}
	if mean > 0.95 || mean < 0.3 {
		t.Errorf("steps are accepted with %g, which tells no wrong formula", mean)
	}
}
