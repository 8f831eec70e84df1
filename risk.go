package ebm

import (
	"context"
	"fmt"
	"math"

	"ebm/models/rng"
	"ebm/models/tensor"
)

// Level returns, for each of x [N …], the noise level that its denoising jump D(x)
// measures: σ̂ = ‖x − D(x)‖/√d for d values (Kadkhodaie and Simoncelli 2021). It is a
// little low where the noise is weak, since D keeps a part of it.
func Level(x, denoised *tensor.Tensor) []float64 {
	levels := make([]float64, x.Shape()[0])
	each := x.Len() / max(len(levels), 1)
	a, b := x.Float64s(), denoised.Float64s()
	for i := range a {
		levels[i/each] += (a[i] - b[i]) * (a[i] - b[i]) / float64(each)
	}
	for i, v := range levels {
		levels[i] = math.Sqrt(v)
	}
	return levels
}

// Risk estimates, for each of x [N …] with noise of levels sigma, the mean squared
// error ‖D(x) − clean‖²/d of its denoising jump without the clean picture, by Stein's
// unbiased estimate
//
//	‖x − D(x)‖²/d − σ² + 2σ² div D(x)/d,  div D = d − σ₀² tr ∇²E(x)
//
// ("Estimation of the mean of a multivariate normal distribution", 1981), with the
// trace by Hutchinson's estimate over some probes, vectors of ±1 that the seed draws.
// An estimate may be negative.
func (e *Engine) Risk(ctx context.Context, x, denoised *tensor.Tensor, sigma []float64, probes int, seed uint64) ([]float64, error) {
	n := x.Shape()[0]
	switch {
	case probes < 1:
		return nil, fmt.Errorf("%d probes, want one or more", probes)
	case len(sigma) != n || denoised.Shape()[0] != n:
		return nil, fmt.Errorf("%d noise levels and %d denoised pictures of %d pictures, want as many", len(sigma), denoised.Shape()[0], n)
	}
	if err := e.Model.KnowsSigma0(); err != nil {
		return nil, err
	}
	each := x.Len() / max(n, 1)
	traces := make([]float64, n)
	u := make([]float32, each)
	for p := range probes {
		v := tensor.New(tensor.Float32, x.Shape()...)
		for i := range n {
			rng.New(seed).Uniform(u, rng.Probe, uint64(i), uint32(p+1))
			for j, r := range u {
				tensor.Data[float32](v)[i*each+j] = 1
				if r < 0.5 {
					tensor.Data[float32](v)[i*each+j] = -1
				}
			}
		}
		product, err := e.HessianVector(ctx, x, v)
		if err != nil {
			return nil, err
		}
		for i, h := range tensor.Data[float32](product) {
			traces[i/each] += float64(h) * float64(tensor.Data[float32](v)[i]) / float64(probes)
		}
	}
	risks := Level(x, denoised)
	for i, level := range risks {
		s2, s0 := sigma[i]*sigma[i], e.Model.Sigma0
		risks[i] = level*level - s2 + 2*s2*(1-s0*s0*traces[i]/float64(each))
	}
	return risks, nil
}
