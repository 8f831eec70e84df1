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
	y := graph.Cast(x, scale.DType())
	if c.has(2) {
		y = graph.Sub(y, c.perAxis(graph.Cast(c.x(2), scale.DType()), x))
	}
	return one(graph.Mul(y, c.perAxis(scale, x)))
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
	y := graph.Round(graph.Div(x, c.perAxis(graph.Cast(scale, x.DType()), x)))
	if c.has(2) {
		y = graph.Add(y, c.perAxis(graph.Cast(c.x(2), x.DType()), x))
	}
	return one(graph.Cast(clamp(y, low, high), dtype))
}
