package mcmc

import (
	"ebm/internal/testkit"
	"math"
	"strings"
	"testing"
)

// TestDiagnosticsAgreeWithArviZ compares with the values of ArviZ that
// testdata/make_golden.py describes.
func TestDiagnosticsAgreeWithArviZ(t *testing.T) {
	golden := testkit.Arrays(t, "testdata/diagnostics.npz")
	n := 0
	for key, draws := range golden {
		name, ok := strings.CutPrefix(key, "draws/")
		if !ok {
			continue
		}
		n++
		want := golden["want/"+name].Float64s()
		d, err := Diagnose(rowsOf(draws.Float64s(), draws.Shape()[1]))
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range []float64{d.RHat, d.Bulk, d.Tail, d.StdErr} {
			if i == 0 && name == "one" {
				continue // ArviZ gives no R̂ of one chain
			}
			if !(math.Abs(got-want[i]) <= 1e-9*math.Abs(want[i])) {
				t.Errorf("%s: %s is %.12g, ArviZ has %.12g", name, []string{"R̂", "bulk ESS", "tail ESS", "error of the mean"}[i], got, want[i])
			}
		}
	}
	if n != 10 {
		t.Errorf("%d sets of draws, want 10", n)
	}
}

func rowsOf(v []float64, each int) [][]float64 {
	var rows [][]float64
	for ; len(v) > 0; v = v[each:] {
		rows = append(rows, v[:each])
	}
	return rows
}

func TestDrawsThatCannotBeDiagnosed(t *testing.T) {
	for _, bad := range [][][]float64{nil, {{1, 2, 3}}, {{1, 2, 3, 4}, {1, 2, 3}}, {{1, 2, math.NaN(), 4}}, {{1, 2, 3, math.Inf(1)}}} {
		if _, err := Diagnose(bad); err == nil {
			t.Errorf("%v is no error", bad)
		}
	}
	d, err := Diagnose([][]float64{{2, 2, 2, 2}, {2, 2, 2, 2}})
	if err != nil || d.Bulk != 8 || d.Tail != 8 || !math.IsNaN(d.RHat) || d.StdDev != 0 {
		t.Errorf("draws that do not vary: %+v, error %v", d, err)
	}
}
