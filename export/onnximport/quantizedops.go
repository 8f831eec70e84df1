package onnximport

import (
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Operators on quantised numbers are read as those on the numbers they stand for. What
// is rounded has derivatives of 0, or straight through those of the number before.

// exact returns operand i as float32, straight through where it was rounded.
func (c *call) exact(i int) *graph.Node {
	return c.straight(graph.Cast(c.x(i), tensor.Float32), c.operand(i).through)
}

// straight gives a rounded number the derivative of what it was before, if that is known.
func (c *call) straight(rounded, before *graph.Node) *graph.Node {
	if before == nil {
		return rounded
	}
	t := graph.Cast(before, rounded.DType())
	return graph.Add(graph.StopGradient(graph.Sub(rounded, t)), t)
}

// parameter repeats parameters of a quantisation, operand i, to the shape of x: one number,
// or one for each place along an axis. An absent one is 0.
func (c *call) parameter(i int, x *graph.Node, axis int) *graph.Node {
	if !c.has(i) {
		return graph.Like(x, 0)
	}
	p := graph.Cast(c.x(i), x.DType())
	if v, ok := volume(p.Shape()); p.Rank() > 1 && !(ok && v == graph.Const(1)) {
		return c.broadcast(x, p)[1]
	}
	return c.repeatedAlong(p, x, axis)
}

// real returns what the numbers of operand i stand for, with a scale in operand scale
// and a zero point in the one behind it.
func (c *call) real(i, scale, axis int) *graph.Node {
	x := c.exact(i)
	return graph.Mul(graph.Sub(x, c.parameter(scale+1, x, axis)), c.parameter(scale, x, axis))
}

// rounded quantises y with a scale in operand scale and a zero point in the one behind
// it, whose type the result has.
func (c *call) rounded(y *graph.Node, scale int) []*value {
	dtype := tensor.Uint8
	if c.has(scale + 1) {
		dtype = c.x(scale + 1).DType()
	}
	low, high := c.limits(scale+1, dtype)
	q := c.quantised(graph.Div(y, c.parameter(scale, y, 0)), c.parameter(scale+1, y, 0), low, high, dtype)
	q.kind = c.kindOf(scale + 1)
	return []*value{q}
}

// readDynamicQuantizeLinear chooses the scale by the extremes of x, as constants of the
// derivative.
func readDynamicQuantizeLinear(c *call) []*value {
	x := c.float(0)
	scale, zero := c.dynamicScale(x)
	at := func(p *graph.Node) *graph.Node { return graph.Broadcast(p, x.Shape()) }
	q := c.quantised(graph.Div(x, at(scale)), at(zero), 0, 255, tensor.Uint8)
	return []*value{q, {node: scale}, {node: graph.Cast(zero, tensor.Uint8)}}
}

func (c *call) dynamicScale(x *graph.Node) (scale, zero *graph.Node) {
	all := trailing(0, x.Rank())
	fixed := graph.StopGradient(x)
	nothing := number(c.graph, x.DType(), 0)
	high := graph.Maximum(maxOver(fixed, all), nothing)
	low := graph.Minimum(negate(maxOver(negate(fixed), all)), nothing)
	scale = graph.Scale(graph.Sub(high, low), 1.0/255)
	scale = graph.Where(graph.Equal(scale, nothing), graph.Like(scale, 1), scale)
	return scale, clamp(graph.Round(graph.Neg(graph.Div(low, scale))), 0, 255)
}

// integers32 makes the result of a product of integers, straight through.
func (c *call) integers32(y *graph.Node) []*value {
	v := &value{node: graph.Cast(graph.StopGradient(y), tensor.Int32)}
	if c.options.StraightThrough {
		v.through = y
	}
	return []*value{v}
}

func readMatMulInteger(c *call) []*value {
	a, b := c.exact(0), c.exact(1)
	a = graph.Sub(a, c.parameter(2, a, max(a.Rank()-2, 0)))
	b = graph.Sub(b, c.parameter(3, b, b.Rank()-1))
	return c.integers32(c.matMul(a, b))
}

func readConvInteger(c *call) []*value {
	x, w := c.exact(0), c.exact(1)
	x, w = graph.Sub(x, c.parameter(2, x, 1)), graph.Sub(w, c.parameter(3, w, 0))
	return c.integers32(c.convolution(x, w))
}

func readQLinearConv(c *call) []*value {
	x, w := c.real(0, 1, 1), c.real(3, 4, 0)
	y := c.convolution(x, w)
	if c.has(8) {
		b := graph.Cast(c.x(8), y.DType())
		unit := graph.Mul(c.parameter(1, b, 0), c.parameter(4, b, 0))
		y = graph.Add(y, graph.BroadcastAlong(graph.Mul(b, unit), y.Shape(), 1))
	}
	return c.rounded(y, 6)
}

func readQLinearMatMul(c *call) []*value {
	a, b := c.x(0), c.x(3)
	return c.rounded(c.matMul(c.real(0, 1, max(a.Rank()-2, 0)), c.real(3, 4, b.Rank()-1)), 6)
}

func readQGemm(c *call) []*value {
	a, axis := c.real(0, 1, 0), 1
	if c.integer("transB", 0) != 0 {
		axis = 0
	}
	w := c.real(3, 4, axis)
	if c.integer("transA", 0) != 0 {
		a = graph.SwapLast(a)
	}
	if axis == 0 {
		w = graph.SwapLast(w)
	}
	alpha := c.number("alpha", 1)
	y := graph.Scale(graph.MatMul(a, w), alpha)
	if c.has(6) {
		bias := graph.Broadcast(graph.Cast(c.x(6), y.DType()), y.Shape())
		columns := graph.Like(y, 1)
		unit := graph.Mul(c.parameter(1, columns, 0), c.parameter(4, columns, 1))
		y = graph.Add(y, graph.Scale(graph.Mul(bias, unit), alpha))
	}
	if c.has(7) {
		return c.rounded(y, 7)
	}
	return one(y)
}

// quantizedBinary reads an operator on two quantised operands.
func quantizedBinary(f func(a, b *graph.Node) *graph.Node) reader {
	return func(c *call) []*value {
		both := c.broadcast(c.real(0, 1, 0), c.real(3, 4, 0))
		return c.rounded(f(both[0], both[1]), 6)
	}
}

// quantizedUnary reads an operator on one quantised operand.
func quantizedUnary(f func(c *call, x *graph.Node) *graph.Node) reader {
	return func(c *call) []*value { return c.rounded(f(c, c.real(0, 1, 0)), 3) }
}

func readQLinearGlobalAveragePool(c *call) []*value {
	x := c.real(0, 1, 0)
	if c.integer("channels_last", 0) != 0 {
		c.fail("pictures with their channels last are not supported")
	}
	axes := c.spatialAxes(x)
	return c.rounded(graph.KeepDims(mean(c, x, axes), x, axes...), 3)
}

func readQLinearConcat(c *call) []*value {
	if len(c.in) < 5 || (len(c.in)-2)%3 != 0 {
		c.fail("%d operands, want a scale, a zero point, and three for each part", len(c.in))
	}
	var parts []*graph.Node
	for i := 2; i < len(c.in); i += 3 {
		parts = append(parts, c.real(i, i+1, 0))
	}
	axis := c.axis(c.integer("axis", 0), parts[0].Rank())
	return c.rounded(graph.Concat(axis, parts...), 0)
}

// readMatMulIntegerToFloat multiplies quantised matrices.
func readMatMulIntegerToFloat(c *call) []*value {
	a, b := c.exact(0), c.exact(1)
	a = graph.Mul(graph.Sub(a, c.parameter(4, a, max(a.Rank()-2, 0))), c.parameter(2, a, 0))
	b = graph.Mul(graph.Sub(b, c.parameter(5, b, b.Rank()-1)), c.parameter(3, b, b.Rank()-1))
	return one(c.plus(c.matMul(a, b), 6))
}

// readDynamicQuantizeMatMul quantises the left matrix by its extremes.
func readDynamicQuantizeMatMul(c *call) []*value {
	x := c.float(0)
	scale, zero := c.dynamicScale(x)
	at := func(p *graph.Node) *graph.Node { return graph.Broadcast(p, x.Shape()) }
	quotient := graph.Add(graph.Div(x, at(scale)), at(zero))
	rounded := clamp(graph.Round(quotient), 0, 255)
	if c.options.StraightThrough {
		rounded = c.straight(rounded, clamp(quotient, 0, 255))
	}
	a := graph.Mul(graph.Sub(rounded, at(zero)), at(scale))
	return one(c.plus(c.matMul(a, c.real(1, 2, c.x(1).Rank()-1)), 4))
}
