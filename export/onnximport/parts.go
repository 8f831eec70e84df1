package onnximport

import (
	"math"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

func readConcat(c *call) []*value {
	if len(c.in) == 0 {
		c.fail("want operands")
	}
	otherwise := math.MinInt32 // none
	if c.version < 4 {
		otherwise = 1
	}
	axis := c.integer("axis", otherwise)
	if s := c.concatSizes(); s != nil {
		return []*value{{sizes: s}}
	}
	xs := c.all()
	axis = c.axis(axis, xs[0].Rank())
	return one(graph.Concat(axis, c.aligned(xs, axis+1)...))
}

// concatSizes joins operands that are all known, one of them followed by
// value.
func (c *call) concatSizes() *sizes {
	out, followed := vectorOf(nil), false
	for i := range c.in {
		v := c.operand(i)
		s := c.sizesOf(v)
		if s == nil || len(s.shape) != 1 || len(out.elems) > mostSizes {
			return nil
		}
		followed = followed || v.sizes != nil
		out = vectorOf(append(out.elems, s.elems...))
	}
	if !followed {
		return nil
	}
	return out
}

// readSplit reads the sizes of parts from an attribute, an operand, or from
// how many of them there are.
func readSplit(c *call) []*value {
	x := c.x(0)
	axis := c.axis(c.integer("axis", 0), x.Rank())
	if !c.follows(1) {
		return c.splitMeasured(x, axis, 1)
	}
	parts, given := []graph.Dim(nil), false
	if c.version < 13 && c.version != 1 {
		parts, given = c.dimensions("split")
	} else if c.version == 1 {
		if parts, given = c.dimensions("split"); !given && c.has(1) {
			parts, given = c.dims(1), true
		}
	} else if c.has(1) {
		parts, given = c.dims(1), true
	}
	n := x.Shape()[axis]
	if !given {
		count := c.integer("num_outputs", len(c.op.outputs))
		if count < 1 || count > len(c.op.outputs) {
			c.fail("%d parts for %d outputs", count, len(c.op.outputs))
		}
		each := n.Add(graph.Const(count - 1)).Div(graph.Const(count))
		left := n
		for len(parts) < count {
			part := each
			if len(parts) == count-1 || !c.assume(left.Sub(each)) { // the last one may be smaller
				part = left
			}
			parts = append(parts, part)
			left = left.Sub(part)
		}
	}
	var out []*value
	start := graph.Dim{}
	for _, p := range parts {
		end := start.Add(p)
		if !atLeast(p, 0) && !c.assume(p) || !c.assume(n.Sub(end)) {
			c.fail("parts %v of axis %d, which has %v elements", graph.Shape(parts), axis, n)
		}
		out = append(out, &value{node: graph.Slice(x, axis, start, end, 1)})
		start = end
	}
	if start != n {
		c.fail("parts %v of axis %d, which has %v elements", graph.Shape(parts), axis, n)
	}
	return out
}

// readSlice reads starts, ends, axes and steps from attributes, or since
// version 10 from operands.
func readSlice(c *call) []*value {
	var starts, ends []graph.Dim
	var axes, steps []int
	given := false
	if c.version < 10 {
		starts, _ = c.dimensions("starts")
		ends, _ = c.dimensions("ends")
		axes, given = c.integers("axes")
	} else if c.operand(0).sizes == nil && !(c.follows(1) && c.follows(2) && c.follows(3) && c.follows(4)) {
		return one(c.sliceMeasured(c.x(0)))
	} else {
		starts, ends = c.dims(1), c.dims(2)
		if given = c.has(3); given {
			axes = c.ints(3)
		}
		if c.has(4) {
			steps = c.ints(4)
		}
	}
	if !given {
		for i := range starts {
			axes = append(axes, i)
		}
	}
	if steps == nil {
		steps = slices.Repeat([]int{1}, len(starts))
	}
	if len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		c.fail("%d starts, %d ends, %d axes and %d steps", len(starts), len(ends), len(axes), len(steps))
	}
	if s := c.operand(0).sizes; s != nil && len(s.shape) == 1 && len(starts) == 1 {
		start, ok1 := starts[0].Constant()
		end, ok2 := ends[0].Constant()
		if !ok1 || !ok2 {
			c.fail("a slice of sizes from %v to %v, want numbers", starts[0], ends[0])
		}
		r := c.sliceRange(start, end, steps[0], len(s.elems))
		var elems []graph.Dim
		for _, i := range r.list() {
			elems = append(elems, s.elems[i])
		}
		return []*value{{sizes: vectorOf(elems)}}
	}
	x := c.x(0)
	for i, a := range c.axesAsGiven(axes, x.Rank()) {
		x = c.slice(x, a, starts[i], ends[i], steps[i])
	}
	return one(x)
}

