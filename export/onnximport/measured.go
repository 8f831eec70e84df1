package onnximport

import (
	"fmt"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// Shapes, places and axes that only values at run time say. How many axes a result has
// must be known; its sizes become symbols of their own, and elements are taken at
// indices that are computed.

// symbol returns a name that no dimension of the model has.
func (im *importer) symbol(stem string) string {
	for i := 1; ; i++ {
		name := fmt.Sprintf("%s%d", stem, i)
		if _, taken := im.plain[name]; !taken {
			im.plain[name] = false
			return name
		}
	}
}

// outsideLoops fails where a size is to be measured that each step may change.
func (c *call) outsideLoops() {
	if c.graph != c.model.Graph {
		c.fail("a size that depends on values is not supported inside of a loop")
	}
}

// measured returns the size that an int64 scalar says at run time, 0 where it is
// negative: a symbol, unless n is constant.
func (c *call) measured(n *graph.Node) graph.Dim {
	if t := c.folder.value(n); t != nil {
		return graph.Const(max(0, int(t.Float64s()[0])))
	}
	c.outsideLoops()
	return graph.Range(n, c.symbol("size")).Shape()[0]
}

// sizeList returns operand i, sizes of a known number, as dimensions.
func (c *call) sizeList(i int) (dims []graph.Dim) {
	if s := c.sizesOf(c.operand(i)); s != nil {
		return s.elems
	}
	for _, n := range c.scalars(i) {
		dims = append(dims, c.measured(n))
	}
	return dims
}

// follows reports whether operand i, if it is given, holds integers that are known.
func (c *call) follows(i int) bool { return !c.has(i) || c.sizesOf(c.in[i]) != nil }

// scalars returns the elements of operand i, integers of a known number, as int64
// scalars.
func (c *call) scalars(i int) (list []*graph.Node) {
	if x := c.x(i); x.DType().IsFloat() {
		c.fail("operand %d (%q) of type %v, want integers", i, c.op.inputs[i], x.Type())
	}
	return c.single(i, tensor.Int64)
}

// single returns the elements of operand i, a known number, as scalars of a type.
func (c *call) single(i int, dtype tensor.DType) (list []*graph.Node) {
	const most = 1 << 6 // axes and parts of tensors
	x := c.x(i)
	n, ok := x.Shape().Volume().Constant()
	if x.Rank() > 1 || !ok || n > most {
		c.fail("operand %d (%q) of type %v says how many axes or parts there are, want a known number", i, c.op.inputs[i], x.Type())
	}
	x = graph.Cast(c.flat(x), dtype)
	for j := range n {
		list = append(list, graph.Reshape(graph.Slice(x, 0, j, j+1, 1), nil))
	}
	return list
}

func (c *call) integerOf(n int) *graph.Node { return c.graph.Scalar(tensor.Int64, float64(n)) }

// lengths returns the dimensions of a shape as int64 scalars.
func (c *call) lengths(s graph.Shape) (list []*graph.Node) {
	for _, d := range s {
		list = append(list, c.count(d))
	}
	return list
}

// choose is Where for scalars, of which a known condition leaves one.
func (c *call) choose(cond, a, b *graph.Node) *graph.Node {
	if t := c.folder.value(cond); t != nil {
		if t.Float64s()[0] != 0 {
			return a
		}
		return b
	}
	return graph.Where(cond, a, b)
}

// isAxis reports at run time whether an int64 scalar names axis a of rank.
func (c *call) isAxis(n *graph.Node, a, rank int) *graph.Node {
	return or(graph.Equal(n, c.integerOf(a)), graph.Equal(n, c.integerOf(a-rank)))
}

// byAxis returns a value for each of rank axes: those that the axes name have theirs, in
// order, and all others the one that is given.
func (c *call) byAxis(rank int, axes, values []*graph.Node, otherwise *graph.Node) []*graph.Node {
	out := make([]*graph.Node, rank)
	for a := range out {
		out[a] = otherwise
		for k, n := range axes {
			out[a] = c.choose(c.isAxis(n, a, rank), values[k], out[a])
		}
	}
	return out
}

// axisList returns the axes of operand i as scalars, and 0, 1, … n−1 where there is none.
func (c *call) axisList(i, n int) []*graph.Node {
	if c.has(i) {
		return c.scalars(i)
	}
	list := make([]*graph.Node, n)
	for a := range list {
		list[a] = c.integerOf(a)
	}
	return list
}

// overAxis computes f along the axis that operand i says. Where only values say it, f is
// computed along each one, and one of the results chosen; f is nil along those that
// cannot be it.
func (c *call) overAxis(i, rank int, f func(axis int) *graph.Node) *graph.Node {
	if c.folder.value(c.x(i)) != nil {
		return f(c.axis(int(c.scalar(i)), rank))
	}
	at := c.scalars(i)[0]
	y := f(0)
	for a := 1; a < rank; a++ {
		other := f(a)
		if other == nil {
			continue
		}
		if !other.Shape().Equal(y.Shape()) {
			c.fail("operand %d (%q), an axis, says whether the shape is %v or %v, want a constant", i, c.op.inputs[i], y.Shape(), other.Shape())
		}
		y = graph.Where(graph.Broadcast(c.isAxis(at, a, rank), y.Shape()), other, y)
	}
	return y
}

// refit is Reshape to dimensions of which only values say that they fit.
func (c *call) refit(x *graph.Node, dims graph.Shape) *graph.Node {
	before, after := c.volume(x.Shape()), c.volume(dims)
	if before == graph.Const(0) {
		return graph.Broadcast(number(c.graph, x.DType(), 0), dims)
	}
	if before != after {
		if !c.assume(after.Sub(before)) || !c.assume(before.Sub(after)) {
			c.fail("%v does not reshape to %v", x.Shape(), dims)
		}
		x = graph.Gather(c.flat(x), c.iota(after), 0)
	}
	return graph.Reshape(x, dims)
}

// reshapeMeasured reshapes to dimensions that only values say, with the 0 and −1 of
// Reshape among them.
func (c *call) reshapeMeasured(x *graph.Node, copies bool) *graph.Node {
	zero, one, rest := c.integerOf(0), c.integerOf(1), c.integerOf(-1)
	list, known := c.scalars(1), one
	for i, n := range list {
		if copies && i < x.Rank() {
			list[i] = c.choose(graph.Equal(n, zero), c.count(x.Shape()[i]), n)
		}
		known = graph.Mul(known, c.choose(graph.Equal(n, rest), one, list[i]))
	}
	left := graph.Div(c.count(c.volume(x.Shape())), graph.Maximum(known, one))
	var dims graph.Shape
	for _, n := range list {
		dims = append(dims, c.measured(c.choose(graph.Equal(n, rest), left, n)))
	}
	return c.refit(x, dims)
}

// without drops or adds axes of size 1: gone says of each axis of x whether it is dropped
// from a result of rank axes.
func (c *call) without(x *graph.Node, gone []*graph.Node, rank int) *graph.Node {
	sizes := make([]*graph.Node, rank)
	before := c.integerOf(0) // axes that were kept so far
	for i, n := range c.lengths(x.Shape()) {
		for j := range sizes {
			if sizes[j] == nil {
				sizes[j] = c.integerOf(1)
			}
			here := and(not(gone[i]), graph.Equal(before, c.integerOf(j)))
			sizes[j] = c.choose(here, n, sizes[j])
		}
		before = graph.Add(before, bit(not(gone[i])))
	}
	var dims graph.Shape
	for _, n := range sizes {
		dims = append(dims, c.measured(n))
	}
	return c.refit(x, dims)
}

// named returns for each of rank axes, at run time, whether operand i names it.
func (c *call) named(i, rank int) []*graph.Node {
	axes, yes := c.scalars(i), graph.Equal(c.integerOf(0), c.integerOf(0))
	flags := make([]*graph.Node, rank)
	for a := range flags {
		flags[a] = not(yes)
		for _, n := range axes {
			flags[a] = or(flags[a], c.isAxis(n, a, rank))
		}
	}
	return flags
}

// squeezeMeasured drops the axes that only values name.
func (c *call) squeezeMeasured(x *graph.Node) *graph.Node {
	return c.without(x, c.named(1, x.Rank()), x.Rank()-len(c.scalars(1)))
}

// unsqueezeMeasured adds axes of size 1 where only values say.
func (c *call) unsqueezeMeasured(x *graph.Node) *graph.Node {
	before, sizes := c.integerOf(0), c.lengths(x.Shape()) // axes of x that have come so far
	var dims graph.Shape
	for _, added := range c.named(1, x.Rank()+len(c.scalars(1))) {
		n := c.integerOf(1)
		for i, size := range sizes {
			n = c.choose(and(not(added), graph.Equal(before, c.integerOf(i))), size, n)
		}
		dims = append(dims, c.measured(n))
		before = graph.Add(before, bit(not(added)))
	}
	return c.refit(x, dims)
}

// reduceMeasured computes a reduction over axes that only values name, one after the
// other: each is reduced, repeated and taken if it is named. What is left of it is its
// first element.
func (c *call) reduceMeasured(x *graph.Node, f reducer, keep bool) *graph.Node {
	after, truth := itself, x.DType() == tensor.Bool
	switch c.op.kind { // two that do not go axis by axis
	case "ReduceSumSquare":
		x, f = graph.Mul(x, x), reduceSum
	case "ReduceLogSum":
		f, after = reduceSum, graph.Log
	}
	if truth {
		x = bit(x)
	}
	flags, rank, lengths := c.named(1, x.Rank()), x.Rank()-len(c.scalars(1)), c.lengths(x.Shape())
	for a, flag := range flags {
		if y := f(c, x, []int{a}); x.Shape()[a] == graph.Const(0) {
			x = graph.KeepDims(y, x, a) // of no elements, if it is named
		} else {
			x = graph.Where(graph.Broadcast(flag, x.Shape()), spread(y, x, []int{a}), x)
		}
	}
	for a, n := range lengths {
		x = graph.Gather(x, c.iota(c.measured(c.choose(flags[a], c.integerOf(1), n))), a)
	}
	if !keep {
		x = c.without(x, flags, rank)
	}
	if truth {
		return graph.Less(constantLike(x, 0), x)
	}
	return after(x)
}

// stepping returns count places from start on in steps, int64 [K], for int64 scalars.
func (c *call) stepping(start, step, count *graph.Node) *graph.Node {
	at := c.iota(c.measured(count))
	return graph.Add(graph.Broadcast(start, at.Shape()), graph.Mul(graph.Broadcast(step, at.Shape()), at))
}

// stepsBetween returns how many steps lead from start to before end, negative for none.
func stepsBetween(start, end, step *graph.Node) *graph.Node {
	zero := constantLike(step, 0)
	sign := graph.Sub(graph.Cast(graph.Less(zero, step), step.DType()), graph.Cast(graph.Less(step, zero), step.DType()))
	return graph.Div(graph.Sub(graph.Add(graph.Sub(end, start), step), sign), step)
}

// sliceMeasured takes a slice at places that only values say.
func (c *call) sliceMeasured(x *graph.Node) *graph.Node {
	zero, one, far := c.integerOf(0), c.integerOf(1), c.graph.Constant(tensor.Of([]int64{1 << 62}))
	starts, ends := c.scalars(1), c.scalars(2)
	axes, steps := c.axisList(3, len(starts)), []*graph.Node(nil)
	for range starts {
		steps = append(steps, one)
	}
	if c.has(4) {
		steps = c.scalars(4)
	}
	if len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		c.fail("%d starts, %d ends, %d axes and %d steps", len(starts), len(ends), len(axes), len(steps))
	}
	from, to, by := c.byAxis(x.Rank(), axes, starts, zero), c.byAxis(x.Rank(), axes, ends, far), c.byAxis(x.Rank(), axes, steps, one)
	for a, n := range c.lengths(x.Shape()) {
		if from[a] == zero && to[a] == far && by[a] == one {
			continue
		}
		// A slice backwards ends before the first element.
		low := negate(bit(graph.Less(by[a], zero)))
		place := func(at *graph.Node) *graph.Node {
			at = graph.Where(graph.Less(at, zero), graph.Add(at, n), at)
			return graph.Maximum(low, graph.Minimum(at, graph.Add(n, low)))
		}
		start, end := place(from[a]), place(to[a])
		x = graph.Gather(x, c.stepping(start, by[a], stepsBetween(start, end, by[a])), a)
	}
	return x
}

