package evaluate

import (
	"context"
	"errors"
	"math"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/gonum"
	"gonum.org/v1/gonum/mat"
)

// panel is the number of columns that are reduced before the rest of the matrix is updated.
const panel = 32

// eigenvalues returns the eigenvalues of a symmetric matrix in ascending order, to some rounding errors of the
// largest. It overwrites a. Householder reflections bring the matrix to three diagonals, a panel of columns at a time:
// what they need of the rest are products with single vectors, which two halves of the rows share, and the rest is
// updated by products of matrices (Dongarra, Sorensen and Hammarling 1989, as LAPACK's dlatrd).
func eigenvalues(ctx context.Context, a *mat.Dense, multiplier *Multiplier) ([]float64, error) {
	n, _ := a.Dims()
	diagonal, beside := make([]float64, n), make([]float64, max(n-1, 1))
	for first := 0; first < n; first += panel {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		width := min(panel, n-first)
		v, w := reduce(a, first, width, diagonal, beside)
		rest := n - first - width
		if rest == 0 {
			break
		}
		// A − V·Wᵀ − W·Vᵀ below the panel, as one product.
		left, right := mat.NewDense(rest, 2*width, nil), mat.NewDense(rest, 2*width, nil)
		for i := range rest {
			vi, wi := v.RawRowView(first+width+i), w.RawRowView(first+width+i)
			copy(left.RawRowView(i), vi)
			copy(left.RawRowView(i)[width:], wi)
			copy(right.RawRowView(i), wi)
			copy(right.RawRowView(i)[width:], vi)
		}
		product, err := multiplier.times(ctx, left, right)
		if err != nil {
			return nil, err
		}
		inHalves(rest, func(from, to int) {
			for i := from; i < to; i++ {
				row := a.RawRowView(first + width + i)[first+width:]
				for j, p := range product.RawRowView(i) {
					row[j] -= p
				}
			}
		})
	}
	if !(gonum.Implementation{}).Dsterf(n, diagonal, beside) {
		return nil, errors.New("eigenvalues: no convergence")
	}
	return diagonal, nil
}

// reduce brings width columns from first on to three diagonals. It returns V and W, in the rows of a, by which
// the rest of the matrix changes, and which the columns of the panel have seen already.
func reduce(a *mat.Dense, first, width int, diagonal, beside []float64) (v, w *mat.Dense) {
	n, _ := a.Dims()
	v, w = mat.NewDense(n, width, nil), mat.NewDense(n, width, nil)
	column, product := make([]float64, n), make([]float64, n)
	for k := range width {
		at := first + k
		// The column as the reflections before it in the panel left it. A row is the same, and lies together.
		copy(column[at:], a.RawRowView(at)[at:])
		vk, wk := v.RawRowView(at)[:k], w.RawRowView(at)[:k]
		for i := at; i < n; i++ {
			column[i] -= dot(v.RawRowView(i)[:k], wk) + dot(w.RawRowView(i)[:k], vk)
		}
		diagonal[at] = column[at]
		if at == n-1 {
			break
		}
		x := column[at+1:]
		tau := householder(x, &beside[at])
		for i, value := range x {
			v.Set(at+1+i, k, value)
		}
		if tau == 0 {
			continue
		}
		// p = τ·(A − V·Wᵀ − W·Vᵀ)·x, w = p − ½τ(pᵀx)·x.
		p := product[at+1:]
		rest := a.Slice(at+1, n, at+1, n).(*mat.Dense).RawMatrix()
		inHalves(rest.Rows, func(from, to int) {
			half := rest
			half.Rows, half.Data = to-from, rest.Data[from*rest.Stride:]
			blas64.Gemv(blas.NoTrans, 1, half, blas64.Vector{N: len(x), Inc: 1, Data: x}, 0,
				blas64.Vector{N: to - from, Inc: 1, Data: p[from:to]})
		})
		vx, wx := make([]float64, k), make([]float64, k)
		for i, value := range x {
			for j, vij := range v.RawRowView(at + 1 + i)[:k] {
				vx[j] += vij * value
			}
			for j, wij := range w.RawRowView(at + 1 + i)[:k] {
				wx[j] += wij * value
			}
		}
		along := 0.0
		for i := range p {
			p[i] = tau * (p[i] - dot(v.RawRowView(at + 1 + i)[:k], wx) - dot(w.RawRowView(at + 1 + i)[:k], vx))
			along += p[i] * x[i]
		}
		for i := range p {
			w.Set(at+1+i, k, p[i]-0.5*tau*along*x[i])
		}
	}
	return v, w
}

// householder turns x into the vector v, v[0] = 1, of the reflection 1 − τ·v·vᵀ that brings x to its first
// axis, where length is left.
func householder(x []float64, length *float64) (tau float64) {
	norm := blas64.Nrm2(blas64.Vector{N: len(x), Inc: 1, Data: x})
	if norm == math.Abs(x[0]) {
		*length = x[0]
		clear(x)
		return 0
	}
	beta := -math.Copysign(norm, x[0])
	tau = (beta - x[0]) / beta
	scale := 1 / (x[0] - beta)
	for i := range x {
		x[i] *= scale
	}
	x[0], *length = 1, beta
	return tau
}

// inHalves calls work with the two halves of 0…n−1, side by side.
func inHalves(n int, work func(from, to int)) {
	var other sync.WaitGroup
	other.Go(func() { work(n/2, n) })
	work(0, n/2)
	other.Wait()
}
