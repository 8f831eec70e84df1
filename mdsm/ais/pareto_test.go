package ais_test

import (
	"math"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/ais"
)

// TestParetoShape holds the shape to that of ArviZ (testdata/make_golden.py).
func TestParetoShape(t *testing.T) {
	arrays := testkit.Arrays(t, "testdata/pareto.npz")
	sets := 0
	for name, k := range arrays {
		name, ok := strings.CutSuffix(name, "/k")
		if !ok {
			continue
		}
		sets++
		testkit.Within(t, name, ais.ParetoShape(arrays[name].Float64s()), k.Float64s()[0], 1e-9)
	}
	if sets < 8 {
		t.Errorf("%d sets of weights, want the eight of the script", sets)
	}
	for _, v := range [][]float64{nil, {1}, {1, 2, 3, 4, 5}, make([]float64, 100)} {
		if k := ais.ParetoShape(v); !math.IsInf(k, 1) {
			t.Errorf("%d weights without a tail have shape %g, want +Inf", len(v), k)
		}
	}
}
