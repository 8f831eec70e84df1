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
	return one(graph.Concat(axis, xs...))
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
	parts, given := []int(nil), false
	if c.version < 13 && c.version != 1 {
		parts, given = c.integers("split")
	} else if c.version == 1 {
		if parts, given = c.integers("split"); !given && c.has(1) {
			parts, given = c.ints(1), true
		}
	} else if c.has(1) {
		parts, given = c.ints(1), true
	}
	n := c.size(x, axis)
	if !given {
		count := c.integer("num_outputs", len(c.op.outputs))
		if count < 1 || count > len(c.op.outputs) {
			c.fail("%d parts for %d outputs", count, len(c.op.outputs))
		}
		each := (n + count - 1) / count
		for left := n; len(parts) < count; left -= each {
			parts = append(parts, max(0, min(each, left)))
		}
	}
	var out []*value
	start := 0
	for _, p := range parts {
		if p < 0 || p > n-start {
			c.fail("parts %v of axis %d, which has %d elements", parts, axis, n)
		}
		out = append(out, &value{node: graph.Slice(x, axis, start, start+p, 1)})
		start += p
	}
	if start != n {
		c.fail("parts %v of axis %d, which has %d elements", parts, axis, n)
	}
	return out
}

// readSlice reads starts, ends, axes and steps from attributes, or since
// version 10 from operands.
func readSlice(c *call) []*value {
	var starts, ends, axes, steps []int
	given := false
	if c.version < 10 {
		starts, _ = c.integers("starts")
		ends, _ = c.integers("ends")
		axes, given = c.integers("axes")
	} else {
		starts, ends = c.ints(1), c.ints(2)
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
		r := c.sliceRange(starts[0], ends[0], steps[0], len(s.elems))
		var elems []graph.Dim
		for _, i := range r.list() {
			elems = append(elems, s.elems[i])
		}
		return []*value{{sizes: vectorOf(elems)}}
	}
	x := c.x(0)
	c.axes(axes, x.Rank()) // which must differ
	for i, a := range axes {
		x = c.slice(x, c.axis(a, x.Rank()), starts[i], ends[i], steps[i])
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

func (c *call) slice(x *graph.Node, axis, start, end, step int) *graph.Node {
	if n, ok := x.Shape()[axis].Constant(); !ok && start == 0 && step == 1 && end >= math.MaxInt32 {
		return x // the whole axis
	} else if step > max(1, n) {
		step = max(1, n)
	}
	n := c.size(x, axis)
	r := c.sliceRange(start, end, step, n)
	switch {
	case r.count == 0:
		return graph.Slice(x, axis, 0, 0, 1)
	case step > 0:
		return graph.Slice(x, axis, r.first, r.first+(r.count-1)*r.step+1, r.step)
	}
	return c.take(x, axis, r.list())
}

// take returns the elements of x at known indices along an axis.
func (c *call) take(x *graph.Node, axis int, indices []int) *graph.Node {
	t := tensor.New(tensor.Int64, len(indices))
	for i, at := range indices {
		tensor.Data[int64](t)[i] = int64(at)
	}
	return graph.Gather(x, c.made(t), axis)
}
