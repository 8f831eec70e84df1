package ais

import (
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

func TestStatistics(t *testing.T) {
	same := func(i int) int { return i }
	testkit.Within(t, "log mean exp", logMeanExp([]float64{math.Log(1), math.Log(2), math.Log(6)}, same), math.Log(3), 1e-14)
	testkit.Within(t, "log mean exp of large numbers", logMeanExp([]float64{5000, 5000 + math.Log(3)}, same), 5000+math.Log(2), 1e-9)
	testkit.Within(t, "ess of equal weights", ess([]float64{-800, -800, -800}), 3, 1e-12)
	testkit.Within(t, "ess of one weight", ess([]float64{0, -2000}), 1, 1e-12)
	testkit.Within(t, "ess", ess([]float64{math.Log(1), math.Log(3)}), 16./10, 1e-12)
	testkit.Within(t, "deviation", stdDev([]float64{1, 2, 3, 4}), math.Sqrt(5./3), 1e-14)
	// A density of 1 on [0, 1] is one of 1/255 on [0, 255].
	testkit.Within(t, "bits/dim", BitsPerDim(0, 10), math.Log2(255), 1e-12)
	testkit.Within(t, "bits/dim", BitsPerDim(10*math.Ln2, 10), math.Log2(255)-1, 1e-12)
}

// TestBootstrap compares with the known error of a mean.
func TestBootstrap(t *testing.T) {
	set := short()
	set.Leapfrog = 1
	e := estimator(t, energy.Known{Density: toy(t, "gaussian", 3)}, nil, set, 1)
	n := make([]float32, 400)
	rng.New(2).Normal(n, rng.Probe, 0, 0)
	v := make([]float64, len(n))
	for i := range v {
		v[i] = 3 + 2*float64(n[i])
	}
	b := e.bootstrap(v, func(pick func(int) int) float64 { return mean(v, pick) })
	testkit.Within(t, "mean", b.Value, mean(v, func(i int) int { return i }), 0)
	testkit.Within(t, "error of the mean", b.StdErr, stdDev(v)/20, 0.005)
	testkit.Within(t, "interval", b.High-b.Low, 2*1.96*stdDev(v)/20, 0.03)

	// Forward and reverse log Z of weights, and densities, by hand.
	w := Weights{Log: []float64{math.Log(2), math.Log(4)}, Energy: []float64{1, 3}}
	z0 := 1.5 * math.Log(2*math.Pi)
	testkit.Within(t, "log Z₀", e.LogZ0(), z0, 1e-14)
	f, _ := e.ForwardLogZ(w)
	testkit.Within(t, "forward", f.Estimate.Value, z0+math.Log(3), 1e-12)
	testkit.Within(t, "forward bound", f.Mean.Value, z0+1.5*math.Ln2, 1e-12)
	r, _ := e.ReverseLogZ(w)
	testkit.Within(t, "reverse", r.Estimate.Value, z0-math.Log(3./8), 1e-12)
	d, _ := e.ReverseDensity(w)
	testkit.Within(t, "density", d.LogDensity.Value, (-1-math.Ln2-3-2*math.Ln2)/2-z0, 1e-12)
	testkit.Within(t, "log of the mean density", d.LogMean, math.Log((math.Exp(-1)/2+math.Exp(-3)/4)/2)-z0, 1e-12)
	testkit.Within(t, "bits/dim", d.BitsPerDim.Value, math.Log2(255)-d.LogDensity.Value/3/math.Ln2, 1e-12)
	if d.BitsPerDim.Low > d.BitsPerDim.Value || d.BitsPerDim.High < d.BitsPerDim.Value {
		t.Errorf("bits/dim %+v", d.BitsPerDim)
	}
	d, _ = e.DensityOf([]float64{1, 3}, 5)
	testkit.Within(t, "density with one log Z", d.LogDensity.Value, -7, 1e-12)
}

func TestLadder(t *testing.T) {
	s := Cheap()
	s.Distributions = 4
	s.Ratio = 16
	for k, want := range []float64{0, 1. / 15, 3. / 15, 7. / 15, 1} {
		testkit.Within(t, "β", s.Ladder()[k], want, 1e-15)
	}
	s.Ratio = 1
	testkit.Within(t, "β of a linear ladder", s.Ladder()[1], 0.25, 0)

	places := pilotAt(1000)
	if len(places) != pilotPlaces || places[0] != 1 || places[len(places)-1] != 1000 {
		t.Errorf("pilots are at %v", places)
	}
	if got := pilotAt(1); len(got) != 1 || got[0] != 1 {
		t.Errorf("pilots of one distribution are at %v", got)
	}
	steps := interpolate([]int{1, 3, 4}, []float64{0, math.Log(4), math.Log(2)}, 5)
	for k, want := range []float64{1, 1, 2, 4, 2, 2} {
		testkit.Within(t, "interpolated step", steps[k], want, 1e-12)
	}
}

func TestPoints(t *testing.T) {
	x := pictures(3)
	testkit.Within(t, "clean", spread(Clean.Of(x, 0.1, 1), x), 0, 0)
	testkit.Within(t, "noisy", spread(Noisy.Of(x, 0.1, 1), x), 0.1, 0.01)
	testkit.Within(t, "dequantised", spread(Dequantised.Of(x, 0.1, 1), x), 1/255./math.Sqrt(12), 1e-4)
	if _, err := ParsePoints("grainy"); err == nil {
		t.Error("unknown points are no error")
	}
}

// spread is the root mean squared difference.
func spread(a, b *tensor.Tensor) float64 {
	sum, x, y := 0.0, a.Float64s(), b.Float64s()
	for i := range x {
		sum += (x[i] - y[i]) * (x[i] - y[i]) / float64(len(x))
	}
	return math.Sqrt(sum)
}
