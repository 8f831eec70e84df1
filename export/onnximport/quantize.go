package onnximport

import (
	"slices"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Quantisation: numbers of 4 to 16 bits stand for (q − zero point)·scale.

// perAxis repeats the parameters of a quantisation, one number or one for
// each place along an axis, to the shape of x.
func (c *call) perAxis(p, x *graph.Node) *graph.Node {
	axis := c.integer("axis", 1)
	if block := c.integer("block_size", 0); block > 0 {
		return c.perBlock(p, x, c.axis(axis, x.Rank()), block)
	}
	return c.repeatedAlong(p, x, axis)
}

// repeatedAlong repeats one number, or one for each place along an axis, to the shape of x.
func (c *call) repeatedAlong(p, x *graph.Node, axis int) *graph.Node {
	if v, ok := volume(p.Shape()); ok && v == graph.Const(1) {
		return graph.Broadcast(graph.Reshape(p, nil), x.Shape())
	}
	return graph.BroadcastAlong(p, x.Shape(), c.axis(axis, x.Rank()))
}

// perBlock repeats parameters [… ⌈n/block⌉ …] along an axis of x of n elements.
func (c *call) perBlock(p, x *graph.Node, axis, block int) *graph.Node {
	n, blocks := c.size(x, axis), (c.size(x, axis)+block-1)/block
	if p.Rank() != x.Rank() || c.size(p, axis) != blocks {
		c.fail("parameters %v of blocks of %d in %v", p.Type(), block, x.Type())
	}
	at := make([]int, n)
	for i := range at {
		at[i] = i / block
	}
	return c.take(p, axis, at)
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
		y = c.straight(y, real(graph.Cast(through, scale.DType())))
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
	if _, ok := c.op.attributes["output_dtype"]; ok && !c.has(2) {
		if t, err := dtypeOf(c.elementType("output_dtype")); err == nil {
			dtype = t
		}
	}
	low, high := c.limits(2, dtype)
	quotient, zero := graph.Div(x, c.perAxis(graph.Cast(scale, x.DType()), x)), (*graph.Node)(nil)
	if c.has(2) {
		zero = c.perAxis(graph.Cast(c.x(2), x.DType()), x)
	}
	q := c.quantised(quotient, zero, low, high, dtype)
	q.kind = c.kindOf(2)
	return []*value{q}
}

// quantised rounds a quotient and adds the zero point, nil for 0, within limits.
func (c *call) quantised(quotient, zero *graph.Node, low, high float64, dtype tensor.DType) *value {
	placed := func(y *graph.Node) *graph.Node {
		if zero != nil {
			y = graph.Add(y, zero)
		}
		return clamp(y, low, high)
	}
	q := &value{node: graph.Cast(placed(graph.Round(quotient)), dtype)}
	if c.options.StraightThrough {
		q.through = placed(quotient)
	}
	return q
}

// kindOf returns the narrow type of operand i in the file, see value.
func (c *call) kindOf(i int) onnxpb.TensorProto_DataType {
	if !c.has(i) {
		return onnxpb.TensorProto_UNDEFINED
	}
	return c.in[i].kind
}

// limits returns the least and the largest number of a quantisation whose zero point is
// operand i, held in dtype.
func (c *call) limits(i int, dtype tensor.DType) (low, high float64) {
	n, narrow := narrowTypeOf(c.kindOf(i))
	switch {
	case narrow && n.bits <= 16:
		return n.limits()
	case dtype == tensor.Uint8:
		return 0, 255
	case dtype == tensor.Int8:
		return -128, 127
	case dtype == tensor.Int16:
		return -1 << 15, 1<<15 - 1
	}
	c.fail("quantisation to %v is not supported", dtype)
	return 0, 0
}

// readRound rounds to whole numbers. Straight through, its derivative is 1.
func readRound(c *call) []*value {
	x := c.float(0)
	y := graph.Round(x)
	if c.options.StraightThrough {
		y = c.straight(y, x)
	}
	return one(y)
}

// movers are the operators that move or choose elements of their first operand.
func movers() []string {
	return []string{"Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "MaxPool", "Pad", "Relu", "Reshape", "Slice", "SpaceToDepth",
		"Squeeze", "Tile", "Transpose", "Unsqueeze"}
}

// carry passes on what elements were before they were rounded.
func (c *call) carry(e entry, results []*value) {
	rounded := func(v *value) bool { return v != nil && v.through != nil }
	if !slices.ContainsFunc(c.in, rounded) || !slices.Contains(movers(), c.op.kind) {
		return
	}
	before := *c
	before.in = slices.Clone(c.in)
	for i := range before.in {
		if i == 0 || c.op.kind == "Concat" {
			before.in[i] = &value{node: c.exact(i)}
		}
	}
	results[0] = &value{node: c.nodeOf(results[0]), through: e.read(&before)[0].node, kind: c.kindOf(0)}
}
