package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

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

// sharedTrace returns Tr √(ΣaΣb), the sum of the roots of the eigenvalues of LᵀΣbL, where Σa = LLᵀ. The columns of a
// pivoted Cholesky factor get shorter one after the other and so do the rows and columns of the product, which the
// reduction to three diagonals goes over from the longest on: small eigenvalues keep their digits (Barlow and
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
			_, unchecked = b.factor()
		}
	}()
	l, err := a.factor()
	<-done
	if err = errors.Join(err, unchecked); err != nil || l == nil {
		return 0, err
	}
	d := len(b.Mean)
	left := mat.DenseCopyOf(l.T())
	product, err := m.times(ctx, left, mat.NewDense(d, d, b.Covariance))
	if err != nil {
		return 0, err
	}
	if product, err = m.times(ctx, product, left); err != nil {
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

// factor returns L [d, rank] with Σ = L·Lᵀ, nil for a rank of 0.
func (s *Statistics) factor() (*mat.Dense, error) {
	d := len(s.Mean)
	sigma := mat.NewSymDense(d, append([]float64(nil), s.Covariance...))
	var cholesky mat.PivotedCholesky
	cholesky.Factorize(sigma, -1)
	rank := cholesky.Rank()
	if rank == 0 {
		return nil, s.checkFactor(nil)
	}
	pivots := cholesky.ColumnPivots(nil)
	upper := cholesky.RawU()
	l := mat.NewDense(d, rank, nil)
	for k := range rank {
		for i := k; i < d; i++ {
			l.Set(pivots[i], k, upper.At(k, i))
		}
	}
	if rank < d {
		return l, s.checkFactor(l)
	}
	return l, nil
}

// checkFactor finds covariances with negative eigenvalues, where the
// factorization stops as if the rest were 0. Those that samples gave have none.
func (s *Statistics) checkFactor(l *mat.Dense) error {
	if s.fromSamples {
		return nil
	}
	d := len(s.Mean)
	product := mat.NewDense(d, d, nil)
	if l != nil {
		product.Mul(l, l.T())
	}
	largest, rest := 0.0, 0.0
	for i := range d {
		largest = max(largest, math.Abs(s.Covariance[i*d+i]))
		for j := range d {
			rest = max(rest, math.Abs(s.Covariance[i*d+j]-product.At(i, j)))
		}
	}
	// Statistics in float32 have negative eigenvalues of its rounding.
	if rest > 1e-5*largest {
		return fmt.Errorf("the covariance has negative eigenvalues: beside its positive part, entries of %g remain where the largest variance "+
			"is %g", rest, largest)
	}
	return nil
}
