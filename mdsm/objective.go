package mdsm

import (
	"fmt"

	"ebm/models/autodiff"
	"ebm/models/graph"
)

// Weighting names l(σ), the weight of a noise level in the objective.
type Weighting string

// The weightings. The paper uses InverseVariance, which makes the terms of
// all noise levels about equally large.
const (
	InverseVariance Weighting = "inverse-variance" // 1/σ²
	Inverse         Weighting = "inverse"          // 1/σ
	Uniform         Weighting = "uniform"          // 1
)

// Weightings returns all weightings, the paper's first.
func Weightings() []Weighting { return []Weighting{InverseVariance, Inverse, Uniform} }

// Validate reports a weighting that does not exist.
func (w Weighting) Validate() error {
	for _, known := range Weightings() {
		if w == known {
			return nil
		}
	}
	return fmt.Errorf("unknown weighting %q, want one of %v", w, Weightings())
}

// Of adds l(σ) [N] for σ [N].
func (w Weighting) Of(sigma *graph.Node) *graph.Node {
	one := graph.Like(sigma, 1)
	switch w {
	case Uniform:
		return one
	case Inverse:
		return graph.Div(one, sigma)
	}
	return graph.Div(one, graph.Mul(sigma, sigma))
}

// Energy is an energy as a function: it adds E(x) [N] to the graph of x.
type Energy func(x *graph.Node) *graph.Node

// Score adds −∇E(x), of x's shape, and E(x) [N].
func Score(energy Energy, x *graph.Node) (score, e *graph.Node) {
	e = energy(x)
	return graph.Neg(autodiff.Gradient(e, x)[0]), e
}

// Perturb returns x̃ = x + σ·n for x and n [N …] and σ [N].
func Perturb(x, noise, sigma *graph.Node) *graph.Node {
	return graph.Add(x, graph.Mul(graph.BroadcastAlong(sigma, x.Shape(), 0), noise))
}

// Loss adds the objective of eq. (7) as the mean over the batch, of shape []:
//
//	L = (1/N) Σᵢ l(σᵢ) ‖xᵢ − x̃ᵢ + σ₀² ∇E(x̃ᵢ)‖²,  x̃ᵢ = xᵢ + σᵢ·nᵢ
//
// for clean x and standard normal noise [N …] and σ [N]. With the default
// weighting it is about the number of values of x for an untrained network.
func Loss(energy Energy, x, noise, sigma *graph.Node, sigma0 float64, l Weighting) *graph.Node {
	noisy := Perturb(x, noise, sigma)
	score, _ := Score(energy, noisy)
	return batchMean(graph.Mul(l.Of(sigma), JumpError(x, noisy, score, sigma0)))
}

// JumpError adds the squared error [N] of the denoising jump from x̃ to the
// clean x, ‖x − x̃ + σ₀² ∇E(x̃)‖², for x, x̃ and the score −∇E(x̃) [N …]. It is
// each picture's part of the objective before it is weighted.
func JumpError(x, noisy, score *graph.Node, sigma0 float64) *graph.Node {
	residual := graph.Sub(graph.Sub(x, noisy), graph.Scale(score, sigma0*sigma0))
	return sumEach(graph.Mul(residual, residual))
}

// batchMean returns the mean of v [N], whose length may be symbolic.
func batchMean(v *graph.Node) *graph.Node {
	return graph.Div(graph.ReduceSum(v), graph.ReduceSum(graph.Like(v, 1)))
}
