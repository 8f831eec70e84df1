package onnximport

import (
	"math"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// reducer computes a reduction of x over axes, which it drops.
type reducer func(c *call, x *graph.Node, axes []int) *graph.Node

// reduction reads an operator that f computes over some axes. Axes are an
// attribute or, since version asOperand, an operand; none given means all, or
// none at all where noop_with_empty_axes says so.
func reduction(asOperand int, f reducer) reader {
	return func(c *call) []*value {
		x := c.x(0)
		axes, given := []int(nil), false
		if c.version < asOperand {
			axes, given = c.integers("axes")
		} else if !c.follows(1) {
			c.ignore("noop_with_empty_axes")
			return one(c.reduceMeasured(x, f, c.integer("keepdims", 1) != 0))
		} else if c.has(1) {
			axes = c.ints(1)
			given = len(axes) > 0
		}
		keep, nothing := c.integer("keepdims", 1) != 0, c.integer("noop_with_empty_axes", 0) != 0
		if !given && nothing {
			return one(f(c, x, nil))
		}
		axes = c.axes(axes, x.Rank())
		if len(axes) == 0 {
			for i := range x.Rank() {
				axes = append(axes, i)
			}
		}
		y := f(c, x, axes)
		if keep && len(axes) > 0 {
			y = graph.KeepDims(y, x, axes...)
		}
		return one(y)
	}
}

func reduceSum(_ *call, x *graph.Node, axes []int) *graph.Node { return sumOver(x, axes) }

func reduceMax(c *call, x *graph.Node, axes []int) *graph.Node {
	if x.DType() == tensor.Bool {
		return graph.Less(graph.Like(sumOver(bit(x), axes), 0), sumOver(bit(x), axes))
	}
	return maxOver(x, axes)
}

func reduceMin(c *call, x *graph.Node, axes []int) *graph.Node {
	if x.DType() == tensor.Bool {
		return not(reduceMax(c, not(x), axes))
	}
	return negate(maxOver(negate(x), axes))
}

// mean divides by the number of elements, which is counted at run time where
// an axis is symbolic.
func mean(c *call, x *graph.Node, axes []int) *graph.Node {
	if !x.DType().IsFloat() {
		c.fail("%v, want floating-point numbers", x.Type())
	}
	n := 1
	for _, a := range axes {
		size, ok := x.Shape()[a].Constant()
		if !ok {
			return graph.Div(sumOver(x, axes), sumOver(graph.Like(x, 1), axes))
		}
		n *= size
	}
	return graph.Scale(sumOver(x, axes), 1/float64(n))
}

func reduceSumSquare(_ *call, x *graph.Node, axes []int) *graph.Node {
	return sumOver(graph.Mul(x, x), axes)
}

func absolute(x *graph.Node) *graph.Node {
	if x.DType().IsFloat() {
		return graph.Abs(x)
	}
	return graph.Maximum(x, negate(x))
}

func reduceL1(_ *call, x *graph.Node, axes []int) *graph.Node { return sumOver(absolute(x), axes) }

func reduceL2(c *call, x *graph.Node, axes []int) *graph.Node {
	return throughFloat(x, func(x *graph.Node) *graph.Node { return graph.Sqrt(sumOver(graph.Mul(x, x), axes)) })
}

// throughFloat computes f in float64 for an integer operand, and cuts off
// what is behind the point.
func throughFloat(x *graph.Node, f func(x *graph.Node) *graph.Node) *graph.Node {
	if x.DType().IsFloat() {
		return f(x)
	}
	return graph.Cast(f(graph.Cast(x, tensor.Float64)), x.DType())
}

func reduceLogSum(_ *call, x *graph.Node, axes []int) *graph.Node {
	return throughFloat(x, func(x *graph.Node) *graph.Node { return graph.Log(sumOver(x, axes)) })
}

func reduceLogSumExp(_ *call, x *graph.Node, axes []int) *graph.Node {
	return throughFloat(x, func(x *graph.Node) *graph.Node {
		top := graph.StopGradient(maxOver(x, axes))
		return graph.Add(graph.Log(sumOver(graph.Exp(graph.Sub(x, spread(top, x, axes))), axes)), top)
	})
}

// reduceProd multiplies one half of the elements by the other until one is
// left. Its derivative is right where an element is 0 too.
func reduceProd(c *call, x *graph.Node, axes []int) *graph.Node {
	if len(axes) == 0 {
		return x
	}
	var perm []int
	var kept graph.Shape
	for i, d := range x.Shape() {
		if !slices.Contains(axes, i) {
			perm = append(perm, i)
			kept = append(kept, d)
		}
	}
	n := 1
	for _, a := range axes {
		n *= c.size(x, a)
	}
	last := len(kept)
	y := graph.Reshape(graph.Transpose(x, append(perm, axes...)...), append(slices.Clone(kept), graph.Const(n)))
	if n == 0 {
		return graph.Broadcast(number(c.graph, x.DType(), 1), kept)
	}
	for n > 1 {
		half := n / 2
		p := graph.Mul(graph.Slice(y, last, 0, half, 1), graph.Slice(y, last, half, 2*half, 1))
		if n%2 == 1 {
			p = graph.Concat(last, p, graph.Slice(y, last, n-1, n, 1))
		}
		y, n = p, half+n%2
	}
	return graph.Reshape(y, kept)
}

// places returns the numbers 0, 1, … along an axis of x, in the shape of x.
func places(c *call, x *graph.Node, axis int) *graph.Node {
	return graph.BroadcastAlong(c.iota(x.Shape()[axis]), x.Shape(), axis)
}

func iota64(n int) *tensor.Tensor {
	t := tensor.New(tensor.Int64, n)
	for i := range n {
		tensor.Data[int64](t)[i] = int64(i)
	}
	return t
}

// extreme returns the place of the first or last maximum along an axis: the
// least or largest place at which x is its maximum.
func extreme(c *call, x *graph.Node, axis int, last bool) *graph.Node {
	at := places(c, x, axis)
	top := graph.Equal(x, spread(graph.ReduceMax(x, axis), x, []int{axis}))
	if last {
		return graph.ReduceMax(graph.Where(top, at, constantLike(at, -1)), axis)
	}
	back := graph.Where(top, negate(at), constantLike(at, math.MinInt32))
	return negate(graph.ReduceMax(back, axis))
}

// readArg reads ArgMax, and ArgMin through sign.
func readArg(sign func(x *graph.Node) *graph.Node) reader {
	return func(c *call) []*value {
		x := c.x(0)
		axis := c.axis(c.integer("axis", 0), x.Rank())
		y := extreme(c, sign(x), axis, c.integer("select_last_index", 0) != 0)
		if c.integer("keepdims", 1) != 0 {
			y = graph.ExpandDims(y, axis)
		}
		return one(y)
	}
}

func itself(x *graph.Node) *graph.Node { return x }

func readHardmax(c *call) []*value {
	x := c.float(0)
	axes := c.softmaxAxes(x)
	if len(axes) != 1 {
		// Before version 13, the trailing axes count as one.
		lead := x.Rank() - len(axes)
		flat, ok := volume(x.Shape()[lead:])
		if !ok {
			c.fail("shape %v is too large", x.Shape())
		}
		y := graph.Reshape(x, append(slices.Clone(x.Shape()[:lead]), flat))
		return one(graph.Reshape(hardmax(c, y, lead), x.Shape()))
	}
	return one(hardmax(c, x, axes[0]))
}

func hardmax(c *call, x *graph.Node, axis int) *graph.Node {
	first := spread(extreme(c, x, axis, false), x, []int{axis})
	return graph.Cast(graph.Equal(places(c, x, axis), first), x.DType())
}

// readCumSum reads running sums as a product with a triangular matrix.
func readCumSum(c *call) []*value {
	x := c.x(0)
	exclusive, reverse := c.integer("exclusive", 0) != 0, c.integer("reverse", 0) != 0
	return one(c.overAxis(1, x.Rank(), func(axis int) *graph.Node {
		n, known := x.Shape()[axis].Constant()
		if !known {
			return c.runningSum(x, axis, exclusive, reverse)
		}
		return c.along(x, axis, n, func(to, from int) float64 {
			if reverse {
				to, from = from, to
			}
			if from < to || from == to && !exclusive {
				return 1
			}
			return 0
		})
	}))
}

// runningSum makes the triangular matrix at run time.
func (c *call) runningSum(x *graph.Node, axis int, exclusive, reverse bool) *graph.Node {
	n := x.Shape()[axis]
	square := graph.Shape{n, n}
	from := graph.BroadcastAlong(c.iota(n), square, 0)
	to := graph.BroadcastAlong(c.iota(n), square, 1)
	if reverse {
		from, to = to, from
	}
	counts := graph.Less(from, to)
	if !exclusive {
		counts = lessOrEqual(from, to)
	}
	return c.multiplied(x, axis, graph.Cast(counts, x.DType()))
}

// multiplied multiplies x along an axis by a matrix [size n].
func (c *call) multiplied(x *graph.Node, axis int, m *graph.Node) *graph.Node {
	perm := trailing(0, x.Rank())
	last := x.Rank() - 1
	perm[axis], perm[last] = last, axis
	return graph.Transpose(c.product2(graph.Transpose(x, perm...), m), perm...)
}

// along multiplies x along an axis by the matrix m(to, from) with n rows:
// y[…to…] = Σ m(to, from)·x[…from…].
func (c *call) along(x *graph.Node, axis, n int, m func(to, from int) float64) *graph.Node {
	size := c.size(x, axis)
	if n > 0 && size > mostFolded/n {
		c.fail("axis %d of %d elements is too long", axis, size)
	}
	t := tensor.New(tensor.Float64, size, n)
	for from := range size {
		for to := range n {
			tensor.Data[float64](t)[from*n+to] = m(to, from)
		}
	}
	return c.multiplied(x, axis, c.made(converted(t, x.DType())))
}

// product2 is product for a vector on the left too.
func (c *call) product2(a, b *graph.Node) *graph.Node {
	if a.Rank() == 1 {
		return graph.Reshape(graph.MatMul(graph.ExpandDims(a, 0), b), b.Shape()[1:])
	}
	return c.product(a, b)
}
