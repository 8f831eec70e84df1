package graph

import (
	"fmt"
	"slices"

	"ebm/models/tensor"
)

// GatherAttr is the attribute of Gather and GatherGrad: the axis of x, and
// for GatherGrad x's size along it.
type GatherAttr struct {
	Axis int
	Size Dim
}

func (a GatherAttr) String() string {
	if a.Size == (Dim{}) {
		return fmt.Sprintf("axis=%d", a.Axis)
	}
	return fmt.Sprintf("axis=%d size=%v", a.Axis, a.Size)
}

// Gather takes the elements of x at int64 indices of any shape along an axis:
// for x [a n b] and indices [i j], the result is
// [a i j b]. Indices count from 0; one outside is an error at run time.
func Gather(x, indices *Node, axis int) *Node {
	return apply(OpGather, GatherAttr{Axis: axis}, x, indices)
}

// GatherGrad is the adjoint of Gather in x: zeros of x's shape, of the given
// size along the axis, to which every element of y is added at its index.
func GatherGrad[S Size](y, indices *Node, axis int, size S) *Node {
	return apply(OpGatherGrad, GatherAttr{axis, dimOf(size)}, y, indices)
}

func inferGather(op Op, in []*Node, attr Attr) []Type {
	a, x := attr.(GatherAttr), in[0].Shape()
	checkIndices(op, in, a)
	if a.Axis < 0 || a.Axis >= len(x) || a.Size != (Dim{}) {
		fail(op, attr, in, "want an axis of the first operand")
	}
	if x[a.Axis] == (Dim{}) {
		fail(op, attr, in, "want a dimension of 1 or more along axis %d", a.Axis)
	}
	return []Type{{in[0].DType(), slices.Concat(x[:a.Axis], in[1].Shape(), x[a.Axis+1:])}}
}

func inferGatherGrad(op Op, in []*Node, attr Attr) []Type {
	a, y, i := attr.(GatherAttr), in[0].Shape(), in[1].Shape()
	checkIndices(op, in, a)
	checkNumbers(op, attr, in)
	if end := a.Axis + len(i); a.Axis < 0 || a.Size == (Dim{}) || negative(a.Size) || end > len(y) || !y[a.Axis:end].Equal(i) {
		fail(op, attr, in, "want a size, and a first operand with the dimensions of the indices at axis %d", a.Axis)
	}
	return []Type{{in[0].DType(), slices.Concat(y[:a.Axis], Shape{a.Size}, y[a.Axis+len(i):])}}
}

func checkIndices(op Op, in []*Node, attr Attr) {
	if in[1].DType() != tensor.Int64 {
		fail(op, attr, in, "want int64 indices")
	}
}

// Iota returns the integers start, start+1, … along one axis of a size, for an
// int64 scalar.
func Iota[S Size](start *Node, size S) *Node {
	return apply(OpIota, ShapeAttr{Shape{dimOf(size)}}, start)
}

func inferIota(op Op, in []*Node, attr Attr) []Type {
	shape := attr.(ShapeAttr).Shape
	if in[0].DType() != tensor.Int64 || in[0].Rank() != 0 || len(shape) != 1 {
		fail(op, attr, in, "want an int64 scalar and one size")
	}
	return []Type{{tensor.Int64, shape}}
}
