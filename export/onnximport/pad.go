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
	var pads []int
	v := number(c.graph, x.DType(), 0)
	switch {
	case c.version < 2:
		pads, _ = c.integers("paddings")
		v = number(c.graph, x.DType(), c.number("value", 0))
	case c.version < 11:
		pads, _ = c.integers("pads")
		v = number(c.graph, x.DType(), c.number("value", 0))
	default:
		pads = c.ints(1)
		if c.has(2) {
			v = graph.Reshape(c.x(2), nil)
		}
		if c.has(3) {
			list := c.ints(3)
			c.axes(list, x.Rank()) // which must differ
			for i, a := range list {
				list[i] = c.axis(a, x.Rank())
			}
			axes = list
		}
	}
	n := len(axes)
	if len(pads) != 2*n {
		c.fail("%d paddings for %d axes", len(pads), n)
	}
	lo, hi := make([]int, x.Rank()), make([]int, x.Rank())
	for i, a := range axes {
		lo[a], hi[a] = pads[i], pads[n+i]
		if max(lo[a], hi[a]) > 1<<24 || min(lo[a], hi[a]) < -(1<<31) {
			c.fail("paddings %v", pads)
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

// cut takes off what negative paddings say.
func (c *call) cut(x *graph.Node, lo, hi []int) *graph.Node {
	for a := range lo {
		if lo[a] >= 0 && hi[a] >= 0 {
			continue
		}
		n := c.size(x, a)
		from, to := max(0, -lo[a]), n-max(0, -hi[a])
		if from > to {
			c.fail("paddings %d and %d cut off more than the %d elements of axis %d", lo[a], hi[a], n, a)
		}
		x = graph.Slice(x, a, from, to, 1)
	}
	return x
}

// pad surrounds x with v where paddings are positive.
func (c *call) pad(x *graph.Node, lo, hi []int, v *graph.Node) *graph.Node {
	lo, hi = slices.Clone(lo), slices.Clone(hi)
	for a := range lo {
		lo[a], hi[a] = max(0, lo[a]), max(0, hi[a])
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
func (c *call) extend(x *graph.Node, axis, lo, hi int, mode string) *graph.Node {
	if lo == 0 && hi == 0 {
		return x
	}
	n := c.size(x, axis)
	if n+lo+hi < 0 || n == 0 {
		c.fail("paddings %d and %d of %d elements", lo, hi, n)
	}
	indices := make([]int, n+lo+hi)
	for i := range indices {
		at := i - lo
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
