package evaluate

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"ebm/internal/progress"
	"ebm/models/tensor"
)

// KernelOptions are the settings of [KernelDistance]. The zero value has those
// of torch-fidelity.
type KernelOptions struct {
	Subsets    int                // 0 means 100
	SubsetSize int                // 0 means 1000
	Seed       uint32             // of the subsets; 0 means DefaultSeed
	Progress   *progress.Progress // nil shows nothing
}

// KernelResult is a kernel distance: the squared maximum mean discrepancy,
// without bias and so negative now and then for equal distributions.
type KernelResult struct {
	Mean      float64 // over the subsets
	Deviation float64 // of the subsets, divided by their number
	Subsets   int
	Warnings  []string
}

// KernelDistance returns the squared maximum mean discrepancy of features
// [n, d] with the kernel (x·y/d + 1)³, as mean and spread over subsets drawn
// without replacement; KID, when the features are Inception's. Sets smaller
// than a subset are an error.
func KernelDistance(ctx context.Context, generated, real *tensor.Tensor, o KernelOptions) (KernelResult, error) {
	ng, nr, d, err := checkPair(generated, real)
	if err != nil {
		return KernelResult{}, err
	}
	if o.Subsets == 0 {
		o.Subsets = 100
	}
	if o.SubsetSize == 0 {
		o.SubsetSize = 1000
	}
	if o.Subsets < 0 || o.SubsetSize < 2 {
		return KernelResult{}, fmt.Errorf("%d subsets of %d samples, wanted one of 2 at least", o.Subsets, o.SubsetSize)
	}
	if min(ng, nr) < o.SubsetSize {
		return KernelResult{}, fmt.Errorf("%d generated and %d real samples for subsets of %d: too few, choose smaller subsets", ng, nr, o.SubsetSize)
	}
	stage := o.Progress.Stage("kernel distance", int64(o.Subsets), "subsets")
	defer stage.Done()
	state := newRandomState(seedOr(o.Seed))
	x, y := mat.NewDense(o.SubsetSize, d, nil), mat.NewDense(o.SubsetSize, d, nil)
	k := mat.NewDense(o.SubsetSize, o.SubsetSize, nil)
	values := make([]float64, o.Subsets)
	for i := range values {
		if err := ctx.Err(); err != nil {
			return KernelResult{}, err
		}
		gather(x, generated, state.permutation(ng))
		gather(y, real, state.permutation(nr))
		values[i] = discrepancy(x, y, k)
		stage.Add(1)
	}
	out := KernelResult{Subsets: o.Subsets}
	out.Mean, out.Deviation = meanAndDeviation(values)
	if n := min(ng, nr); o.Subsets > 1 && n < 2*o.SubsetSize {
		out.Warnings = []string{fmt.Sprintf("subsets of %d out of %d samples are nearly the same: the kernel distance is not biased, but its spread is too small", o.SubsetSize, n)}
	}
	return out, nil
}

// gather fills dst with the rows of features that come first in order.
func gather(dst *mat.Dense, features *tensor.Tensor, order []int) {
	rows, _ := dst.Dims()
	for i := range rows {
		copyRow(dst.RawRowView(i), features, order[i])
	}
}

// discrepancy is the unbiased estimate of the squared maximum mean
// discrepancy of x and y [m, d]; k [m, m] is room to work in.
func discrepancy(x, y, k *mat.Dense) float64 {
	m, _ := x.Dims()
	within := (kernelSum(x, x, k, true) + kernelSum(y, y, k, true)) / float64(m*(m-1))
	return within - 2*kernelSum(x, y, k, false)/float64(m*m)
}

// kernelSum sums the kernel over all pairs of rows, or without those on the
// diagonal.
func kernelSum(x, y, k *mat.Dense, offDiagonal bool) float64 {
	m, d := x.Dims()
	k.Mul(x, y.T())
	total := 0.0
	for i := range m {
		row := 0.0
		for j, v := range k.RawRowView(i) {
			if offDiagonal && i == j {
				continue
			}
			v = v/float64(d) + 1
			row += v * v * v
		}
		total += row
	}
	return total
}
