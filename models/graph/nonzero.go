package graph

import "ebm/models/tensor"

// NonZeroAttr is the attribute of NonZero: the symbol that stands for the number of
// elements found, which only the values of the operand say.
type NonZeroAttr struct{ Count string }

func (a NonZeroAttr) String() string { return "count=" + a.Count }

// NonZero returns the int64 indices [R K] of the elements of x that are not 0, or are
// true, in row-major order: a column for each, a row for each axis. K is the symbol
// count, which must be of no other node and no input.
func NonZero(x *Node, count string) *Node { return apply(OpNonZero, NonZeroAttr{count}, x) }

func inferNonZero(op Op, in []*Node, attr Attr) []Type {
	a := attr.(NonZeroAttr)
	if in[0].Rank() == 0 || a.Count == "" {
		fail(op, attr, in, "want an operand with axes, and a symbol")
	}
	return []Type{{tensor.Int64, Shape{Const(in[0].Rank()), Sym(a.Count)}}}
}
