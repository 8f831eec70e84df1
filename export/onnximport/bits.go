package onnximport

import (
	"math"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// Bits of whole numbers are taken out and put together by arithmetic in int64, which has
// no derivative.

// integerType returns the type of operand 0, whole numbers, in the file.
func (c *call) integerType() narrowType {
	if n, ok := narrowTypeOf(c.kindOf(0)); ok {
		return n
	}
	dtype := c.x(0).DType()
	if dtype.IsFloat() || dtype == tensor.Bool {
		c.fail("%v, want whole numbers", c.x(0).Type())
	}
	return narrowType{8 * dtype.Size(), dtype != tensor.Uint8, dtype}
}

// powers returns 1, 2, 4, … of n bits, the last of 64 negative.
func powers(n int) *tensor.Tensor {
	t := tensor.New(tensor.Int64, n)
	for i := range n {
		tensor.Data[int64](t)[i] = 1 << i
	}
	return t
}

// bitwise reads an operator that f computes for single bits of two numbers, 0 or 1. The
// sign counts as the first bit of −2⁶³.
func bitwise(f func(a, b *graph.Node) *graph.Node) reader {
	return func(c *call) []*value {
		n := c.integerType()
		a, b := c.pair()
		wide, last := append(a.Shape()[:a.Rank():a.Rank()], graph.Const(64)), a.Rank()
		place := graph.Broadcast(c.made(powers(64)), wide)
		split := func(x *graph.Node) *graph.Node {
			x = graph.Cast(x, tensor.Int64)
			half := constantLike(x, 1<<62)
			negative := graph.Less(x, constantLike(x, 0))
			low := graph.Where(negative, graph.Add(graph.Add(x, half), half), x)
			bits := graph.Div(graph.Broadcast(graph.ExpandDims(low, last), wide), graph.Where(graph.Less(place, constantLike(place, 0)),
				constantLike(place, math.MaxInt64), place))
			bits = truncatedRest(bits, constantLike(bits, 2))
			sign := graph.Broadcast(graph.ExpandDims(bit(negative), last), wide)
			return graph.Where(graph.Less(place, constantLike(place, 0)), sign, bits)
		}
		y := graph.ReduceSum(graph.Mul(f(split(a), split(b)), place), last)
		return []*value{{node: graph.Cast(y, n.held), kind: c.kindOf(0)}}
	}
}

func readBitwiseNot(c *call) []*value {
	n, x := c.integerType(), c.x(0)
	ones := -1.0 // all bits
	if !n.signed && n.bits < 64 {
		_, ones = n.limits()
	}
	return []*value{{node: graph.Sub(constantLike(x, ones), x), kind: c.kindOf(0)}}
}

// readBitShift multiplies by a power of 2, and drops what does not fit into the type; or
// divides by one, rounding down. A shift by too many bits, or a negative one, is by all.
func readBitShift(c *call) []*value {
	n := c.integerType()
	a, b := c.pair()
	x, by := graph.Cast(a, tensor.Int64), graph.Cast(b, tensor.Int64)
	zero, most := constantLike(by, 0), constantLike(by, float64(n.bits))
	far := or(graph.Less(by, zero), lessOrEqual(most, by))
	power := graph.Gather(c.made(powers(64)), graph.Where(far, zero, by), 0)
	var y *graph.Node
	switch direction := c.text("direction", ""); direction {
	case "LEFT":
		y = wrapped(graph.Where(far, zero, graph.Mul(x, power)), n)
	case "RIGHT":
		if !n.signed && n.bits == 64 {
			c.fail("a shift of uint64 to the right is not supported")
		}
		low := graph.Div(graph.Sub(x, floorMod(x, power)), power)
		y = graph.Cast(graph.Where(far, negate(bit(graph.Less(x, zero))), low), n.held)
	default:
		c.fail("direction %q is not known", direction)
	}
	return []*value{{node: y, kind: c.kindOf(0)}}
}
