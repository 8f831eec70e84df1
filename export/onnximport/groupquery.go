package onnximport

import (
	"math"

	"ebm/models/graph"
)

// readGroupQueryAttention reads causal attention whose keys and values are shared by
// several heads of queries, of sequences [B S H] without a past.
func readGroupQueryAttention(c *call) []*value {
	heads, shared := c.integer("num_heads", 0), c.integer("kv_num_heads", 0)
	q := c.float(0)
	if q.Rank() != 3 || heads < 1 || shared < 1 || c.has(3) && !empty(c.x(3)) {
		c.fail("%v in %d and %d heads, want queries [B S H] without a past", q.Type(), heads, shared)
	}
	for _, name := range []string{"smooth_softmax", "qk_output", "k_quant_type", "v_quant_type"} {
		if c.integer(name, 0) > 0 {
			c.fail("%s is not supported", name)
		}
	}
	a := &attention{call: c}
	if c.has(1) {
		a.q, a.k, a.v = a.heads(q, heads), a.heads(c.float(1), shared), a.heads(c.float(2), shared)
	} else {
		width := c.size(q, 2) / (heads + 2*shared)
		part := func(from, n int) *graph.Node { return a.heads(graph.Slice(q, 2, from*width, (from+n)*width, 1), n) }
		a.q, a.k, a.v = part(0, heads), part(heads, shared), part(heads+shared, shared)
	}
	if c.integer("do_rotary", 0) != 0 {
		turned := func(x *graph.Node) *graph.Node {
			s := x.Shape()
			ids := graph.Broadcast(graph.ExpandDims(c.iota(s[2]), 0), graph.Shape{s[0], s[2]})
			return c.turned(x, c.float(7), c.float(8), ids, 0, c.integer("rotary_interleaved", 0) != 0)
		}
		a.q, a.k = turned(a.q), turned(a.k)
	}
	present := []*graph.Node{a.k, a.v}
	a.k, a.v = a.shared(a.k), a.shared(a.v)
	scale := c.number("scale", 0)
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(c.size(a.q, 3)))
	}
	scores := a.scores(scale)
	rows, columns := places(c, scores, 2), places(c, scores, 3)
	hidden := graph.Less(rows, columns)
	if window := c.integer("local_window_size", -1); window > 0 {
		hidden = or(hidden, lessOrEqual(graph.Add(columns, constantLike(columns, float64(window))), rows))
	}
	scores = graph.Where(hidden, graph.Like(scores, math.Inf(-1)), scores)
	y := c.merged(c.matMul(graph.Exp(graph.LogSoftmax(scores)), a.v))
	return []*value{{node: y}, {node: present[0]}, {node: present[1]}}
}

func empty(x *graph.Node) bool {
	v, ok := volume(x.Shape())
	return ok && v == graph.Dim{}
}
