package mdsm

import (
	"ebm/models/graph"
)

// Langevin adds one step of eq. (8) and returns the new x and the energy
// [N] of the old one:
//
//	x ← x − ε²/2 ∇E(x) + ε √T n
//
// for x and standard normal noise [N …]; the step size ε has shape [1] and
// the temperature T shape [].
func Langevin(energy Energy, x, noise, stepSize, temperature *graph.Node) (next, e *graph.Node) {
	score, e := Score(energy, x)
	eps := graph.Reshape(stepSize, nil)
	drift := graph.Mul(graph.Broadcast(graph.Scale(graph.Mul(eps, eps), 0.5), x.Shape()), score)
	kick := graph.Mul(graph.Broadcast(graph.Mul(eps, graph.Sqrt(temperature)), x.Shape()), noise)
	return graph.Add(graph.Add(x, drift), kick), e
}

// Denoise adds the single-step denoising jump of eq. (9), x − σ₀² ∇E(x), and
// E(x) [N].
func Denoise(energy Energy, x *graph.Node, sigma0 float64) (clean, e *graph.Node) {
	score, e := Score(energy, x)
	return graph.Add(x, graph.Scale(score, sigma0*sigma0)), e
}
