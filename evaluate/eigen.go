package evaluate

import (
	"context"
	"errors"
	"math"
	"sync"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/gonum"
	"gonum.org/v1/gonum/mat"
)

// band is the number of diagonals beside the main one of the first stage.
const band = 32

// eigenvalues returns the eigenvalues of a symmetric matrix in ascending order, to some rounding errors of the
// largest. Householder reflections bring it to a band, by products of matrices, and the band to three diagonals
// (Bischof, Lang and Sun 2000): products with single vectors, which go over all of the matrix for every column, have only the
// band to go over.
func eigenvalues(ctx context.Context, a *mat.Dense, multiplier *Multiplier) ([]float64, error) {
	b, err := toBand(ctx, a, multiplier)
	if err != nil {
		return nil, err
	}
	diagonal, beside, err := b.toThree(ctx)
	if err != nil {
		return nil, err
	}
	if !(gonum.Implementation{}).Dsterf(b.n, diagonal, beside) {
		return nil, errors.New("eigenvalues: no convergence")
	}
	return diagonal, nil
}

// banded is the lower half of a symmetric matrix, of rows [i−2·band … i]: the inner
// half of them the band, and the outer one room for what moves through it.
type banded struct {
	n    int
	rows []float64
}

const bandRow = 2*band + 1

// row returns the elements of row i from column from on, up to column to.
func (b *banded) row(i, from, to int) []float64 {
	at := i*bandRow + 2*band - i
	return b.rows[at+from : at+to]
}

// toBand reduces a, with [head rest] the columns of what is left of it: a panel of columns is brought to a triangle
// below the diagonal by Q = 1 − V·T·Vᵀ, and the rest becomes
//
//	QᵀAQ = A − X·Vᵀ − V·Xᵀ,   X = W − ½V·Tᵀ·Vᵀ·W,   W = A·V·T
func toBand(ctx context.Context, a *mat.Dense, multiplier *Multiplier) (*banded, error) {
	n, _ := a.Dims()
	out := &banded{n: n, rows: make([]float64, n*bandRow)}
	head, rest := mat.DenseCopyOf(a.Slice(0, n, 0, min(band, n))), dropHead(a)
	for first := 0; ; first += band {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		width := min(band, n-first)
		if rest == nil {
			out.put(first, head)
			return out, nil
		}
		m, _ := rest.Dims()
		v, t := triangle(head.Slice(width, width+m, 0, width).(*mat.Dense))
		out.put(first, head)

		w, err := multiplier.times(ctx, rest, mat.DenseCopyOf(v.T()))
		if err != nil {
			return nil, err
		}
		var x, small mat.Dense
		x.Mul(w, t)
		small.Mul(v.T(), &x)
		small.Mul(t.T(), mat.DenseCopyOf(&small))
		small.Scale(0.5, &small)
		var half mat.Dense
		half.Mul(v, &small)
		x.Sub(&x, &half)

		// [X V]·[V X]ᵀ for the next panel, and for what is behind it.
		left, right := mat.NewDense(m, 2*width, nil), mat.NewDense(m, 2*width, nil)
		for i := range m {
			copy(left.RawRowView(i), x.RawRowView(i))
			copy(left.RawRowView(i)[width:], v.RawRowView(i))
			copy(right.RawRowView(i), v.RawRowView(i))
			copy(right.RawRowView(i)[width:], x.RawRowView(i))
		}
		next := min(band, m)
		var change mat.Dense
		change.Mul(left, right.Slice(0, next, 0, 2*width).T())
		head = mat.NewDense(m, next, nil)
		head.Sub(rest.Slice(0, m, 0, next), &change)
		if m == next {
			rest = nil
			continue
		}
		product, err := multiplier.times(ctx, dropRows(left, next), dropRows(right, next))
		if err != nil {
			return nil, err
		}
		inHalves(m-next, func(from, to int) {
			for i := from; i < to; i++ {
				row := rest.RawRowView(next + i)[next:]
				for j, p := range product.RawRowView(i) {
					product.RawRowView(i)[j] = row[j] - p
				}
			}
		})
		rest = product
	}
}

// dropHead returns a copy of the matrix without the rows and columns of the first panel, nil where none are left.
func dropHead(a *mat.Dense) *mat.Dense {
	n, _ := a.Dims()
	if n <= band {
		return nil
	}
	return mat.DenseCopyOf(a.Slice(band, n, band, n))
}

// dropRows returns the rows of a from first on, which share its memory.
func dropRows(a *mat.Dense, first int) *mat.Dense {
	n, columns := a.Dims()
	return mat.NewDense(n-first, columns, a.RawMatrix().Data[first*columns:])
}

