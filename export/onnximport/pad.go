package onnximport

import (
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// readPad reads paddings as an attribute, or since version 11 as an operand.
// Negative ones cut elements off.
func readPad(c *call) []*value {
	x := c.x(0)
	axes := trailing(0, x.Rank())
	var pads []graph.Dim
	v := number(c.graph, x.DType(), 0)
	switch {
	case c.version < 2:
		pads, _ = c.dimensions("paddings")
		v = number(c.graph, x.DType(), c.number("value", 0))
	case c.version < 11:
		pads, _ = c.dimensions("pads")
		v = number(c.graph, x.DType(), c.number("value", 0))
	default:
		if c.has(2) {
			v = graph.Reshape(c.x(2), nil)
		}
		if !c.follows(1) || !c.follows(3) {
			return one(c.padMeasured(x, v, c.text("mode", "constant")))
		}
		pads = c.dims(1)
		if c.has(3) {
			axes = c.axesAsGiven(c.ints(3), x.Rank())
		}
	}
	n := len(axes)
	if len(pads) != 2*n {
		c.fail("%d paddings for %d axes", len(pads), n)
	}
	lo, hi := make(graph.Shape, x.Rank()), make(graph.Shape, x.Rank())
	for i, a := range axes {
		lo[a], hi[a] = pads[i], pads[n+i]
		for _, d := range []graph.Dim{lo[a], hi[a]} {
			if p, ok := d.Constant(); ok && (p > 1<<24 || p < -(1<<31)) {
				c.fail("paddings %v", graph.Shape(pads))
			}
		}
	}
	switch mode := c.text("mode", "constant"); mode {
	case "constant":
		return one(c.pad(c.cut(x, lo, hi), lo, hi, v))
	case "reflect", "edge", "wrap":
		for a := range lo {
			x = c.extend(x, a, lo[a], hi[a], mode)
		}
		return one(x)
	default:
		c.fail("mode %q is not known", mode)
	}
	return nil
}

// removed returns how many elements a negative padding takes off, and added how
// many a positive one adds. A symbolic one is assumed to add.
func removed(d graph.Dim) int {
	n, _ := d.Constant()
	return max(0, -n)
}

func (c *call) added(d graph.Dim) graph.Dim {
	if removed(d) > 0 || !c.assume(d) {
		return graph.Const(0)
	}
	return d
}

// cut takes off what negative paddings say.
func (c *call) cut(x *graph.Node, lo, hi graph.Shape) *graph.Node {
	for a := range lo {
		if removed(lo[a]) == 0 && removed(hi[a]) == 0 {
			continue
		}
		n := x.Shape()[a]
		from, to := graph.Const(removed(lo[a])), n.Sub(graph.Const(removed(hi[a])))
		if !c.assume(to.Sub(from)) {
			c.fail("paddings %v and %v cut off more than the %v elements of axis %d", lo[a], hi[a], n, a)
		}
		x = graph.Slice(x, a, from, to, 1)
	}
	return x
}

// pad surrounds x with v where paddings are positive.
func (c *call) pad(x *graph.Node, lo, hi graph.Shape, v *graph.Node) *graph.Node {
	lo, hi = slices.Clone(lo), slices.Clone(hi)
	for a := range lo {
		lo[a], hi[a] = c.added(lo[a]), c.added(hi[a])
	}
	y := graph.Pad(x, lo, hi, nil)
	if t := c.folder.value(v); y == x || t != nil && t.Float64s()[0] == 0 {
		return y
	}
	truth := graph.Broadcast(c.graph.Constant(tensor.Of([]bool{true})), x.Shape())
	inside := graph.Pad(truth, lo, hi, nil)
	return graph.Where(inside, y, graph.Broadcast(v, y.Shape()))
}

// extend continues x along an axis by its own elements.
func (c *call) extend(x *graph.Node, axis int, lo, hi graph.Dim, mode string) *graph.Node {
	none := graph.Dim{}
	if lo == none && hi == none {
		return x
	}
	size := x.Shape()[axis]
	count := size.Add(lo).Add(hi)
	if !c.assume(count) || size == none {
		c.fail("paddings %v and %v of %v elements", lo, hi, size)
	}
	total, ok1 := count.Constant()
	n, ok2 := size.Constant()
	before, ok3 := lo.Constant()
	if !ok1 || !ok2 || !ok3 {
		return c.extendSymbolic(x, axis, count, lo, mode)
	}
	indices := make([]int, total)
	for i := range indices {
		at := i - before
		switch mode {
		case "edge":
			at = max(0, min(at, n-1))
		case "wrap":
			at = ((at % n) + n) % n
		default: // there and back, without repeating the ends
			period := max(1, 2*(n-1))
			at = ((at % period) + period) % period
			if at >= n {
				at = period - at
			}
		}
		indices[i] = at
	}
	return c.take(x, axis, indices)
}

// extendSymbolic computes the indices at run time, and goes back once.
func (c *call) extendSymbolic(x *graph.Node, axis int, count, lo graph.Dim, mode string) *graph.Node {
	at := c.iota(count)
	return c.extendAt(x, axis, graph.Sub(at, c.repeated(at, lo)), mode)
}

// extendAt takes elements at indices that may lie beside those of x.
func (c *call) extendAt(x *graph.Node, axis int, at *graph.Node, mode string) *graph.Node {
	size, zero := c.repeated(at, x.Shape()[axis]), constantLike(at, 0)
	last := graph.Sub(size, constantLike(at, 1))
	switch mode {
	case "edge":
		at = graph.Maximum(zero, graph.Minimum(at, last))
	case "wrap":
		at = graph.Where(graph.Less(at, zero), graph.Add(at, size), at)
		at = graph.Where(graph.Less(at, size), at, graph.Sub(at, size))
	default:
		at = absolute(at)
		at = graph.Sub(last, absolute(graph.Sub(last, at)))
	}
	return graph.Gather(x, at, axis)
}
