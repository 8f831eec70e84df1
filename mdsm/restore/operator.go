package restore

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"ebm/internal/memory"
	"ebm/models/tensor"
)

// Operator is a linear map A of x to M measurements, by its singular values that
// are not zero: A = U diag(s) Vᵀ, with U [M R] and V [D R].
type Operator struct {
	Name     string
	Rows     int       // M
	Singular []float64 // s [R], all positive

	shape []int       // of x, of D values
	left  []float64   // U in rows [M R]; nil where component j measures row from[j] alone
	from  []int       // [R]
	right []direction // the rows of Vᵀ [R]
}

// direction is a vector of x's values that are not 0.
type direction struct {
	at      []int // places in x, ascending; nil for all
	factors []float64
}

// dot returns the product with x.
func (v direction) dot(x []float64) (sum float64) {
	for i, f := range v.factors {
		if v.at == nil {
			sum += f * x[i]
		} else {
			sum += f * x[v.at[i]]
		}
	}
	return sum
}

// addTo adds c times the vector to x.
func (v direction) addTo(x []float64, c float64) {
	for i, f := range v.factors {
		if v.at == nil {
			x[i] += c * f
		} else {
			x[v.at[i]] += c * f
		}
	}
}

// mostEntries bounds a dense matrix: 2 GB of float64.
const mostEntries = 1 << 28

// Row is a row of a sparse matrix: the factors of some values of x.
type Row map[int]float64

// FromMatrix returns the operator of a matrix [M D] of finite numbers for x of a
// shape with D values. Its singular values are computed unless no two rows share
// a value of x; those below 1e-7 of the largest count as zero.
func FromMatrix(name string, matrix *tensor.Tensor, shape []int) (*Operator, error) {
	d := tensor.Volume(shape)
	if matrix.Rank() != 2 || !matrix.DType().IsFloat() || matrix.Shape()[1] != d || matrix.Shape()[0] == 0 {
		return nil, fmt.Errorf("%s is %v, want floats of shape M and %d, the values of x %v", name, matrix, d, shape)
	}
	rows := make([]Row, matrix.Shape()[0])
	values := matrix.Float64s()
	for i := range rows {
		rows[i] = make(Row)
		for j, v := range values[i*d : (i+1)*d] {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("%s has %g in row %d, column %d, want finite numbers", name, v, i, j)
			}
			if v != 0 {
				rows[i][j] = v
			}
		}
	}
	return fromRows(name, rows, shape)
}

// fromRows returns the operator of sparse rows.
func fromRows(name string, rows []Row, shape []int) (*Operator, error) {
	a := &Operator{Name: name, Rows: len(rows), shape: slices.Clone(shape)}
	if apart(rows) {
		a.takeRows(rows)
	} else if err := a.decompose(rows); err != nil {
		return nil, err
	}
	if len(a.Singular) == 0 {
		return nil, fmt.Errorf("%s measures nothing, want a matrix that is not 0", name)
	}
	return a, nil
}

// apart reports whether no two rows share a value of x, so that they are
// orthogonal.
func apart(rows []Row) bool {
	seen := make(map[int]bool)
	for _, r := range rows {
		for j := range r {
			if seen[j] {
				return false
			}
			seen[j] = true
		}
	}
	return true
}

// takeRows makes each of orthogonal rows a component.
func (a *Operator) takeRows(rows []Row) {
	for i, r := range rows {
		v := direction{at: slices.Sorted(maps.Keys(r))} // in order, so that sums have the same bits each time
		square := 0.0
		for _, at := range v.at {
			v.factors = append(v.factors, r[at])
			square += r[at] * r[at]
		}
		if square == 0 {
			continue
		}
		norm := math.Sqrt(square)
		for k := range v.factors {
			v.factors[k] /= norm
		}
		a.Singular, a.from, a.right = append(a.Singular, norm), append(a.from, i), append(a.right, v)
	}
}

// decompose finds the singular values of any rows.
func (a *Operator) decompose(rows []Row) error {
	d := tensor.Volume(a.shape)
	if err := memory.Check("values of the matrix of "+a.Name, len(rows)*d, 32); err != nil {
		return err
	}
	if len(rows)*d > mostEntries {
		return fmt.Errorf("%s is a matrix of %d by %d, want at most %d numbers", a.Name, len(rows), d, mostEntries)
	}
	dense := mat.NewDense(len(rows), d, nil)
	for i, r := range rows {
		for j, v := range r {
			dense.Set(i, j, v)
		}
	}
	var svd mat.SVD
	if !svd.Factorize(dense, mat.SVDThin) {
		return errors.New(a.Name + ": the singular values were not found")
	}
	var u, v mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	all := svd.Values(nil)
	rank := 0
	for rank < len(all) && all[rank] > 1e-7*all[0] {
		rank++
	}
	a.Singular = all[:rank]
	a.left = make([]float64, 0, len(rows)*rank)
	for i := range rows {
		a.left = append(a.left, u.RawRowView(i)[:rank]...)
	}
	for j := range rank {
		a.right = append(a.right, direction{factors: mat.Col(nil, j, &v)})
	}
	return nil
}

// Rank returns R, the number of components that are measured.
func (a *Operator) Rank() int { return len(a.Singular) }

// Basis returns V [D R], float32.
func (a *Operator) Basis() *tensor.Tensor {
	d, r := tensor.Volume(a.shape), a.Rank()
	out := make([]float32, d*r)
	for j, v := range a.right {
		for i, f := range v.factors {
			if v.at != nil {
				i = v.at[i]
			}
			out[i*r+j] = float32(f)
		}
	}
	return tensor.Of(out, d, r)
}

// Components returns Vᵀx of one x.
func (a *Operator) Components(x []float64) []float64 {
	out := make([]float64, a.Rank())
	for j, v := range a.right {
		out[j] = v.dot(x)
	}
	return out
}

// Compose returns V c of components c.
func (a *Operator) Compose(c []float64) []float64 {
	out := make([]float64, tensor.Volume(a.shape))
	for j, f := range c {
		a.right[j].addTo(out, f)
	}
	return out
}

// Apply returns A x of one x.
func (a *Operator) Apply(x []float64) []float64 {
	c := a.Components(x)
	for j := range c {
		c[j] *= a.Singular[j]
	}
	out := make([]float64, a.Rows)
	for j, v := range c {
		if a.left == nil {
			out[a.from[j]] = v
			continue
		}
		for i := range out {
			out[i] += a.left[i*len(c)+j] * v
		}
	}
	return out
}

// Measured returns ȳ [R], the components that measurements y [M] say, diag(s)⁻¹Uᵀy.
func (a *Operator) Measured(y []float64) []float64 {
	out := make([]float64, a.Rank())
	for j := range out {
		if a.left == nil {
			out[j] = y[a.from[j]]
		} else {
			for i, v := range y {
				out[j] += a.left[i*len(out)+j] * v
			}
		}
		out[j] /= a.Singular[j]
	}
	return out
}

// Inverse returns the pseudo-inverse of measurements, V ȳ: the least x that has
// them.
func (a *Operator) Inverse(y []float64) []float64 { return a.Compose(a.Measured(y)) }

// Noise returns τ [R], the standard deviation of the measured components for
// measurements with noise of σ_y.
func (a *Operator) Noise(sigma float64) []float64 {
	out := make([]float64, a.Rank())
	for j, s := range a.Singular {
		out[j] = sigma / s
	}
	return out
}
