package onnximport

import (
	"slices"

	"ebm/models/graph"
)

// Sequences are lists of values whose number is known while importing, and which leave
// no trace in the graph.

func sequence(items []*value) []*value { return []*value{{items: &items}} }

// items returns the first operand, a sequence.
func (c *call) items() []*value {
	v := c.operand(0)
	if v.items == nil {
		c.fail("operand 0 (%q) is a tensor, want a sequence", c.op.inputs[0])
	}
	return *v.items
}

// readOptionalHasElement reports whether there is an operand: those that are inputs are
// given.
func readOptionalHasElement(c *call) []*value {
	has := graph.Const(0)
	if c.has(0) {
		has = graph.Const(1)
	}
	return []*value{{sizes: &sizes{elems: []graph.Dim{has}, truth: true}}}
}

func readSequenceEmpty(c *call) []*value {
	c.ignore("dtype")
	return sequence(nil)
}

func readSequenceConstruct(c *call) []*value {
	for i := range c.in {
		c.operand(i)
	}
	return sequence(slices.Clone(c.in))
}

// place returns the constant place that operand i names among n, or otherwise.
func (c *call) place(i, n, otherwise int) int {
	if !c.has(i) {
		return otherwise
	}
	at := c.ints(i)
	if len(at) != 1 {
		c.fail("%d places in a sequence, want one", len(at))
	}
	return c.axis(at[0], max(n, 1))
}

func readSequenceAt(c *call) []*value {
	items := c.items()
	if len(items) == 0 {
		c.fail("an element of an empty sequence")
	}
	return []*value{items[c.place(1, len(items), 0)]}
}

func readSequenceInsert(c *call) []*value {
	items := c.items()
	return sequence(slices.Insert(slices.Clone(items), c.place(2, len(items)+1, len(items)), c.operand(1)))
}

func readSequenceErase(c *call) []*value {
	items := slices.Clone(c.items())
	if len(items) == 0 {
		c.fail("an element of an empty sequence")
	}
	at := c.place(1, len(items), len(items)-1)
	return sequence(slices.Delete(items, at, at+1))
}

func readSequenceLength(c *call) []*value {
	return []*value{{sizes: &sizes{elems: graph.Dims(len(c.items()))}}}
}

// readSplitToSequence cuts x into parts of one size, the last of which may be less, or
// of given sizes.
func readSplitToSequence(c *call) []*value {
	x := c.x(0)
	axis := c.axis(c.integer("axis", 0), x.Rank())
	n := c.size(x, axis)
	keep := c.integer("keepdims", 1) != 0 || c.has(1)
	each := 1
	if c.has(1) {
		parts := c.ints(1)
		if len(c.sizesOf(c.operand(1)).shape) == 1 {
			return sequence(c.pieces(x, axis, parts, true))
		}
		each = parts[0]
	}
	if each < 1 || n/each > mostSizes {
		c.fail("parts of %d of an axis of %d", each, n)
	}
	var parts []int
	for left := n; left > 0; left -= each {
		parts = append(parts, min(each, left))
	}
	return sequence(c.pieces(x, axis, parts, keep))
}

// pieces slices x along an axis into parts, which together are all of it.
func (c *call) pieces(x *graph.Node, axis int, parts []int, keep bool) []*value {
	var items []*value
	from := 0
	for _, p := range parts {
		if p < 0 || from+p > c.size(x, axis) {
			c.fail("parts %v of axis %d, which has %d elements", parts, axis, c.size(x, axis))
		}
		y := graph.Slice(x, axis, from, from+p, 1)
		if !keep {
			y = graph.Reshape(y, slices.Delete(slices.Clone(x.Shape()), axis, axis+1))
		}
		items, from = append(items, &value{node: y}), from+p
	}
	if from != c.size(x, axis) {
		c.fail("parts %v of axis %d, which has %d elements", parts, axis, c.size(x, axis))
	}
	return items
}

func readConcatFromSequence(c *call) []*value {
	items := c.items()
	if len(items) == 0 {
		c.fail("an empty sequence")
	}
	axis, fresh := c.integer("axis", 0), c.integer("new_axis", 0) != 0
	var xs []*graph.Node
	for _, v := range items {
		x := c.nodeOf(v)
		if fresh {
			x = graph.ExpandDims(x, c.axis(axis, x.Rank()+1))
		}
		xs = append(xs, x)
	}
	axis = c.axis(axis, xs[0].Rank())
	return one(graph.Concat(axis, c.aligned(xs, axis+1)...))
}

// readSequenceMap applies a graph to the elements of sequences in turn, beside which
// tensors stay the same.
func readSequenceMap(c *call) []*value {
	g := c.branchGraph("body")
	n := len(c.items())
	out := make([][]*value, len(g.Output))
	for i := range n {
		inputs := slices.Clone(c.in)
		for j, v := range inputs {
			if v == nil || v.items == nil {
				continue
			}
			if len(*v.items) != n {
				c.fail("sequences of %d and %d elements", n, len(*v.items))
			}
			inputs[j] = (*v.items)[i]
		}
		for j, v := range c.body(g, inputs) {
			out[j] = append(out[j], v)
		}
	}
	results := make([]*value, len(out))
	for j := range out {
		results[j] = sequence(out[j])[0]
	}
	return results
}