// padMeasured surrounds x by numbers of elements that only values say; negative ones cut.
func (c *call) padMeasured(x, v *graph.Node, mode string) *graph.Node {
	pads := c.scalars(1)
	n := len(pads) / 2
	axes, zero := c.axisList(3, x.Rank()), c.integerOf(0)
	if len(pads) != 2*n || len(axes) != n {
		c.fail("%d paddings for %d axes", len(pads), len(axes))
	}
	lo, hi := c.byAxis(x.Rank(), axes, pads[:n], zero), c.byAxis(x.Rank(), axes, pads[n:], zero)
	for a, size := range c.lengths(x.Shape()) {
		if lo[a] != zero || hi[a] != zero {
			x = c.moved(x, a, lo[a], graph.Add(graph.Add(size, lo[a]), hi[a]), mode, v)
		}
	}
	return x
}

// moved returns count elements along an axis, of which the first of x is at lo. Those
// beside x are what the mode says, or v.
func (c *call) moved(x *graph.Node, axis int, lo, count *graph.Node, mode string, v *graph.Node) *graph.Node {
	at := c.stepping(negate(lo), c.integerOf(1), count)
	if mode != "constant" {
		return c.extendAt(x, axis, at, mode)
	}
	size := c.repeated(at, x.Shape()[axis])
	y := c.extendAt(x, axis, at, "edge")
	inside := and(lessOrEqual(constantLike(at, 0), at), graph.Less(at, size))
	return graph.Where(graph.BroadcastAlong(inside, y.Shape(), axis), y, graph.Broadcast(v, y.Shape()))
}

// splitMeasured cuts an axis into parts whose sizes only values say.
func (c *call) splitMeasured(x *graph.Node, axis, i int) (parts []*value) {
	start := c.integerOf(0)
	for _, n := range c.scalars(i) {
		if x.Shape()[axis] == graph.Const(0) {
			parts = append(parts, &value{node: x})
			continue
		}
		parts = append(parts, &value{node: graph.Gather(x, c.stepping(start, c.integerOf(1), n), axis)})
		start = graph.Add(start, n)
	}
	return parts
}

// rangeMeasured is Range from numbers that only values say.
func (c *call) rangeMeasured() *graph.Node {
	start, end, step := graph.Reshape(c.x(0), nil), graph.Reshape(c.x(1), nil), graph.Reshape(c.x(2), nil)
	count := stepsBetween(start, end, step)
	if step.DType().IsFloat() {
		count = ceil(graph.Div(graph.Sub(end, start), step))
	}
	at := graph.Cast(c.iota(c.measured(graph.Cast(count, tensor.Int64))), step.DType())
	return graph.Add(graph.Broadcast(start, at.Shape()), graph.Mul(graph.Broadcast(step, at.Shape()), at))
}
