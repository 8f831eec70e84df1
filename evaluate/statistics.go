package evaluate

import (
	"context"
	"errors"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"ebm/models/tensor"
)

// Statistics are the mean and covariance of the features of samples.
type Statistics struct {
	Mean       []float64 // [d]
	Covariance []float64 // [d, d] in row-major order, symmetric, divided by Count−1
	Count      int       // samples; 0 when a file does not say

	fromSamples bool // whether an Accumulator made them
}

// blockRows is the number of samples whose products are summed at once: large
// enough for the matrix product to run at its speed, small enough for memory.
const blockRows = 512

// Accumulator gathers the mean and covariance of features that come in
// batches. It takes 8·d·(d + 512) bytes whatever the number of samples. The
// result does not depend on how the samples are cut into batches, bit for bit.
// It is not safe for use by several goroutines: give each its own and merge.
type Accumulator struct {
	// Multiplier computes products through ONNX Runtime; nil, as it is at
	// first, in Go. The two round differently.
	Multiplier *Multiplier

	d       int
	n       int        // samples in mean and scatter
	mean    []float64  // of n samples
	scatter *mat.Dense // sum of (x−mean)(x−mean)ᵀ over n samples
	block   []float64  // samples that are not in them yet, [·, d]
}

// NewAccumulator starts with no samples of d features. It is an error unless
// 0 < d ≤ 32768.
func NewAccumulator(d int) (*Accumulator, error) {
	if d < 1 || d > 1<<15 {
		return nil, fmt.Errorf("statistics of %d features, want 1 to %d", d, 1<<15)
	}
	return &Accumulator{d: d, mean: make([]float64, d), scatter: mat.NewDense(d, d, nil), block: make([]float64, 0, blockRows*d)}, nil
}

// Count returns the number of samples so far.
func (a *Accumulator) Count() int { return a.n + len(a.block)/a.d }

// Add adds features [n, d]. Features that are not finite or of another number
// are errors that leave a as it was.
func (a *Accumulator) Add(features *tensor.Tensor) error {
	n, d, err := checkFeatures("features", features)
	if err != nil {
		return err
	}
	if d != a.d {
		return fmt.Errorf("samples have %d features, those before had %d", d, a.d)
	}
	for i := range n {
		end := len(a.block) + d
		a.block = a.block[:end]
		copyRow(a.block[end-d:], features, i)
		if end == cap(a.block) {
			if err := a.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush moves the block into the mean and scatter.
func (a *Accumulator) flush() error {
	n := len(a.block) / a.d
	if n == 0 {
		return nil
	}
	mean := make([]float64, a.d)
	for i := range n {
		for j, x := range a.block[i*a.d : (i+1)*a.d] {
			mean[j] += x
		}
	}
	for j := range mean {
		mean[j] /= float64(n)
	}
	centred := mat.NewDense(a.d, n, nil) // a column for each sample
	for j := range mean {
		row := centred.RawRowView(j)
		for i := range row {
			row[i] = a.block[i*a.d+j] - mean[j]
		}
	}
	scatter, err := a.Multiplier.times(context.Background(), centred, centred)
	if err != nil {
		return err
	}
	a.combine(n, mean, scatter)
	a.block = a.block[:0]
	return nil
}

// combine adds n samples with their mean and scatter. With δ the difference
// of the means, the scatter grows by that of the n and by δδᵀ·na·n/(na+n).
func (a *Accumulator) combine(n int, mean []float64, scatter *mat.Dense) {
	na, nb := float64(a.n), float64(n)
	total := na + nb
	a.scatter.Add(a.scatter, scatter)
	delta := make([]float64, a.d)
	for j := range delta {
		delta[j] = mean[j] - a.mean[j]
		a.mean[j] += delta[j] * (nb / total)
	}
	if a.n > 0 {
		v := mat.NewVecDense(a.d, delta)
		a.scatter.RankOne(a.scatter, na*nb/total, v, v)
	}
	a.n += n
}

// Merge adds the samples of b, which is left as it was.
func (a *Accumulator) Merge(b *Accumulator) error {
	if a.d != b.d {
		return fmt.Errorf("samples have %d features, those before had %d", b.d, a.d)
	}
	other := b.clone()
	if err := errors.Join(other.flush(), a.flush()); err != nil {
		return err
	}
	if other.n > 0 {
		a.combine(other.n, other.mean, other.scatter)
	}
	return nil
}

func (a *Accumulator) clone() *Accumulator {
	return &Accumulator{
		Multiplier: a.Multiplier, d: a.d, n: a.n, mean: append([]float64(nil), a.mean...), scatter: mat.DenseCopyOf(a.scatter),
		block: append(make([]float64, 0, cap(a.block)), a.block...),
	}
}

// Statistics returns the mean and covariance so far; more may be added. Fewer
// than two samples have no covariance, which is an error.
func (a *Accumulator) Statistics() (*Statistics, error) {
	if a.Count() < 2 {
		return nil, fmt.Errorf("statistics of %d samples, want 2 at least: one sample has no covariance", a.Count())
	}
	c := a.clone()
	if err := c.flush(); err != nil {
		return nil, err
	}
	covariance := c.scatter.RawMatrix().Data
	scale := 1 / float64(c.n-1)
	for i := range c.d {
		for j := range i + 1 {
			// Both halves are sums of the same products; the mean makes them equal.
			v := (covariance[i*c.d+j] + covariance[j*c.d+i]) / 2 * scale
			covariance[i*c.d+j], covariance[j*c.d+i] = v, v
		}
	}
	return &Statistics{Mean: c.mean, Covariance: covariance, Count: c.n, fromSamples: true}, nil
}

// StatisticsOf returns the statistics of features [n, d], n ≥ 2.
func StatisticsOf(features *tensor.Tensor) (*Statistics, error) { return statisticsBy(nil, features) }

// StatisticsOf is the same with products by m, which may be nil.
func (m *Multiplier) StatisticsOf(features *tensor.Tensor) (*Statistics, error) {
	return statisticsBy(m, features)
}

func statisticsBy(m *Multiplier, features *tensor.Tensor) (*Statistics, error) {
	if features == nil || features.Rank() != 2 {
		return nil, fmt.Errorf("features: %v, want the shape [samples, features]", features)
	}
	a, err := NewAccumulator(features.Shape()[1])
	if err != nil {
		return nil, err
	}
	a.Multiplier = m
	if err := a.Add(features); err != nil {
		return nil, err
	}
	return a.Statistics()
}
