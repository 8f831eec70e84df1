package onnximport

import (
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Quantisation: numbers of 8 bits stand for (q − zero point)·scale.

// perAxis repeats the parameters of a quantisation, one number or one for
// each place along an axis, to the shape of x.
func (c *call) perAxis(p, x *graph.Node) *graph.Node {
	axis := c.integer("axis", 1)
	if c.integer("block_size", 0) != 0 {
		c.fail("quantisation of blocks is not supported")
	}
	if v, ok := volume(p.Shape()); ok && v == graph.Const(1) {
		return graph.Broadcast(graph.Reshape(p, nil), x.Shape())
	}
	return graph.BroadcastAlong(p, x.Shape(), c.axis(axis, x.Rank()))
}

func readDequantizeLinear(c *call) []*value {
	c.ignore("output_dtype")
	x, scale := c.x(0), c.float(1)
	real := func(y *graph.Node) *graph.Node {
		if c.has(2) {
			y = graph.Sub(y, c.perAxis(graph.Cast(c.x(2), scale.DType()), x))
		}
		return graph.Mul(y, c.perAxis(scale, x))
	}
	y := real(graph.Cast(x, scale.DType()))
	if through := c.operand(0).through; through != nil {
		// The value of the rounded number, the derivative of the other one.
		t := real(graph.Cast(through, scale.DType()))
		y = graph.Add(graph.StopGradient(graph.Sub(y, t)), t)
	}
	return one(y)
}

func readQuantizeLinear(c *call) []*value {
	c.ignore("saturate", "output_dtype", "precision")
	x, scale := c.float(0), c.float(1)
	dtype := tensor.Uint8
	if c.has(2) {
		dtype = c.x(2).DType()
	}
	low, high := 0.0, 255.0
	switch dtype {
	case tensor.Uint8:
	case tensor.Int8:
		low, high = -128, 127
	default:
		c.fail("quantisation to %v is not supported", dtype)
	}
	quotient := graph.Div(x, c.perAxis(graph.Cast(scale, x.DType()), x))
	placed := func(y *graph.Node) *graph.Node {
		if c.has(2) {
			y = graph.Add(y, c.perAxis(graph.Cast(c.x(2), x.DType()), x))
		}
		return clamp(y, low, high)
	}
	q := &value{node: graph.Cast(placed(graph.Round(quotient)), dtype)}
	if c.options.StraightThrough {
		q.through = placed(quotient)
	}
	return []*value{q}
}

// readRound rounds to whole numbers. Straight through, its derivative is 1.
func readRound(c *call) []*value {
	x := c.float(0)
	y := graph.Round(x)
	if c.options.StraightThrough {
		y = graph.Add(x, graph.StopGradient(graph.Sub(y, x)))
	}
	return one(y)
}
