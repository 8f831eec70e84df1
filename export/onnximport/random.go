package onnximport

import (
	"ebm/models/graph"
	"ebm/models/tensor"
)

// NoiseInput is the name of the input that a random operator's numbers come from:
// standard normal ones for RandomNormal and RandomNormalLike, else from 0 to below 1.
func NoiseInput(output string) string { return "noise/" + output }

// noise adds the input of the node's random numbers.
func (c *call) noise(shape graph.Shape, dtype tensor.DType, what string) *graph.Node {
	if c.graph != c.model.Graph || c.depth > 0 {
		c.fail("random numbers inside of a loop, a branch or a function are not supported")
	}
	c.ignore("seed")
	name := NoiseInput(c.op.outputs[0])
	c.model.Docs[name] = what
	return c.graph.Input(name, dtype, shape)
}

// randomType returns the type of the numbers: of the attribute dtype, or otherwise.
func (c *call) randomType(otherwise tensor.DType) tensor.DType {
	if _, ok := c.op.attributes["dtype"]; !ok {
		return otherwise
	}
	dtype, err := dtypeOf(c.elementType("dtype"))
	if err != nil {
		c.fail("%w", err)
	}
	return dtype
}

// randomShape returns the shape of operand 0, or of the attribute shape.
func (c *call) randomShape(like bool) (graph.Shape, tensor.DType) {
	if like {
		return c.x(0).Shape(), c.randomType(c.x(0).DType())
	}
	dims, ok := c.dimensions("shape")
	if !ok {
		c.fail("want the attribute shape")
	}
	return dims, c.randomType(tensor.Float32)
}

func readRandomNormal(like bool) reader {
	return func(c *call) []*value {
		shape, dtype := c.randomShape(like)
		n := c.noise(shape, dtype, "standard normal numbers")
		return one(graph.Shift(graph.Scale(n, c.number("scale", 1)), c.number("mean", 0)))
	}
}

func readRandomUniform(like bool) reader {
	return func(c *call) []*value {
		shape, dtype := c.randomShape(like)
		low, high := c.number("low", 0), c.number("high", 1)
		u := c.noise(shape, dtype, "uniform numbers from 0 to below 1")
		return one(graph.Shift(graph.Scale(u, high-low), low))
	}
}

// readBernoulli draws 1 with the probabilities of its operand, through which no
// derivative flows.
func readBernoulli(c *call) []*value {
	p := c.float(0)
	u := c.noise(p.Shape(), p.DType(), "uniform numbers from 0 to below 1")
	return one(graph.Cast(graph.Less(u, p), c.randomType(p.DType())))
}
