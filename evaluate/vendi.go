package evaluate

import (
	"context"
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"

	"ebm/models/tensor"
)

// Vendi returns the Vendi score of features [n d] (Friedman and Dieng 2023, order 1): the exponential of the
// entropy of the eigenvalues of K/n, where K holds the cosines of all pairs. It is 1 when all samples are
// equal and n when all are at right angles. A sample without a direction, all zeros, is an error.
func Vendi(ctx context.Context, features *tensor.Tensor, multiplier *Multiplier) (float64, error) {
	n, d, err := checkFeatures("features", features)
	if err != nil {
		return 0, err
	}
	all := mat.NewDense(n, d, nil)
	for i := range n {
		copyRow(all.RawRowView(i), features, i)
	}
	if !normalise(all) {
		return 0, errors.New("features of a sample are all 0, want a direction")
	}
	// The smaller of X·Xᵀ and Xᵀ·X has all eigenvalues that are not 0.
	if d < n {
		all = mat.DenseCopyOf(all.T())
	}
	k, err := multiplier.times(ctx, all, all)
	if err != nil {
		return 0, err
	}
	k.Scale(1/float64(n), k)
	values, err := eigenvalues(ctx, k, multiplier)
	if err != nil {
		return 0, err
	}
	entropy := 0.0
	for _, v := range values {
		if v > 0 {
			entropy -= v * math.Log(v)
		}
	}
	return math.Exp(entropy), nil
}

// normalise brings the rows to length 1 and reports whether all have a direction; those without stay 0.
func normalise(rows *mat.Dense) bool {
	n, _ := rows.Dims()
	whole := true
	for i := range n {
		row := rows.RawRowView(i)
		length := math.Sqrt(dot(row, row))
		if length == 0 {
			whole = false
			continue
		}
		for j := range row {
			row[j] /= length
		}
	}
	return whole
}

func dot(x, y []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}
