package ebm

import (
	"context"

	"ebm/models/rng"
	"ebm/models/tensor"
)

// Loss returns the denoising loss of each of float32 x [N …], the mean over noise levels σ of
//
//	‖x − x̃ + σ₀²∇E(x̃)‖² / σ²,  x̃ = x + σ·n
//
// (eq. 7 of the paper before its mean over x), without a unit. It is high where the model
// does not bring x back. The noise n of x number first + i depends on that number, the level's
// place and the seed alone.
func (e *Engine) Loss(ctx context.Context, x *tensor.Tensor, sigmas []float64, seed, first uint64) ([]float64, error) {
	n := x.Shape()[0]
	each := x.Len() / max(n, 1)
	loss, noise := make([]float64, n), make([]float32, each)
	noisy := tensor.New(tensor.Float32, x.Shape()...)
	from, to := tensor.Data[float32](x), tensor.Data[float32](noisy)
	for k, sigma := range sigmas {
		for i := range n {
			rng.New(seed).Normal(noise, rng.Probe, first+uint64(i), uint32(k))
			for j, v := range noise {
				to[i*each+j] = from[i*each+j] + float32(sigma)*v
			}
		}
		_, score, err := e.Score(ctx, noisy)
		if err != nil {
			return nil, err
		}
		s2 := e.Model.Sigma0 * e.Model.Sigma0
		for j, s := range tensor.Data[float32](score) {
			left := float64(from[j]) - float64(to[j]) - s2*float64(s)
			loss[j/each] += left * left / (sigma * sigma * float64(len(sigmas)))
		}
	}
	return loss, nil
}
