package restore

import (
	"slices"
	"testing"

	"ebm/models/tensor"
)

// TestFill: single values without noise are pictures with hidden pixels; sums, factors,
// noise and whole matrices are not.
func TestFill(t *testing.T) {
	shape := []int{1, 2, 2}
	matrix := func(rows ...float64) *Operator {
		a, err := FromMatrix("a", tensor.Of(rows, len(rows)/4, 4), shape)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	y := tensor.Of([]float64{5, 6, 7, 8}, 2, 2)
	single := matrix(0, 0, 1, 0, 1, 0, 0, 0)
	fill := Problem{Operator: single, Measured: y}.Fill(3)
	if fill == nil || fill.Count() != 6 || !slices.Equal(tensor.Data[float32](fill.Hidden), []float32{0, 1, 0, 1}) ||
		!slices.Equal(tensor.Data[float32](fill.Pictures), []float32{6, 0, 5, 0, 8, 0, 7, 0}) {
		t.Errorf("single values are %+v", fill)
	}
	for name, p := range map[string]Problem{
		"noise":    {Operator: single, Measured: y, Sigma: 0.1},
		"a factor": {Operator: matrix(0, 0, 2, 0, 1, 0, 0, 0), Measured: y},
		"a sign":   {Operator: matrix(0, 0, -1, 0, 1, 0, 0, 0), Measured: y},
		"a sum":    {Operator: matrix(0, 0, 0.6, 0.8, 1, 0, 0, 0), Measured: y},
		"a matrix": {Operator: matrix(1, 1, 0, 0, 1, 0, 0, 0), Measured: y},
	} {
		if p.Fill(3) != nil {
			t.Errorf("%s is taken for hidden pixels", name)
		}
	}
}
