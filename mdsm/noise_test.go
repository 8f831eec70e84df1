package mdsm_test

import (
	"math"
	"strings"
	"testing"

	"ebm/mdsm"
)

func TestLevels(t *testing.T) {
	for _, c := range []struct {
		spacing  mdsm.Spacing
		min, max float64
		n        int
		want     []float64
	}{
		{mdsm.Linear, 0.05, 1.2, 3, []float64{0.05, 0.625, 1.2}},
		{mdsm.Geometric, 0.1, 10, 3, []float64{0.1, 1, 10}},
		{mdsm.Geometric, 1, 8, 4, []float64{1, 2, 4, 8}},
		{mdsm.Linear, 0.3, 0.3, 2, []float64{0.3, 0.3}},
		{mdsm.Geometric, 0.3, 0.3, 2, []float64{0.3, 0.3}},
		{mdsm.Linear, 0.3, 2, 1, []float64{0.3}},
		{mdsm.Geometric, 0.3, 2, 1, []float64{0.3}},
	} {
		got, err := c.spacing.Levels(c.min, c.max, c.n)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range c.want {
			if len(got) != len(c.want) || math.Abs(got[i]-w) > 1e-14 {
				t.Errorf("%s levels from %g to %g: %v, want %v", c.spacing, c.min, c.max, got, c.want)
				break
			}
		}
	}
}

// TestLevelsEnds has the ends of the paper's ranges in float32, as they go
// into a batch, and levels that grow.
func TestLevelsEnds(t *testing.T) {
	for _, c := range []struct {
		spacing  mdsm.Spacing
		min, max float64
	}{{mdsm.Linear, 0.05, 1.2}, {mdsm.Geometric, 0.1, 3}} {
		levels, err := c.spacing.Levels(c.min, c.max, 128)
		if err != nil {
			t.Fatal(err)
		}
		if len(levels) != 128 || float32(levels[0]) != float32(c.min) || float32(levels[127]) != float32(c.max) {
			t.Errorf("%s: %d levels from %v to %v, want 128 from %v to %v", c.spacing, len(levels), levels[0], levels[len(levels)-1], c.min, c.max)
		}
		for i := 1; i < len(levels); i++ {
			step, first := levels[i]-levels[i-1], levels[1]-levels[0]
			if c.spacing == mdsm.Geometric {
				step, first = levels[i]/levels[i-1], levels[1]/levels[0]
			}
			if math.Abs(step/first-1) > 1e-9 {
				t.Errorf("%s: from level %d to %d is %g, want %g everywhere", c.spacing, i-1, i, step, first)
			}
		}
	}
}

func TestLevelsErrors(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		spacing  mdsm.Spacing
		min, max float64
		n        int
		want     string
	}{
		{mdsm.Linear, 0, 1, 3, "0 < min"},
		{mdsm.Linear, -1, 1, 3, "0 < min"},
		{mdsm.Linear, 2, 1, 3, "min ≤ max"},
		{mdsm.Linear, 0.1, math.Inf(1), 3, "from 0.1 to +Inf"},
		{mdsm.Linear, nan, 1, 3, "NaN"},
		{mdsm.Linear, 0.1, nan, 3, "NaN"},
		{mdsm.Geometric, 0.1, 1, 0, "0 noise levels"},
		{mdsm.Geometric, 0.1, 1, -4, "-4 noise levels"},
		{"cubic", 0.1, 1, 3, `"cubic"`},
		{"", 0.1, 1, 1, `""`},
	} {
		levels, err := c.spacing.Levels(c.min, c.max, c.n)
		if err == nil || !strings.Contains(err.Error(), c.want) || levels != nil {
			t.Errorf("%d %q levels from %g to %g: %v, error %v, want one with %q", c.n, c.spacing, c.min, c.max, levels, err, c.want)
		}
	}
}