// indexRange is the indices first, first+step, …, count of them.
type indexRange struct{ first, step, count int }

func (r indexRange) list() []int {
	list := make([]int, r.count)
	for i := range list {
		list[i] = r.first + i*r.step
	}
	return list
}

// sliceRange returns which of n elements a slice takes. Starts and ends count
// from the end where they are negative, and are cut to what there is.
func (c *call) sliceRange(start, end, step, n int) indexRange {
	if step == 0 || step == math.MinInt64 {
		c.fail("a slice of step %d", step)
	}
	clip := func(i, low, high int) int {
		if i < 0 {
			i += n
		}
		return max(low, min(i, high))
	}
	if step > 0 {
		start, end = clip(start, 0, n), clip(end, 0, n)
		return indexRange{start, step, max(0, (end-start+step-1)/step)}
	}
	start, end = clip(start, -1, n-1), clip(end, -1, n-1)
	return indexRange{start, step, max(0, (start-end-step-1)/-step)}
}

func (c *call) slice(x *graph.Node, axis int, from, to graph.Dim, step int) *graph.Node {
	n, ok := x.Shape()[axis].Constant()
	start, ok1 := from.Constant()
	end, ok2 := to.Constant()
	if !ok || !ok1 || !ok2 {
		return c.symbolicSlice(x, axis, from, to, step)
	}
	step = min(step, max(1, n))
	r := c.sliceRange(start, end, step, n)
	switch {
	case r.count == 0:
		return graph.Slice(x, axis, 0, 0, 1)
	case step > 0:
		return graph.Slice(x, axis, r.first, r.first+(r.count-1)*r.step+1, r.step)
	}
	return c.take(x, axis, r.list())
}

// symbolicSlice takes a slice of which an end, or the axis, is symbolic. Ends
// are cut to what there is where that is known; where it depends on the sizes
// of symbols, they are assumed to lie within.
func (c *call) symbolicSlice(x *graph.Node, axis int, start, end graph.Dim, step int) *graph.Node {
	n := x.Shape()[axis]
	const far = math.MaxInt32 // stands for the end, as negative for the start
	from := func(d graph.Dim) graph.Dim {
		if k, ok := d.Constant(); ok && k >= 0 || atLeast(d, 0) {
			return d
		}
		if atLeast(graph.Const(-1).Sub(d), 0) { // below 0
			return n.Add(d)
		}
		c.assume(d)
		return d
	}
	if k, ok := start.Constant(); ok && k >= far {
		start = n
	} else if start = from(start); !c.assume(start) {
		start = graph.Const(0)
	}
	switch k, ok := end.Constant(); {
	case ok && k >= far:
		end = n
	case step < 0 && ok && k < -far:
		end = graph.Const(-1)
	default:
		if end = from(end); step > 0 && !c.assume(end) {
			end = graph.Const(0)
		}
	}
	if step < 0 {
		return c.backwards(x, axis, start, end, step)
	}
	if !c.assume(n.Sub(end)) {
		end = n
	}
	if !c.assume(end.Sub(start)) {
		return graph.Slice(x, axis, 0, 0, 1)
	}
	if start == (graph.Dim{}) && end == n && step == 1 {
		return x
	}
	return graph.Slice(x, axis, start, end, step)
}

// backwards takes the elements from start down to the one behind end.
func (c *call) backwards(x *graph.Node, axis int, start, end graph.Dim, step int) *graph.Node {
	if last := x.Shape()[axis].Sub(graph.Const(1)); !c.assume(last.Sub(start)) {
		start = last
	}
	if !c.assume(end.Add(graph.Const(1))) {
		end = graph.Const(-1)
	}
	if step == math.MinInt64 || !c.assume(start.Sub(end)) {
		c.fail("a slice from %v down to %v in steps of %d", start, end, step)
	}
	at := c.iota(start.Sub(end).Sub(graph.Const(step + 1)).Div(graph.Const(-step)))
	at = graph.Add(graph.Mul(at, constantLike(at, float64(step))), c.repeated(at, start))
	return graph.Gather(x, at, axis)
}

// take returns the elements of x at known indices along an axis.
func (c *call) take(x *graph.Node, axis int, indices []int) *graph.Node {
	t := tensor.New(tensor.Int64, len(indices))
	for i, at := range indices {
		tensor.Data[int64](t)[i] = int64(at)
	}
	return graph.Gather(x, c.made(t), axis)
}
