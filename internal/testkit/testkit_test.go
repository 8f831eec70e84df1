package testkit

import (
	"math"
	"testing"
)

func TestDifference(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		got, want []float64
		off       float64
	}{
		{nil, nil, 0},
		{[]float64{1, 2}, []float64{1, 2}, 0},
		{[]float64{1, 3}, []float64{1, 4}, 0.25},
		{[]float64{1}, []float64{1, 4}, inf},
		{[]float64{1, nan}, []float64{1, 4}, inf},
		{[]float64{1, 4}, []float64{1, nan}, inf},
		{[]float64{1, nan}, []float64{1, nan}, 0},
		{[]float64{1, inf}, []float64{1, inf}, 0},
		{[]float64{1e-9}, []float64{0}, inf},
	} {
		if off := Difference(c.got, c.want); off != c.off {
			t.Errorf("%v and %v: %g, want %g", c.got, c.want, off, c.off)
		}
	}
}
