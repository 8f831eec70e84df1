package evaluate

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// KernelOptions are the settings of [KernelDistance]. The zero value has those
// of torch-fidelity.
type KernelOptions struct {
	Subsets    int               // 0 means 100
	SubsetSize int               // 0 means 1000
	Seed       uint32            // of the subsets; 0 means DefaultSeed
	Sigma      float64           // takes the kernel exp(−|x−y|²/(2σ²)); 0 means the cubic one
	Multiplier *Multiplier       // nil computes products in Go
	Progress   progress.Progress // nil shows nothing
}

// KernelResult is a kernel distance: the squared maximum mean discrepancy,
// without bias and so negative now and then for equal distributions.
type KernelResult struct {
	Mean      float64 // over the subsets
	Deviation float64 // of the subsets, divided by their number
	Subsets   int
	// Error estimates the standard error of Mean as an estimate for unlimited
	// samples. The variance of such an average over pairs falls as 1/n, so it
	// is the spread of subsets of m samples times √(m/n), n being the number of
	// samples of the smaller set (Politis and Romano, Annals of Statistics 22,
	// 1994, on subsampling). 0 for a single subset.
	Error    float64
	Warnings []string
}

// KernelDistance returns the squared maximum mean discrepancy of features
// [n, d] with the kernel (x·y/d + 1)³, as mean and spread over subsets drawn
// without replacement; KID, when the features are Inception's. Sets smaller
// than a subset are an error. Of a set and itself it is 0.
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
		return KernelResult{}, fmt.Errorf("%d subsets of %d samples, want one of 2 at least", o.Subsets, o.SubsetSize)
	}
	if min(ng, nr) < o.SubsetSize {
		return KernelResult{}, fmt.Errorf("%d generated and %d real samples for subsets of %d: too few, choose smaller subsets", ng, nr,
			o.SubsetSize)
	}
	if o.Sigma < 0 || math.IsNaN(o.Sigma) || math.IsInf(o.Sigma, 0) {
		return KernelResult{}, fmt.Errorf("a kernel of width %g, want a positive number", o.Sigma)
	}
	if err := ctx.Err(); err != nil {
		return KernelResult{}, err
	}
	if same(generated, real) {
		return KernelResult{Subsets: o.Subsets, Warnings: []string{"both sides have the same features, so that their kernel distance is 0; " +
			"torch-fidelity draws subsets of each all the same, whose distances scatter around it"}}, nil
	}
	state := newRandomState(seedOr(o.Seed))
	first, second := make([][]int, o.Subsets), make([][]int, o.Subsets)
	for i := range o.Subsets {
		first[i] = ordered(state.permutation(ng)[:o.SubsetSize])
		second[i] = ordered(state.permutation(nr)[:o.SubsetSize])
	}
	k := kernel{ctx: ctx, d: d, sigma: o.Sigma, multiplier: o.Multiplier}
	values, err := k.discrepancies(generated, real, first, second, o.Progress)
	if err != nil {
		return KernelResult{}, err
	}
	out := KernelResult{Subsets: o.Subsets}
	out.Mean, out.Deviation = meanAndDeviation(values)
	n := min(ng, nr)
	out.Error = out.Deviation * math.Sqrt(float64(o.SubsetSize)/float64(n))
	if o.Subsets > 1 && n < 2*o.SubsetSize {
		out.Warnings = []string{fmt.Sprintf("subsets of %d out of %d samples are nearly the same: the kernel distance is not biased, but its "+
			"spread is too small", o.SubsetSize, n)}
	}
	return out, nil
}

func ordered(index []int) []int {
	index = slices.Clone(index)
	slices.Sort(index)
	return index
}

// same reports whether two sets hold equal numbers in the same order.
func same(x, y *tensor.Tensor) bool {
	return slices.Equal(x.Shape(), y.Shape()) && x.DType() == y.DType() && slices.Equal(x.Float64s(), y.Float64s())
}

// kernel sums (x·y/d + 1)³ or exp(−|x−y|²/(2σ²)) over pairs.
type kernel struct {
	ctx        context.Context
	d          int
	sigma      float64 // 0 for the first of them
	multiplier *Multiplier
}

