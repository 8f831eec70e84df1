package main

import (
	"ebm/models/energy"
	"ebm/models/graph"
)

// mlp is an energy of points [N in]: two hidden layers, and a sum of squares.
type mlp struct{ in, hidden int }

func (m mlp) InputShape() []int { return []int{m.in} }

func (m mlp) Parameters() []energy.Parameter {
	first := energy.LinearParameters("first", m.in, m.hidden)
	return append(append(first, energy.LinearParameters("second", m.hidden, m.hidden)...),
		energy.LinearParameters("last", m.hidden, m.hidden)...)
}

func (m mlp) Energy(x *graph.Node, params energy.Params) *graph.Node {
	h := graph.Softplus(energy.Linear(x, params, "first"))
	h = energy.Linear(graph.Softplus(energy.Linear(h, params, "second")), params, "last")
	return graph.ReduceSum(graph.Mul(h, h), 1)
}

// cnn is an energy of pictures [N 1 8 8]: two convolutions with a mean over
// squares between them, and a weighted sum.
type cnn struct{ channels int }

func (c cnn) InputShape() []int { return []int{1, 8, 8} }

func (c cnn) Parameters() []energy.Parameter {
	first := energy.ConvolutionParameters("first", 1, c.channels, 3)
	return append(append(first, energy.ConvolutionParameters("second", c.channels, c.channels, 3)...),
		energy.LinearParameters("sum", 16*c.channels, 1)...)
}

func (c cnn) Energy(x *graph.Node, params energy.Params) *graph.Node {
	h := graph.Swish(energy.Convolve(x, params, "first", 1))
	h = graph.MeanPool(h, graph.Pool2D(2, 2, 0))
	h = graph.Flatten(graph.Swish(energy.Convolve(h, params, "second", 1)))
	return graph.Reshape(energy.Linear(h, params, "sum"), x.Shape()[:1])
}
