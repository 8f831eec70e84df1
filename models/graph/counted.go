package graph

import (
	"slices"

	"ebm/models/tensor"
)

// CountAttr is the attribute of operators whose result is as long as only values say:
// the symbol that stands for its length.
type CountAttr struct{ Count string }

func (a CountAttr) String() string { return "count=" + a.Count }

// NonZero returns the int64 indices [R K] of the elements of x that are not 0, or are
// true, in row-major order: a column for each, a row for each axis. K is the symbol
// count, which must be of no other node and no input.
func NonZero(x *Node, count string) *Node { return apply(OpNonZero, CountAttr{count}, x) }

// Range returns 0, 1, … n−1 as int64 [K] for an int64 scalar n, nothing where n is
// negative. K is the symbol count, which must be of no other node and no input: so a
// value becomes a size.
func Range(n *Node, count string) *Node { return apply(OpRange, CountAttr{count}, n) }

func inferNonZero(op Op, in []*Node, attr Attr) []Type {
	a := attr.(CountAttr)
	if in[0].Rank() == 0 || a.Count == "" {
		fail(op, attr, in, "want an operand with axes, and a symbol")
	}
	return []Type{{tensor.Int64, Shape{Const(in[0].Rank()), Sym(a.Count)}}}
}

func inferRange(op Op, in []*Node, attr Attr) []Type {
	a := attr.(CountAttr)
	if in[0].Rank() != 0 || in[0].DType() != tensor.Int64 || a.Count == "" {
		fail(op, attr, in, "want an int64 scalar, and a symbol")
	}
	return []Type{{tensor.Int64, Shape{Sym(a.Count)}}}
}

// Needed marks, by ID, the nodes that the wanted ones are computed from: their operands,
// and those that give the symbols in their shapes a size.
func (g *Graph) Needed(wanted ...*Node) []bool {
	needed := make([]bool, len(g.nodes))
	for _, n := range wanted {
		needed[n.id] = true
	}
	counted := slices.ContainsFunc(g.nodes, func(n *Node) bool { _, ok := n.attr.(CountAttr); return ok })
	symbols := make(map[string]bool)
	for i := len(g.nodes) - 1; i >= 0; i-- {
		n := g.nodes[i]
		a, counts := n.attr.(CountAttr)
		if needed[i] = needed[i] || counts && symbols[a.Count]; !needed[i] {
			continue
		}
		for _, in := range n.inputs {
			needed[in.id] = true
		}
		if !counted {
			continue
		}
		for _, t := range n.outputs {
			for _, d := range t.Shape {
				for _, s := range d.Symbols() {
					symbols[s] = true
				}
			}
		}
	}
	return needed
}
