package onnximport

import (
	"math"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// attention is one Attention on the way: queries [B Hq S D], keys and values
// [B Hk T D].
type attention struct {
	*call
	q, k, v *graph.Node
	allowed *graph.Node // bool [… S T] of what may be attended to, nil for all
	bias    *graph.Node // added to the scores, nil for none
}

// readAttention reads softmax(s·Q·Kᵀ + mask)·V over heads. Rows that may attend to
// nothing give 0, and gradients of 0.
func readAttention(c *call) []*value {
	c.ignore("softmax_precision") // which is at least float32 here
	a := &attention{call: c, q: c.float(0), k: c.float(1), v: c.float(2)}
	flat := a.q.Rank() == 3
	queryHeads, keyHeads := c.integer("q_num_heads", 0), c.integer("kv_num_heads", 0)
	if flat {
		a.q, a.k, a.v = a.heads(a.q, queryHeads), a.heads(a.k, keyHeads), a.heads(a.v, keyHeads)
	}
	if a.q.Rank() != 4 || a.k.Rank() != 4 || a.v.Rank() != 4 {
		c.fail("%v, %v and %v, want operands [B S H·D] or [B H S D]", a.q.Type(), a.k.Type(), a.v.Type())
	}
	past := graph.Dim{}
	if c.has(4) && c.has(5) {
		past = c.x(4).Shape()[2]
		a.k, a.v = graph.Concat(2, c.x(4), a.k), graph.Concat(2, c.x(5), a.v)
	}
	present := []*graph.Node{a.k, a.v}
	a.readMask()
	a.restrict(past)
	a.k, a.v = a.shared(a.k), a.shared(a.v)

	scale := c.number("scale", 1/math.Sqrt(float64(c.size(a.q, 3))))
	scores := a.scores(scale)
	masked := a.mask(scores)
	weights := a.softmax(masked)
	y := c.matMul(weights, a.v)
	if flat {
		y = c.merged(y)
	}
	shown := scores
	switch mode := c.integer("qk_matmul_output_mode", 0); mode {
	case 0, 1:
	case 2:
		shown = masked
	case 3:
		shown = weights
	default:
		c.fail("qk_matmul_output_mode %d is not known", mode)
	}
	return []*value{{node: y}, {node: present[0]}, {node: present[1]}, {node: shown}}
}

// heads splits x [B S H·D] into [B H S D].
func (a *attention) heads(x *graph.Node, n int) *graph.Node {
	if x.Rank() != 3 || n < 1 || a.size(x, 2)%n != 0 {
		a.fail("%v in %d heads", x.Type(), n)
	}
	s := x.Shape()
	split := graph.Shape{s[0], s[1], graph.Const(n), graph.Const(a.size(x, 2) / n)}
	return graph.Transpose(graph.Reshape(x, split), 0, 2, 1, 3)
}

// merged puts the heads of x [B H S D] side by side, [B S H·D].
func (c *call) merged(x *graph.Node) *graph.Node {
	y := graph.Transpose(x, 0, 2, 1, 3)
	s := y.Shape()
	return graph.Reshape(y, graph.Shape{s[0], s[1], c.times(s[2], s[3])})
}

// scores returns the scaled products of queries and keys, within the attribute softcap.
func (a *attention) scores(scale float64) *graph.Node {
	scores := graph.Scale(a.matMul(a.q, graph.SwapLast(a.k)), scale)
	if limit := a.number("softcap", 0); limit > 0 {
		scores = graph.Scale(graph.Tanh(graph.Scale(scores, 1/limit)), limit)
	}
	return scores
}

// shared repeats the heads of keys or values that several heads of queries share.
func (a *attention) shared(x *graph.Node) *graph.Node {
	want, have := a.size(a.q, 1), a.size(x, 1)
	if want == have {
		return x
	}
	if have == 0 || want%have != 0 {
		a.fail("%d heads of queries for %d of keys", want, have)
	}
	full := slices.Insert(slices.Clone(x.Shape()), 2, graph.Const(want/have))
	merged := slices.Clone(x.Shape())
	merged[1] = graph.Const(want)
	return graph.Reshape(graph.Broadcast(graph.ExpandDims(x, 2), full), merged)
}

// readMask takes operand 3: bools, or numbers to add. What it does not reach
// may not be attended to.
func (a *attention) readMask() {
	if !a.has(3) {
		return
	}
	m := a.x(3)
	if m.Rank() == 0 || m.Rank() > 4 {
		a.fail("a mask %v", m.Type())
	}
	last := m.Rank() - 1
	if short, keys := m.Shape()[last], a.k.Shape()[2]; short != keys && short != graph.Const(1) && a.assume(keys.Sub(short)) {
		lo, hi := make(graph.Shape, m.Rank()), make(graph.Shape, m.Rank())
		hi[last] = keys.Sub(short)
		if m.DType() == tensor.Bool {
			m = graph.Pad(m, lo, hi, nil)
		} else {
			m = a.padWith(m, lo, hi, math.Inf(-1))
		}
	}
	if m.DType() == tensor.Bool {
		a.allowed = m
	} else {
		a.bias = graph.Cast(m, a.q.DType())
	}
}

// restrict leaves out keys that are beyond the end of a sequence, after the
// query, or outside of a window around it.
func (a *attention) restrict(past graph.Dim) {
	causal := a.integer("is_causal", 0) != 0
	left, right := a.integer("left_window_size", -1), a.integer("right_window_size", -1)
	if !causal && left < 0 && right < 0 && !a.has(6) {
		return
	}
	number := func(n int) *graph.Node { return a.graph.Scalar(tensor.Int64, float64(n)) }
	one, queries, keys := graph.Const(1), a.q.Shape()[2], a.k.Shape()[2]
	j := graph.Reshape(a.iota(keys), graph.Shape{one, one, one, keys})
	first := a.count(past) // the place of the first query among the keys
	if a.has(6) {
		lengths := graph.Cast(a.x(6), tensor.Int64)
		lengths = graph.Reshape(lengths, graph.Shape{a.q.Shape()[0], graph.Const(1), graph.Const(1), graph.Const(1)})
		a.allow(a.less(j, lengths))
		if past == (graph.Dim{}) {
			first = graph.Sub(lengths, graph.Broadcast(a.count(queries), lengths.Shape()))
		}
	}
	i := graph.Reshape(a.iota(queries), graph.Shape{one, one, queries, one})
	ahead := a.sum(i, first)
	ahead = a.sum(ahead, negate(j)) // how far the query is ahead of the key
	if causal {
		a.allow(a.less(number(-1), ahead))
	}
	if left >= 0 {
		a.allow(a.less(ahead, number(left+1)))
	}
	if right >= 0 {
		a.allow(a.less(number(-right-1), ahead))
	}
}

func (a *attention) less(x, y *graph.Node) *graph.Node {
	both := a.broadcast(x, y)
	return graph.Less(both[0], both[1])
}

func (a *attention) sum(x, y *graph.Node) *graph.Node {
	both := a.broadcast(x, y)
	return graph.Add(both[0], both[1])
}

// allow leaves only what was allowed so far and cond allows too.
func (a *attention) allow(cond *graph.Node) {
	if a.allowed != nil {
		both := a.broadcast(a.allowed, cond)
		cond = and(both[0], both[1])
	}
	a.allowed = cond
}

// mask adds the mask to the scores.
func (a *attention) mask(scores *graph.Node) *graph.Node {
	if a.bias != nil {
		scores = graph.Add(scores, graph.Broadcast(a.bias, scores.Shape()))
	}
	if a.allowed != nil {
		none := graph.Like(scores, math.Inf(-1))
		scores = graph.Where(graph.Broadcast(a.allowed, scores.Shape()), scores, none)
	}
	return scores
}

// softmax is 0 over a row of −∞ alone, and so is its derivative.
func (a *attention) softmax(x *graph.Node) *graph.Node {
	axes := []int{x.Rank() - 1}
	top := graph.StopGradient(graph.ReduceMax(x, axes...))
	top = graph.Maximum(top, graph.Like(top, -math.MaxFloat32))
	e := graph.Exp(graph.Sub(x, spread(top, x, axes)))
	sum := graph.ReduceSum(e, axes...)
	sum = graph.Where(graph.Equal(sum, graph.Like(sum, 0)), graph.Like(sum, 1), sum)
	return graph.Div(e, spread(sum, x, axes))
}
