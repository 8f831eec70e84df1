package onnximport

import (
	"math"
	"slices"

	"ebm/models/graph"
)

// Operators that are a loop along an axis: a Scan, whose adjoint is a Scan.

// front returns x with an axis moved to the front, and what moves it back.
func front(x *graph.Node, axis int) (*graph.Node, func(*graph.Node) *graph.Node) {
	perm := slices.Insert(slices.Delete(trailing(0, x.Rank()), axis, axis+1), 0, axis)
	back := make([]int, len(perm))
	for i, p := range perm {
		back[p] = i
	}
	return graph.Transpose(x, perm...), func(y *graph.Node) *graph.Node { return graph.Transpose(y, back...) }
}

func readCumProd(c *call) []*value {
	x := c.x(0)
	return one(c.overAxis(1, x.Rank(), func(axis int) *graph.Node { return c.runningProduct(x, axis) }))
}

func (c *call) runningProduct(x *graph.Node, axis int) *graph.Node {
	moved, back := front(x, axis)
	body := graph.New("product")
	total := body.Input("total", x.DType(), moved.Shape()[1:])
	next := graph.Mul(total, body.Input("x", x.DType(), moved.Shape()[1:]))
	body.Output("next", next)
	if c.integer("exclusive", 0) != 0 {
		next = total
	}
	body.Output("all", next)
	start := graph.Broadcast(number(c.graph, x.DType(), 1), moved.Shape()[1:])
	out := graph.ScanShared(body, []*graph.Node{start}, []*graph.Node{moved}, nil, c.integer("reverse", 0) != 0)
	return back(out[1])
}

// readLinearAttention reads attention whose memory is one matrix S [B H K V] that every
// position changes: S ← e^g S + β k (v − (e^g S)ᵀk)ᵀ, of which the rule leaves parts
// out; the result is s·Sᵀq.
func readLinearAttention(c *call) []*value {
	c.ignore("chunk_size")
	queryHeads, heads := c.integer("q_num_heads", 0), c.integer("kv_num_heads", 0)
	q, k, v := c.float(0), c.float(1), c.float(2)
	if queryHeads < 1 || heads < 1 || queryHeads%heads != 0 || q.Rank() != 3 || k.Rank() != 3 || v.Rank() != 3 {
		c.fail("%v, %v and %v in %d and %d heads", q.Type(), k.Type(), v.Type(), queryHeads, heads)
	}
	rule := c.text("update_rule", "gated_delta")
	gated, delta := rule == "gated" || rule == "gated_delta", rule == "delta" || rule == "gated_delta"
	if !gated && !delta && rule != "linear" {
		c.fail("update_rule %q is not known", rule)
	}
	split := func(x *graph.Node, n int) *graph.Node { // [T B n D]
		s := x.Shape()
		if c.size(x, 2)%n != 0 {
			c.fail("%v in %d heads", x.Type(), n)
		}
		return graph.Transpose(graph.Reshape(x, graph.Shape{s[0], s[1], graph.Const(n), graph.Const(c.size(x, 2) / n)}), 1, 0, 2, 3)
	}
	scale := c.number("scale", 0)
	q, k, v = split(q, queryHeads), split(k, heads), split(v, heads)
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(c.size(q, 3)))
	}
	shape := graph.Shape{k.Shape()[1], k.Shape()[2], k.Shape()[3], v.Shape()[3]}
	state := graph.Broadcast(number(c.graph, q.DType(), 0), shape)
	if c.has(3) {
		state = graph.Cast(c.float(3), q.DType())
	}
	scanned := []*graph.Node{q, k, v}
	if gated {
		scanned = append(scanned, graph.Broadcast(split(c.float(4), heads), k.Shape()))
	}
	if delta {
		beta := c.float(5)
		scanned = append(scanned, graph.Broadcast(split(beta, c.size(beta, 2)), slices.Concat(k.Shape()[:3], graph.Dims(1))))
	}
	body := graph.New("attention_step")
	memory := body.Input("memory", q.DType(), shape)
	var at []*graph.Node
	for i, s := range scanned {
		at = append(at, body.Input([]string{"q", "k", "v", "decay", "beta"}[i], s.DType(), s.Shape()[1:]))
	}
	next, y := attend(memory, at, gated, delta, queryHeads/heads, scale)
	body.Output("memory", next)
	body.Output("y", y)
	out := graph.Scan(body, []*graph.Node{state}, scanned)
	s := out[1].Shape() // [T B Hq V]
	packed := graph.Reshape(graph.Transpose(out[1], 1, 0, 2, 3), graph.Shape{s[1], s[0], c.times(s[2], s[3])})
	return []*value{{node: packed}, {node: out[0]}}
}

// attend is one position of linear attention: q [B Hq K], k and g [B H K], v [B H V],
// β [B H 1].
func attend(memory *graph.Node, at []*graph.Node, gated, delta bool, shared int, scale float64) (next, y *graph.Node) {
	q, k, v, rest := at[0], at[1], at[2], at[3:]
	shape := memory.Shape()
	column := func(x *graph.Node) *graph.Node { return graph.Broadcast(graph.ExpandDims(x, 3), shape) }
	row := func(x *graph.Node) *graph.Node { return graph.Broadcast(graph.ExpandDims(x, 2), shape) }
	if gated {
		memory, rest = graph.Mul(memory, column(graph.Exp(rest[0]))), rest[1:]
	}
	if delta {
		v = graph.Sub(v, graph.ReduceSum(graph.Mul(memory, column(k)), 2))
		v = graph.Mul(v, graph.Broadcast(rest[0], v.Shape()))
	}
	next = graph.Add(memory, graph.Mul(column(k), row(v)))
	seen := next
	if shared > 1 {
		wide := graph.Shape{shape[0], shape[1], graph.Const(shared), shape[2], shape[3]}
		seen = graph.Reshape(graph.Broadcast(graph.ExpandDims(next, 2), wide), slices.Concat(q.Shape(), shape[3:]))
	}
	return next, graph.Scale(graph.ReduceSum(graph.Mul(seen, graph.Broadcast(graph.ExpandDims(q, 3), seen.Shape())), 2), scale)
}