// put stores a finished panel, whose first row is on the diagonal.
func (b *banded) put(first int, head *mat.Dense) {
	rows, width := head.Dims()
	for i := range min(rows, band+width) {
		for j := max(0, i-band); j < min(width, i+1); j++ {
			b.row(first+i, first+j, first+j+1)[0] = head.At(i, j)
		}
	}
}

// triangle brings a [m width] to an upper triangle in place, by 1 − V·T·Vᵀ.
func triangle(a *mat.Dense) (v, t *mat.Dense) {
	m, width := a.Dims()
	v, t = mat.NewDense(m, width, nil), mat.NewDense(width, width, nil)
	columns := mat.DenseCopyOf(a.T())
	for k := range min(m, width) {
		x := columns.RawRowView(k)[k:]
		reflector := append([]float64(nil), x...)
		var length float64
		tau := householder(reflector, &length)
		clear(x)
		x[0] = length
		for j := k + 1; j < width; j++ {
			y := columns.RawRowView(j)[k:]
			addScaled(y, -tau*dot(y, reflector), reflector)
		}
		for i, value := range reflector {
			v.Set(k+i, k, value)
		}
		// T grows by a column, −τ·T·Vᵀv above τ.
		t.Set(k, k, tau)
		along := make([]float64, k)
		for i, value := range reflector {
			addScaled(along, value, v.RawRowView(k + i)[:k])
		}
		for i := range k {
			t.Set(i, k, -tau*dot(t.RawRowView(i)[i:k], along[i:]))
		}
	}
	a.Copy(columns.T())
	return v, t
}

// toThree brings the band to three diagonals, and returns the main one and the one beside it. A reflection takes a
// column to one element beside the diagonal; what that puts outside of the band is taken back by one reflection
// after the other, each of the band's width further down.
func (b *banded) toThree(ctx context.Context) (diagonal, beside []float64, err error) {
	v, w := make([]float64, band), make([]float64, band)
	for j := 0; j+2 < b.n; j++ {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		column, from := j, j+1
		for from < b.n {
			to := min(from+band, b.n)
			v := v[:to-from]
			tau := b.clearColumn(column, from, v)
			// The reflection from the left on what is in the rows beside the column, from both
			// sides on the diagonal, and from the right below.
			b.fromLeft(from, column+1, tau, v, w)
			b.fromBoth(from, tau, v, w)
			below := min(to+band, b.n)
			for i := to; i < below; i++ {
				row := b.row(i, from, to)
				addScaled(row, -tau*dot(row, v), v)
			}
			column, from = from, to
		}
	}
	diagonal, beside = make([]float64, b.n), make([]float64, max(b.n-1, 1))
	for i := range b.n {
		diagonal[i] = b.row(i, i, i+1)[0]
		if i > 0 {
			beside[i-1] = b.row(i, i-1, i)[0]
		}
	}
	return diagonal, beside, nil
}

// clearColumn finds the reflection v of rows from one on that leaves one element of a column, and applies it there.
func (b *banded) clearColumn(column, from int, v []float64) (tau float64) {
	for i := range v {
		v[i] = b.row(from+i, column, column+1)[0]
	}
	var length float64
	tau = householder(v, &length)
	for i := range v {
		b.row(from+i, column, column+1)[0] = 0
	}
	b.row(from, column, column+1)[0] = length
	return tau
}

// fromLeft reflects len(v) rows from one on, of the columns from first up to from.
func (b *banded) fromLeft(from, first int, tau float64, v, w []float64) {
	if first >= from {
		return
	}
	sum := w[:from-first]
	clear(sum)
	for i, value := range v {
		addScaled(sum, value, b.row(from+i, first, from))
	}
	for i, value := range v {
		addScaled(b.row(from+i, first, from), -tau*value, sum)
	}
}

// fromBoth reflects len(v) rows and columns from one on: A − v·wᵀ − w·vᵀ, w = p − ½τ(pᵀv)·v, p = τ·A·v.
func (b *banded) fromBoth(from int, tau float64, v, w []float64) {
	w = w[:len(v)]
	clear(w)
	for i, value := range v {
		row := b.row(from+i, from, from+i+1)
		w[i] += dot(row, v[:i+1])
		addScaled(w[:i], value, row[:i])
	}
	along := dot(w, v)
	for i := range w {
		w[i] = tau * (w[i] - 0.5*tau*along*v[i])
	}
	for i, value := range v {
		row := b.row(from+i, from, from+i+1)
		addScaled(row, -value, w[:i+1])
		addScaled(row, -w[i], v[:i+1])
	}
}

// addScaled adds s·x to y.
func addScaled(y []float64, s float64, x []float64) {
	for i, value := range x {
		y[i] += s * value
	}
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
