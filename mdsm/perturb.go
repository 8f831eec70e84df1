package mdsm

import (
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// The functions below are what stands before and after a score in the
// objective, as graphs of their own, so that a score of any origin can be
// measured by the same formulas that networks are trained with.

// PerturbGraph returns the graph x, noise [N …], sigma [N] → noisy, for x of
// a shape.
func PerturbGraph(shape ...int) *graph.Graph {
	g := graph.New("perturb")
	x := g.Input("x", tensor.Float32, graph.Batch(shape...))
	noise := g.Input("noise", x.DType(), x.Shape())
	sigma := g.Input("sigma", x.DType(), x.Shape()[:1])
	g.Output("noisy", Perturb(x, noise, sigma))
	return g
}

// ErrorGraph returns the graph x, noisy, score [N …], sigma [N] → error, loss
// [N]: of each picture the squared error of the denoising jump, and that times
// l(σ), whose mean over a batch is the objective.
func (o Objective) ErrorGraph(shape ...int) *graph.Graph {
	g := graph.New("error")
	x := g.Input("x", tensor.Float32, graph.Batch(shape...))
	noisy := g.Input("noisy", x.DType(), x.Shape())
	score := g.Input("score", x.DType(), x.Shape())
	sigma := g.Input("sigma", x.DType(), x.Shape()[:1])
	square := JumpError(x, noisy, score, o.Sigma0)
	g.Output("error", square)
	g.Output("loss", graph.Mul(o.Weighting.Of(sigma), square))
	return g
}

// LossGraph returns the graph x, noise [N …], sigma [N] and every P → loss [N]:
// each x's part of the objective of eq. (7), at weights that are inputs.
func (o Objective) LossGraph(n energy.Network) *graph.Graph {
	g := graph.New("loss")
	x := g.Input("x", tensor.Float32, graph.Batch(n.InputShape()...))
	noise := g.Input("noise", x.DType(), x.Shape())
	sigma := g.Input("sigma", x.DType(), x.Shape()[:1])
	params := energy.Inputs(g, n, x.DType())
	noisy := Perturb(x, noise, sigma)
	score, _ := Score(func(x *graph.Node) *graph.Node { return n.Energy(x, params) }, noisy)
	g.Output("loss", graph.Mul(o.Weighting.Of(sigma), JumpError(x, noisy, score, o.Sigma0)))
	return g
}
