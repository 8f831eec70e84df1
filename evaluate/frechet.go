package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"
)

// FrechetDistance is the squared Fréchet distance of two normal distributions
// and its parts, in squared units of the features.
type FrechetDistance struct {
	Distance   float64 // Mean + Covariance
	Mean       float64 // |μa−μb|²
	Covariance float64 // Tr Σa + Tr Σb − 2 Tr √(ΣaΣb)
	Warnings   []string
}

// Frechet returns the Fréchet distance of two sets of features. Covariances
// may be singular. Equal statistics have a distance of 0, and nearly equal ones
// one of 0 up to rounding, which may be negative. Different numbers of features, and covariances with
// negative eigenvalues, are errors. ctx is looked at in between, every few milliseconds.
func Frechet(ctx context.Context, a, b *Statistics) (FrechetDistance, error) {
	return (*Multiplier)(nil).Frechet(ctx, a, b)
}

// Frechet is the same with products by m, which may be nil.
func (m *Multiplier) Frechet(ctx context.Context, a, b *Statistics) (FrechetDistance, error) {
	for _, s := range []*Statistics{a, b} {
		if err := s.check(); err != nil {
			return FrechetDistance{}, fmt.Errorf("statistics: %w", err)
		}
	}
	if len(a.Mean) != len(b.Mean) {
		return FrechetDistance{}, fmt.Errorf("statistics of %d and of %d features: two networks made them", len(a.Mean), len(b.Mean))
	}
	if err := ctx.Err(); err != nil {
		return FrechetDistance{}, err
	}
	out := FrechetDistance{Warnings: append(a.fewSamples("first"), b.fewSamples("second")...)}
	if slices.Equal(a.Mean, b.Mean) && slices.Equal(a.Covariance, b.Covariance) {
		return out, nil
	}
	shared, err := m.sharedTrace(ctx, a, b)
	if err != nil {
		return FrechetDistance{}, err
	}
	d := len(a.Mean)
	out.Covariance = -2 * shared
	for i := range d {
		diff := a.Mean[i] - b.Mean[i]
		out.Mean += diff * diff
		out.Covariance += a.Covariance[i*d+i] + b.Covariance[i*d+i]
	}
	out.Distance = out.Mean + out.Covariance
	return out, nil
}

// fewSamples says how a small number of samples moves the distance.
func (s *Statistics) fewSamples(which string) []string {
	switch d := len(s.Mean); {
	case s.Count == 0 || s.Count >= fewSamples:
		return nil
	case s.Count <= d:
		return []string{fmt.Sprintf("the %s statistics are of %d samples for %d features, so their covariance is singular: the Fréchet "+
			"distance is far too large, want %d samples or more", which, s.Count, d, fewSamples)}
	default:
		return []string{fmt.Sprintf("the %s statistics are of %d samples: the Fréchet distance is biased upward, want %d samples or more",
			which, s.Count, fewSamples)}
	}
}

// sharedTrace returns Tr √(ΣaΣb), the sum of the roots of the eigenvalues of U·Σb·Uᵀ, where Σa = UᵀU. The rows of a
// pivoted Cholesky factor get shorter one after the other and so do the rows and columns of the product, which the
// reduction to a band goes over from the longest on: small eigenvalues keep their digits (Barlow and
// Demmel 1990), where those of a matrix without that order would be rounding errors of the largest.
func (m *Multiplier) sharedTrace(ctx context.Context, a, b *Statistics) (float64, error) {
	if !a.fromSamples && b.fromSamples || b.Count > 0 && b.Count < a.Count {
		a, b = b, a
	}
	var unchecked error
	done := make(chan struct{})
	go func() {
		defer close(done)
		if !b.fromSamples {
			unchecked = b.factor().check(b)
		}
	}()
	u := a.factor()
	var err error
	if !a.fromSamples {
		err = u.check(a)
	}
	<-done
	if err = errors.Join(err, unchecked); err != nil || u.rank == 0 {
		return 0, err
	}
	product, err := m.congruent(ctx, u, b.Covariance)
	if err != nil {
		return 0, err
	}
	values, err := eigenvalues(ctx, product, m)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, v := range values {
		if v > 0 {
			sum += math.Sqrt(v)
		}
	}
	return sum, nil
}

// factor is U of Σ = UᵀU with its columns, and those of Σ, in the order of the pivots.
type factor struct {
	upper  *mat.Dense // [rank d], zeros below the diagonal; nil for a rank of 0
	pivots []int      // of the columns
	rank   int
}

func (s *Statistics) factor() factor {
	d := len(s.Mean)
	data, f := slices.Clone(s.Covariance), factor{pivots: make([]int, d)}
	sigma := blas64.Symmetric{N: d, Stride: d, Data: data, Uplo: blas.Upper}
	if _, f.rank, _ = lapack64.Pstrf(sigma, f.pivots, -1, make([]float64, 2*d)); f.rank == 0 {
		return f
	}
	for k := range f.rank {
		clear(data[k*d : k*d+k])
	}
	f.upper = mat.NewDense(f.rank, d, data[:f.rank*d])
	return f
}

// congruent returns U·Σ·Uᵀ [rank rank]. Of the products of blocks of U, those with zeros alone are left out.
func (m *Multiplier) congruent(ctx context.Context, u factor, covariance []float64) (*mat.Dense, error) {
	d := len(u.pivots)
	sigma := mat.NewDense(d, d, nil) // in the order of the pivots
	for i, p := range u.pivots {
		row := sigma.RawRowView(i)
		for j, q := range u.pivots {
			row[j] = covariance[p*d+q]
		}
	}
	out := mat.NewDense(u.rank, u.rank, nil)
	block := (u.rank + 3) / 4
	for first := 0; first < u.rank; first += block {
		end := min(first+block, u.rank)
		rows := mat.DenseCopyOf(u.upper.Slice(first, end, first, d))
		half, err := m.times(ctx, rows, mat.DenseCopyOf(sigma.Slice(0, d, first, d)))
		if err != nil {
			return nil, err
		}
		// The columns from first on: those before are the same by symmetry.
		for from := first; from < u.rank; from += block {
			to := min(from+block, u.rank)
			part, err := m.times(ctx, mat.DenseCopyOf(half.Slice(0, end-first, from, d)), mat.DenseCopyOf(u.upper.Slice(from, to, from, d)))
			if err != nil {
				return nil, err
			}
			out.Slice(first, end, from, to).(*mat.Dense).Copy(part)
			out.Slice(from, to, first, end).(*mat.Dense).Copy(part.T())
		}
	}
	return out, nil
}

// check finds covariances with negative eigenvalues, where the factorization
// stops as if the rest were 0. Those that samples gave have none.
func (f factor) check(s *Statistics) error {
	d := len(s.Mean)
	if f.rank == d {
		return nil
	}
	product := mat.NewDense(d, d, nil)
	if f.upper != nil {
		product.Mul(f.upper.T(), f.upper)
	}
	largest, rest := 0.0, 0.0
	for i, p := range f.pivots {
		largest = max(largest, math.Abs(s.Covariance[p*d+p]))
		for j, q := range f.pivots {
			rest = max(rest, math.Abs(s.Covariance[p*d+q]-product.At(i, j)))
		}
	}
	// Statistics in float32 have negative eigenvalues of its rounding.
	if rest > 1e-5*largest {
		return fmt.Errorf("the covariance has negative eigenvalues: beside its positive part, entries of %g remain where the largest variance "+
			"is %g", rest, largest)
	}
	return nil
}
