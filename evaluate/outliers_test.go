package evaluate

import (
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/models/tensor"
)

func TestSeparateAgreesWithScikitLearn(t *testing.T) {
	g := peers(t)
	low, high := g["low"].Float64s(), g["high"].Float64s()
	for _, c := range []struct {
		ordinary, outliers []float64
		want               float64
	}{
		{low, high, g["auroc"].Float64s()[0]},
		{high, low, g["auroc_reversed"].Float64s()[0]},
	} {
		got, err := Separate(c.ordinary, c.outliers)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "AUROC", got.AUROC, c.want, 1e-13)
		near(t, "its error", got.Error, deLong(c.ordinary, c.outliers), 1e-12)
	}
}

// deLong is the standard error from its definition, pair by pair.
func deLong(ordinary, outliers []float64) float64 {
	psi := func(outlier, ordinary float64) float64 {
		switch {
		case outlier > ordinary:
			return 1
		case outlier == ordinary:
			return 0.5
		}
		return 0
	}
	variance := func(n, m int, of func(i, j int) float64) float64 {
		means := make([]float64, n)
		for i := range n {
			for j := range m {
				means[i] += of(i, j) / float64(m)
			}
		}
		total, squares := 0.0, 0.0
		for _, v := range means {
			total += v
		}
		for _, v := range means {
			squares += (v - total/float64(n)) * (v - total/float64(n))
		}
		return squares / float64(n-1) / float64(n)
	}
	return math.Sqrt(variance(len(outliers), len(ordinary), func(i, j int) float64 { return psi(outliers[i], ordinary[j]) }) +
		variance(len(ordinary), len(outliers), func(j, i int) float64 { return psi(outliers[i], ordinary[j]) }))
}

func TestSeparateAtItsEnds(t *testing.T) {
	for _, c := range []struct {
		ordinary, outliers []float64
		want               float64
	}{
		{[]float64{1, 2}, []float64{3, 4, 5}, 1},
		{[]float64{3, 4}, []float64{1}, 0},
		{[]float64{2, 2, 2}, []float64{2, 2}, 0.5},
		{[]float64{1, 3}, []float64{1, 2}, 0.375},
	} {
		if got, err := Separate(c.ordinary, c.outliers); err != nil || got.AUROC != c.want {
			t.Errorf("%v against %v: %v, %v, want %v", c.outliers, c.ordinary, got, err, c.want)
		}
	}
	if _, err := Separate(nil, []float64{1}); err == nil || !strings.Contains(err.Error(), "ordinary") {
		t.Errorf("no ordinary samples: %v", err)
	}
	if _, err := Separate([]float64{1}, []float64{0, math.NaN()}); err == nil || !strings.Contains(err.Error(), "score 1 is NaN") {
		t.Errorf("a score that is not a number: %v", err)
	}
}

func TestHistogramAgreesWithNumPy(t *testing.T) {
	g := peers(t)
	low, high := g["low"].Float64s(), g["high"].Float64s()
	h, err := NewHistogram(-2, 3, 20, low, high)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(h.Edges, g["edges"].Float64s()) {
		t.Errorf("edges %v, want %v", h.Edges, g["edges"].Float64s())
	}
	for i, name := range []string{"counts_low", "counts_high"} {
		counted := h.Below[i] + h.Above[i]
		for j, want := range tensor.Data[int64](g[name]) {
			counted += h.Counts[i][j]
			if int64(h.Counts[i][j]) != want {
				t.Errorf("%s: bin %d has %d, want %d", name, j, h.Counts[i][j], want)
			}
		}
		if n := len([][]float64{low, high}[i]); counted != n {
			t.Errorf("%s: %d values counted of %d", name, counted, n)
		}
	}
	if d := h.Density(0); math.Abs(d[3]-float64(h.Counts[0][3])/(400*0.25)) > 1e-12 {
		t.Errorf("density %g of %d in a bin of 0.25", d[3], h.Counts[0][3])
	}
	for _, bad := range [][3]float64{{0, 0, 4}, {1, 0, 4}, {0, 1, 0}, {math.NaN(), 1, 4}, {0, math.Inf(1), 4}} {
		if _, err := NewHistogram(bad[0], bad[1], int(bad[2])); err == nil {
			t.Errorf("no error for %v", bad)
		}
	}
	if _, err := NewHistogram(0, 1, 2, []float64{math.Inf(1)}); err == nil {
		t.Error("no error for an infinite value")
	}
}

func TestHistogramRange(t *testing.T) {
	even := make([]float64, 1001)
	for i := range even {
		even[i] = float64(i)
	}
	if low, high := HistogramRange(even, []float64{-5}); low != -5 || high != 1000 {
		t.Errorf("from %g to %g, want the extremes", low, high)
	}
	// The quartiles are 250 and 751 of 1002 values.
	if low, high := HistogramRange(append([]float64{1e6}, even...)); low != 0 || high != 751+3*501 {
		t.Errorf("from %g to %g with a value far out, want 0 to %d", low, high, 751+3*501)
	}
	if low, high := HistogramRange([]float64{2, 2}); !(low < 2 && high > 2) {
		t.Errorf("from %g to %g for equal values", low, high)
	}
	if low, high := HistogramRange(); low != 0 || high != 1 {
		t.Errorf("from %g to %g for nothing", low, high)
	}
}
