package probe

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/runtime/progress"
)

// A bowl's energy over the noise is known: for pictures at distance r from its
// middle, E(x + σn) has the mean a(r² + σ²d)/2 and the variance
// a²(σ²r² + σ⁴d/2). The jump from x̃ leaves (1−aσ₀²)(x−m) + … of which the
// expectation is known as well.
func TestLevelsOfABowl(t *testing.T) {
	const a, m, n = 3.0, 0.2, 3000
	model := bowl{a, m}.model(t, testkit.Open(t, 2), true)
	set := flat("grey", n, 255)
	r2 := d * (1 - m) * (1 - m)
	sigmas := []float64{0.1, 0.5, 2}
	levels, err := model.Levels(t.Context(), all(set), sigmas, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range levels {
		s2 := sigmas[i] * sigmas[i]
		deviation := a * math.Sqrt(s2*r2+s2*s2*d/2)
		// The jump's error is (1−c)²σ²‖n‖² + c²r² + a cross term of mean 0, with c = aσ₀².
		c := a * sigma0 * sigma0
		square := (1-c)*(1-c)*s2*d + c*c*r2
		testkit.Within(t, "energy", l.Energy, a*(r2+s2*d)/2, 5*deviation/math.Sqrt(n))
		testkit.Within(t, "its deviation", l.EnergyDeviation, deviation, 0.05*deviation)
		testkit.Within(t, "what is left", l.Left, square/(s2*d), 0.03*square/(s2*d))
		testkit.Within(t, "loss", l.Loss, square/s2, 0.03*square/s2)
		// The jump is −c(x − m + σn): ⟨−σn, jump⟩ is cσ²d in the mean.
		length := c * c * (r2 + s2*d)
		testkit.Within(t, "slope", l.Slope, c*s2*d/length, 0.1*c*s2*d/length)
		testkit.Within(t, "measured level", l.Measured, math.Sqrt(length/d)/sigmas[i], 0.05*math.Sqrt(length/d)/sigmas[i])
	}
}

// The reading of a picture is the same whichever others are read and on any
// number of threads.
func TestReadingsDependOnThePictureAlone(t *testing.T) {
	set := grainy("grain", 700, side, 1)
	one, two := bowl{1, 0.5}.model(t, testkit.Open(t, 1), true), bowl{1, 0.5}.model(t, testkit.Open(t, 2), true)
	whole, err := one.Read(t.Context(), all(set), 0.3, 5, progress.Silent{})
	if err != nil {
		t.Fatal(err)
	}
	some := Choose(set, 300, 7)
	part, err := two.Read(t.Context(), some, 0.3, 5, progress.Silent{})
	if err != nil {
		t.Fatal(err)
	}
	for k, i := range some.Index {
		if part.Energy[k] != whole.Energy[i] || part.Error[k] != whole.Error[i] || part.Loss[k] != whole.Loss[i] {
			t.Fatalf("picture %d: %g, %g, %g among 300 and %g, %g, %g among 700", i,
				part.Energy[k], part.Error[k], part.Loss[k], whole.Energy[i], whole.Error[i], whole.Loss[i])
		}
	}
	other, err := one.Read(t.Context(), all(set), 0.3, 6, progress.Silent{})
	if err != nil || slices.Equal(other.Energy, whole.Energy) {
		t.Errorf("another draw gives the same energies (%v)", err)
	}
}

func TestChoose(t *testing.T) {
	set := grainy("grain", 1000, 1, 1)
	p := Choose(set, 100, 3)
	if len(p.Index) != 100 || !slices.IsSorted(p.Index) || p.Index[99] < 900 || p.Index[0] > 100 ||
		len(slices.Compact(slices.Clone(p.Index))) != 100 {
		t.Errorf("%v, want 100 different pictures from all over the set", p.Index)
	}
	if n := len(Choose(set, 5000, 3).Index); n != 1000 {
		t.Errorf("%d of 1000 pictures when 5000 are asked for", n)
	}
}

func TestReadRefuses(t *testing.T) {
	model := bowl{1, 0.5}.model(t, testkit.Open(t, 1), true)
	for _, c := range []struct {
		set   *dataset.Set
		sigma float64
		want  string
	}{
		{grainy("wide", 3, 5, 1), 1, "1×5×5, the model wants 1×4×4"},
		{flat("none", 0, 1), 1, "no pictures"},
		{flat("grey", 2, 1), 0, "noise level 0"},
		{flat("grey", 2, 1), math.NaN(), "noise level NaN"},
		{flat("grey", 2, 1), 1e30, "is +Inf"},
	} {
		if _, err := model.Read(t.Context(), all(c.set), c.sigma, 0, progress.Silent{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s at %g: %v, want %q", c.set.Name, c.sigma, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := model.Read(ctx, all(flat("grey", 2, 1)), 1, 0, progress.Silent{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancelling: %v", err)
	}
	if _, err := Open(testkit.Open(t, 1), Source{Score: []byte("no model"),
		Objective: mdsm.Objective{Sigma0: 1, Weighting: mdsm.Uniform}}); err == nil {
		t.Error("opened what is no model")
	}
	if _, err := Open(testkit.Open(t, 1), Source{Objective: mdsm.Objective{Weighting: mdsm.Uniform}}); err == nil ||
		!strings.Contains(err.Error(), "sigma0 0") {
		t.Errorf("without σ₀: %v", err)
	}
}
