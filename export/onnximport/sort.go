package onnximport

import (
	"ebm/models/graph"
	"ebm/models/tensor"
)

// readTopK returns the largest or smallest elements along an axis, the extreme one
// first, and their indices. Derivatives flow to the elements that were taken.
func readTopK(c *call) []*value {
	x := c.x(0)
	c.ignore("sorted") // any order will do where it is not set
	a := graph.TopKAttr{Axis: c.axis(c.integer("axis", -1), x.Rank()), Smallest: c.integer("largest", 1) == 0}
	if c.version < 10 {
		a.K = graph.Const(c.integer("k", 0))
	} else if k := c.sizeList(1); len(k) == 1 {
		a.K = k[0]
	} else {
		c.fail("%d numbers of elements, want one", len(k))
	}
	if !c.assume(x.Shape()[a.Axis].Sub(a.K)) {
		c.fail("%v elements of axis %d, which has %v", a.K, a.Axis, x.Shape()[a.Axis])
	}
	at := graph.TopK(x, a)
	return []*value{{node: c.elements(x, at, a.Axis)}, {node: at}}
}

// readNonZero returns as many indices as only the values of x say: their number is a
// symbol of its own.
func readNonZero(c *call) []*value {
	x := c.x(0)
	c.outsideLoops()
	if x.Rank() == 0 {
		x = graph.ExpandDims(x, 0)
	}
	return one(graph.NonZero(x, c.symbol("nonzero")))
}

// readReverseSequence turns the first lengths[b] elements along the time axis of
// each batch around.
func readReverseSequence(c *call) []*value {
	x := c.x(0)
	batch, time := c.axis(c.integer("batch_axis", 1), x.Rank()), c.axis(c.integer("time_axis", 0), x.Rank())
	if batch == time || x.Rank() < 2 {
		c.fail("%v with time and batch axis %d", x.Type(), time)
	}
	at := places(c, x, time)
	length := graph.BroadcastAlong(graph.Cast(c.x(1), tensor.Int64), at.Shape(), batch)
	turned := graph.Sub(graph.Sub(length, constantLike(at, 1)), at)
	return one(c.elements(x, graph.Where(graph.Less(at, length), turned, at), time))
}

// readCompress takes the slices along an axis whose condition is true.
func readCompress(c *call) []*value {
	x := c.x(0)
	axis := 0
	if _, ok := c.op.attributes["axis"]; ok {
		axis = c.axis(c.integer("axis", 0), x.Rank())
	} else {
		x = c.flat(x)
	}
	if c.folder.value(c.x(1)) == nil {
		c.outsideLoops()
		return one(graph.Gather(x, c.flat(graph.NonZero(c.flat(c.x(1)), c.symbol("nonzero"))), axis))
	}
	var taken []int
	for i, v := range c.constant(1).Float64s() {
		if n, ok := x.Shape()[axis].Constant(); ok && i >= n {
			c.fail("%d conditions for %d elements", i+1, n)
		}
		if v != 0 {
			taken = append(taken, i)
		}
	}
	if len(taken) == 0 {
		return one(graph.Slice(x, axis, 0, 0, 1))
	}
	return one(c.take(x, axis, taken))
}

// readCenterCropPad cuts or pads axes to a shape about their middles.
func readCenterCropPad(c *call) []*value {
	x := c.x(0)
	axes, given := c.integers("axes")
	if !given {
		axes = trailing(0, x.Rank())
	}
	v := number(c.graph, x.DType(), 0)
	if !c.follows(1) {
		for i, n := range c.scalars(1) {
			a := c.axis(axes[i], x.Rank())
			lo := graph.Div(graph.Sub(n, c.count(x.Shape()[a])), c.integerOf(2)) // towards 0
			x = c.moved(x, a, lo, n, "constant", v)
		}
		return one(x)
	}
	shape := c.ints(1)
	if len(shape) != len(axes) {
		c.fail("shape %v for axes %v", shape, axes)
	}
	lo, hi := make(graph.Shape, x.Rank()), make(graph.Shape, x.Rank())
	for i, a := range axes {
		a = c.axis(a, x.Rank())
		n := c.size(x, a)
		if n > shape[i] {
			from := (n - shape[i]) / 2
			x = graph.Slice(x, a, from, from+shape[i], 1)
			continue
		}
		lo[a] = graph.Const((shape[i] - n) / 2)
		hi[a] = graph.Const(shape[i] - n).Sub(lo[a])
	}
	return one(c.pad(x, lo, hi, v))
}