// discrepancies returns the unbiased estimates of the squared maximum mean
// discrepancy of subsets of x and y, which are given by their rows in order.
// All pairs are computed once where that is less work than the pairs of each
// subset.
func (k kernel) discrepancies(x, y *tensor.Tensor, xs, ys [][]int, show progress.Progress) ([]float64, error) {
	values := make([]float64, len(xs))
	nx, ny, m := x.Shape()[0], y.Shape()[0], len(xs[0])
	all := float64(nx)*float64(nx)/2 + float64(ny)*float64(ny)/2 + float64(nx)*float64(ny)
	if each := 2 * float64(m) * float64(m) * float64(len(xs)); all <= each {
		stage := progress.Begin(show, "kernel distance", 0, "tiles")
		defer stage.Done()
		return values, k.add(values, picked{x, identity(nx)}, picked{y, identity(ny)}, xs, ys, stage)
	}
	stage := progress.Begin(show, "kernel distance", int64(len(xs)), "subsets")
	defer stage.Done()
	whole := [][]int{identity(m)}
	for i := range xs {
		if err := k.add(values[i:i+1], picked{x, xs[i]}, picked{y, ys[i]}, whole, whole, progress.Silent{}); err != nil {
			return nil, err
		}
		stage.Add(1)
	}
	return values, nil
}

// add adds to each value the discrepancy of one subset of x and one of y.
func (k kernel) add(values []float64, x, y picked, xs, ys [][]int, stage progress.Stage) error {
	m := float64(len(xs[0]))
	for _, part := range []struct {
		a, b   picked
		as, bs [][]int
		within bool
		scale  float64
	}{
		{x, x, xs, xs, true, 1 / (m * (m - 1))},
		{y, y, ys, ys, true, 1 / (m * (m - 1))},
		{x, y, xs, ys, false, -2 / (m * m)},
	} {
		sums, err := k.sums(part.a, part.b, part.as, part.bs, part.within, stage)
		if err != nil {
			return err
		}
		for i, v := range sums {
			values[i] += v * part.scale
		}
	}
	return nil
}

// sums returns for every subset the sum of the kernel over its pairs of rows
// of a and b. Within one set, a row is no partner of itself, and the half of
// the tiles that mirrors the other is not computed.
func (k kernel) sums(a, b picked, as, bs [][]int, within bool, stage progress.Stage) ([]float64, error) {
	totals := make([]float64, len(as))
	for i := 0; i < len(a.rows); i += tile {
		left := a.tile(i, k.d)
		first := 0
		if within {
			first = i
		}
		for j := first; j < len(b.rows); j += tile {
			right := b.tile(j, k.d)
			values, err := k.multiplier.times(k.ctx, left, right)
			if err != nil {
				return nil, err
			}
			k.apply(values, left, right)
			times := 1.0
			switch {
			case within && i == j:
				for r := range values.RawMatrix().Rows {
					values.Set(r, r, 0)
				}
			case within:
				times = 2
			}
			for s := range as {
				totals[s] += times * subsetSum(values, between(as[s], i), between(bs[s], j), i, j)
			}
			stage.Add(1)
		}
	}
	return totals, nil
}

// apply turns the products of rows of two tiles into kernels.
func (k kernel) apply(products, left, right *mat.Dense) {
	if k.sigma == 0 {
		values := products.RawMatrix().Data
		for i, v := range values {
			v = v/float64(k.d) + 1
			values[i] = v * v * v
		}
		return
	}
	squares := func(rows *mat.Dense) []float64 {
		out := make([]float64, rows.RawMatrix().Rows)
		for i := range out {
			out[i] = dot(rows.RawRowView(i), rows.RawRowView(i))
		}
		return out
	}
	x, y := squares(left), squares(right)
	for i, xx := range x {
		row := products.RawRowView(i)
		for j, v := range row {
			row[j] = math.Exp((2*v - xx - y[j]) / (2 * k.sigma * k.sigma))
		}
	}
}

// subsetSum sums the values at rows and columns that are counted from the
// tile's beginning on.
func subsetSum(values *mat.Dense, rows, columns []int, firstRow, firstColumn int) float64 {
	total := 0.0
	for _, r := range rows {
		row, sum := values.RawRowView(r-firstRow), 0.0
		for _, c := range columns {
			sum += row[c-firstColumn]
		}
		total += sum
	}
	return total
}

// between returns the part of ordered numbers that is in the tile from first on.
func between(index []int, first int) []int {
	from, _ := slices.BinarySearch(index, first)
	to, _ := slices.BinarySearch(index, first+tile)
	return index[from:to]
}

// picked is some rows of features.
type picked struct {
	features *tensor.Tensor
	rows     []int
}

// tile returns the rows from first on, at most a tile of them.
func (p picked) tile(first, d int) *mat.Dense {
	n := min(tile, len(p.rows)-first)
	m := mat.NewDense(n, d, nil)
	for i := range n {
		copyRow(m.RawRowView(i), p.features, p.rows[first+i])
	}
	return m
}
