package mcmc

import (
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/hmc"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// known are densities with a step size whose proposals are refused now and then.
func known(t *testing.T) map[string]struct {
	energy.Density
	mala, hmc float64
} {
	t.Helper()
	stretched, err := energy.Toy("stretched", 5)
	if err != nil {
		t.Fatal(err)
	}
	near := energy.Clusters{Means: [][]float64{{0.2, 0.5}, {0.9, 0.4}}, Weights: []float64{0.7, 0.3}, Sigma: 0.2}
	return map[string]struct {
		energy.Density
		mala, hmc float64
	}{
		"stretched": {stretched, 0.1, 0.14},
		"clusters":  {near, 0.3, 0.4},
	}
}

const (
	points       = 4096
	paired       = 300 // points of each side of the kernel test
	permutations = 499
	alarm        = 1. / (permutations + 1) // probability of a false alarm of each kernel test
)

// shift returns how many standard errors the means and the variances of points
// are from those of exact draws, at most. reference are many exact draws.
func shift(x, reference *tensor.Tensor) float64 {
	n, each := x.Shape()[0], x.Len()/x.Shape()[0]
	column := func(t *tensor.Tensor, j int) []float64 {
		v := t.Float64s()
		out := make([]float64, 0, len(v)/each)
		for i := j; i < len(v); i += each {
			out = append(out, v[i])
		}
		return out
	}
	worst := 0.0
	for j := range each {
		mean, variance := moments(column(x, j))
		wantMean, wantVariance := moments(column(reference, j))
		worst = max(worst, math.Abs(mean-wantMean)/math.Sqrt(wantVariance/float64(n)))
		// The variance of a variance of n draws, from the fourth moment.
		fourth := 0.0
		for _, v := range column(reference, j) {
			fourth += math.Pow(v-wantMean, 4)
		}
		fourth /= float64(reference.Shape()[0])
		worst = max(worst, math.Abs(variance-wantVariance)/math.Sqrt((fourth-wantVariance*wantVariance)/float64(n)))
	}
	return worst
}

func firstRows(x *tensor.Tensor) *tensor.Tensor {
	each := x.Shape()[1]
	return tensor.Of(tensor.Data[float32](x)[:paired*each], paired, each)
}

// TestStationary moves exact draws of known densities: they must stay draws of
// the same density, by their moments, at five standard errors, and by a kernel
// test against other exact draws, whose false alarms have probability 0.002.
func TestStationary(t *testing.T) {
	testkit.Long(t)
	for name, c := range known(t) {
		exact, other := energy.Draws(c.Density, points, rng.New(1)), energy.Draws(c.Density, paired, rng.New(2))
		many := energy.Draws(c.Density, 400000, rng.New(3))
		if off := shift(other, many); off > 5 {
			t.Fatalf("%s: exact draws are %.1f standard errors off", name, off)
		}
		for _, m := range []struct {
			leapfrog int
			h        float64
		}{{1, c.mala}, {7, c.hmc}} {
			s := sampler(t, 2, models(t, energy.Known{Density: c.Density}, nil, m.leapfrog))
			moved := moves(t, s, exact, 40, m.h, hmc.Jitter(m.leapfrog), false)
			off, p := shift(moved, many), kernelTest(firstRows(moved), other, permutations)
			t.Logf("%s, %d leapfrog steps: %.1f standard errors, p = %.3f", name, m.leapfrog, off, p)
			if off > 5 || p <= alarm {
				t.Errorf("%s, %d leapfrog steps: moments are %.1f standard errors off, the kernel test has p = %.4f", name, m.leapfrog, off, p)
			}
		}
	}
}

// TestWrongStepsAreFound: transitions that take every proposal, and trajectories
// without their last half kick, fail the test of moments, and those that are
// farther off the kernel test, which has fewer points, as well.
func TestWrongStepsAreFound(t *testing.T) {
	testkit.Long(t)
	byKernel := 0
	for name, c := range known(t) {
		exact, other := energy.Draws(c.Density, points, rng.New(1)), energy.Draws(c.Density, paired, rng.New(2))
		many := energy.Draws(c.Density, 400000, rng.New(3))
		for _, m := range []struct {
			leapfrog int
			h        float64
		}{{1, c.mala}, {7, c.hmc}} {
			right := models(t, energy.Known{Density: c.Density}, nil, m.leapfrog)
			wrong := right
			wrong.Trajectory = wrongKick(t, energy.Known{Density: c.Density}, m.leapfrog)
			for what, moved := range map[string]*tensor.Tensor{
				"no decision":       moves(t, sampler(t, 2, right), exact, 40, m.h, hmc.Jitter(m.leapfrog), true),
				"no last half kick": moves(t, sampler(t, 2, wrong), exact, 40, m.h, hmc.Jitter(m.leapfrog), false),
			} {
				off, p := shift(moved, many), kernelTest(firstRows(moved), other, permutations)
				t.Logf("%s, %d leapfrog steps, %s: %.1f standard errors, p = %.3f", name, m.leapfrog, what, off, p)
				if off <= 5 {
					t.Errorf("%s, %d leapfrog steps, %s: not found: moments are %.1f standard errors off", name, m.leapfrog, what, off)
				}
				if p <= alarm {
					byKernel++
				}
			}
		}
	}
	if byKernel < 3 {
		t.Errorf("the kernel test finds %d of the errors, want 3 or more", byKernel)
	}
}
