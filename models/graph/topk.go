package graph

import (
	"fmt"
	"slices"

	"ebm/models/tensor"
)

// TopKAttr is the attribute of TopK: an axis, how many elements along it, and
// whether the smallest are meant.
type TopKAttr struct {
	Axis     int
	K        Dim
	Smallest bool
}

func (a TopKAttr) String() string {
	return fmt.Sprintf("axis=%d k=%v smallest=%v", a.Axis, a.K, a.Smallest)
}

// TopK returns the int64 indices of the K largest elements along an axis, the
// largest first, or of the smallest, the smallest first. Of equal elements the one
// with the lower index comes first.
func TopK(x *Node, a TopKAttr) *Node { return apply(OpTopK, a, x) }

func inferTopK(op Op, in []*Node, attr Attr) []Type {
	a, x := attr.(TopKAttr), in[0].Shape()
	checkNumbers(op, attr, in)
	if a.Axis < 0 || a.Axis >= len(x) || negative(a.K) || negative(x[a.Axis].Sub(a.K)) {
		fail(op, attr, in, "want an axis of the operand and 0 or more elements, not more than it has along the axis")
	}
	shape := slices.Clone(x)
	shape[a.Axis] = a.K
	return []Type{{tensor.Int64, shape}}
}
