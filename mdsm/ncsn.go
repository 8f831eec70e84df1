package mdsm

import (
	"ebm/models/energy"
	"ebm/models/graph"
)

// NCSN is denoising score matching at each noise level itself, with the weight σ² of
// Song and Ermon, "Generative modeling by estimating gradients of the data
// distribution" (2019), eq. (5) and (6), for the score s = −∇E of one energy that is not
// told the level:
//
//	L = (1/N) Σᵢ σᵢ²/2 ‖s(x̃ᵢ) + (x̃ᵢ − xᵢ)/σᵢ²‖²,  x̃ᵢ = xᵢ + σᵢ·nᵢ
//
// Where L is least, −∇E at noise of level σ is the score of the data smoothed by that
// σ, as far as x̃ tells its level: a jump at level σ is x̃ + σ²s, in place of eq. (9). At
// one level σ = σ₀ this is eq. (7) times σ₀⁻⁴/2.
type NCSN struct{}

// batchLoss adds x, noise [N …] and sigma [N].
func (c NCSN) batchLoss(g *graph.Graph, n energy.Network) func(energy.Params) *graph.Node {
	x := inputX(g, n)
	noise, sigma := g.Input("noise", x.DType(), x.Shape()), g.Input("sigma", x.DType(), x.Shape()[:1])
	return func(params energy.Params) *graph.Node { return c.Loss(withParams(n, params), x, noise, sigma) }
}

func (NCSN) scale() float64 { return 1 }

// Loss adds L, of shape [], for clean x and standard normal noise [N …] and σ [N]. It is
// computed as ‖n − σ∇E‖²/2, which divides by no level.
func (NCSN) Loss(energy Energy, x, noise, sigma *graph.Node) *graph.Node {
	score, _ := Score(energy, Perturb(x, noise, sigma))
	residual := graph.Add(noise, graph.Mul(graph.BroadcastAlong(sigma, x.Shape(), 0), score))
	return graph.Scale(batchMean(sumEach(graph.Mul(residual, residual))), 0.5)
}
