package onnximport

import (
	"ebm/models/graph"
	"ebm/models/tensor"
)

// readRotaryEmbedding turns pairs of elements of x, [B S H·D] or [B H S D], by
// angles whose cosines and sines are rows [D/2] of tables, one for each
// position.
func readRotaryEmbedding(c *call) []*value {
	c.ignore("is_packed_batching")
	if c.number("scale", 1) != 1 {
		c.fail("a scale of %g, want 1", c.number("scale", 1))
	}
	return c.rotated(c.float(2), c.float(3), graph.Cast(c.x(1), tensor.Int64))
}

// readRotary is the operator of the standard set, whose tables are [B S D/2] where there
// are no positions.
func readRotary(c *call) []*value {
	var ids *graph.Node
	if c.has(3) {
		ids = graph.Cast(c.x(3), tensor.Int64)
	}
	return c.rotated(c.float(1), c.float(2), ids)
}

// rotated turns operand 0 by the angles of tables at positions.
func (c *call) rotated(cos, sin, ids *graph.Node) []*value {
	x := c.float(0)
	if ids != nil && cos.Rank() != 2 || ids == nil && cos.Rank() != 3 {
		c.fail("tables %v, want [T D/2], or [B S D/2] without positions", cos.Type())
	}
	flat := x.Rank() == 3
	if flat {
		heads := c.integer("num_heads", 0)
		if heads == 0 {
			heads = c.size(x, 2) / max(2*c.size(cos, cos.Rank()-1), 1)
		}
		x = (&attention{call: c}).heads(x, heads)
	} else {
		c.ignore("num_heads")
	}
	if x.Rank() != 4 {
		c.fail("%v, want an operand [B S H·D] or [B H S D]", x.Type())
	}
	y := c.turned(x, cos, sin, ids, c.integer("rotary_embedding_dim", 0), c.integer("interleaved", 0) != 0)
	if flat {
		y = c.merged(y)
	}
	return one(y)
}

// turned turns the first elements of x [B H S D], all where their number is 0, in pairs
// of one of the first and one of the second half, or interleaved, of neighbours.
func (c *call) turned(x, cos, sin, ids *graph.Node, turned int, interleaved bool) *graph.Node {
	size, half := c.size(x, 3), c.size(cos, cos.Rank()-1)
	if turned == 0 {
		turned = min(size, 2*half)
	}
	if half != turned/2 || turned > size || turned%2 != 0 {
		c.fail("tables %v for %d elements of %d", cos.Type(), turned, size)
	}
	s := x.Shape()
	angle := func(table *graph.Node) *graph.Node { // [B|1 1 S D/2]
		if ids == nil {
			return graph.ExpandDims(table, 1)
		}
		if v, ok := volume(ids.Shape()); ok && v == graph.Const(1) && ids.Rank() == 1 {
			at := graph.Add(graph.Broadcast(graph.Reshape(ids, nil), graph.Shape{s[2]}), c.iota(s[2]))
			return graph.ExpandDims(graph.Gather(table, at, 0), 0, 1)
		}
		return graph.ExpandDims(graph.Gather(table, ids, 0), 1)
	}
	part := func(from, to, step int) *graph.Node { return graph.Slice(x, 3, from, to, step) }
	a, b := part(0, half, 1), part(half, turned, 1)
	if interleaved {
		a, b = part(0, turned-1, 2), part(1, turned, 2)
	}
	m, n := graph.Broadcast(angle(cos), a.Shape()), graph.Broadcast(angle(sin), a.Shape())
	first, second := graph.Sub(graph.Mul(a, m), graph.Mul(b, n)), graph.Add(graph.Mul(b, m), graph.Mul(a, n))
	y := graph.Concat(3, first, second)
	if interleaved {
		both := graph.Concat(4, graph.ExpandDims(first, 4), graph.ExpandDims(second, 4))
		y = graph.Reshape(both, graph.Shape{s[0], s[1], s[2], graph.Const(turned)})
	}
	if turned < size {
		y = graph.Concat(3, y, part(turned, size, 1))
	}
	return y
}
