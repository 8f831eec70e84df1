package ais

import (
	"fmt"
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/energy"
)

// TestKnownDensities compares log Z of known densities with forward chains, and
// with reverse chains from exact draws. go test -v prints the table. 200
// distributions are few for 1,024 dimensions, where one chain decides the
// estimate; the bounds must hold all the same, and they must not be far off:
// docs/validation.md has what more distributions give.
func TestKnownDensities(t *testing.T) {
	testkit.Long(t)
	t.Logf("%-10s %5s %10s | %10s %7s %10s %6s %5s | %10s %7s %10s %6s", "density", "dim", "log Z",
		"forward", "±", "bound", "ESS", "acc", "reverse", "±", "bound", "ESS")
	for _, name := range energy.Toys() {
		for _, dim := range []int{2, 16, 128, 1024} {
			set := Cheap()
			set.Distributions = 200
			d := toy(t, name, dim)
			chains := 32
			if dim == 1024 {
				chains = 16
			}
			f, r := bothWays(t, estimator(t, energy.Known{Density: d}, nil, set, 2), d, chains)
			z := d.LogZ()
			t.Logf("%-10s %5d %10.3f | %10.3f %7.3f %10.3f %6.1f %5.2f | %10.3f %7.3f %10.3f %6.1f", name, dim, z,
				f.Estimate.Value, f.Estimate.StdErr, f.Mean.Value, f.ESS, f.Acceptance, r.Estimate.Value, r.Estimate.StdErr, r.Mean.Value, r.ESS)
			what := fmt.Sprintf("%s in %d dimensions", name, dim)
			if f.Mean.Value-3*f.Mean.StdErr > z || r.Mean.Value+3*r.Mean.StdErr < z {
				t.Errorf("%s: log Z is %.3f, the bounds are %.3f and %.3f", what, z, f.Mean.Value, r.Mean.Value)
			}
			if far := 0.15*math.Abs(z) + 3; f.Mean.Value < z-far || r.Mean.Value > z+far {
				t.Errorf("%s: log Z is %.3f, forward chains say %.3f, the bounds are %.3f and %.3f", what, z, f.Estimate.Value,
					f.Mean.Value, r.Mean.Value)
			}
			for _, v := range []LogZ{f, r} {
				if v.ESS >= 20 && math.Abs(v.Estimate.Value-z) > 5*v.Estimate.StdErr {
					t.Errorf("%s: log Z is %.4f, the estimate %.4f ± %.4f", what, z, v.Estimate.Value, v.Estimate.StdErr)
				}
				if v.Acceptance < 0.5 || v.Acceptance > 0.95 {
					t.Errorf("%s: %.2f of the transitions are accepted, want about %.2f", what, v.Acceptance, set.Target)
				}
			}
		}
	}
}

func bothWays(t *testing.T, e *Estimator, d energy.Density, chains int) (f, r LogZ) {
	t.Helper()
	w, err := e.Forward(t.Context(), chains)
	if err != nil {
		t.Fatal(err)
	}
	if f, err = e.ForwardLogZ(w); err != nil {
		t.Fatal(err)
	}
	if w, err = e.Reverse(t.Context(), draws(d, chains, 5)); err != nil {
		t.Fatal(err)
	}
	if r, err = e.ReverseLogZ(w); err != nil {
		t.Fatal(err)
	}
	return f, r
}

// TestUnbiased has many chains and few distributions in two dimensions, where
// the mean weight is known to a percent: an error in the path, in the weights
// or in the transitions shows.
func TestUnbiased(t *testing.T) {
	testkit.Long(t)
	for i, name := range energy.Toys() {
		for _, temperature := range []float64{1, 2}[i%2:] {
			set := Cheap()
			set.Distributions, set.Temperature = 40, temperature
			d := toy(t, name, 2)
			e := estimator(t, energy.Known{Density: d}, nil, set, 2)
			w, err := e.Forward(t.Context(), 2048)
			if err != nil {
				t.Fatal(err)
			}
			f, err := e.ForwardLogZ(w)
			if err != nil {
				t.Fatal(err)
			}
			// exp(−E/T) of a Gaussian has √T times its deviations; that of clusters
			// far apart does, and their weights are w^(1/T).
			z := d.LogZ() + math.Log(temperature)
			if name == "mixture" {
				z += math.Log(math.Pow(0.7, 1/temperature) + math.Pow(0.3, 1/temperature))
			}
			if f.Estimate.StdErr > 0.08 || math.Abs(f.Estimate.Value-z) > 5*f.Estimate.StdErr {
				t.Errorf("%s at temperature %g: log Z is %.4f, the estimate %.4f ± %.4f", name, temperature, z, f.Estimate.Value, f.Estimate.StdErr)
			}
			t.Logf("%s at temperature %g: log Z is %.4f, the estimate %.4f ± %.4f, bound %.4f", name, temperature, z, f.Estimate.Value,
				f.Estimate.StdErr, f.Mean.Value)
		}
	}
}
