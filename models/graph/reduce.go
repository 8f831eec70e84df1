package graph

import (
	"slices"
)

// ReduceSum returns the sum over the given axes, or over all of them when
// none is given; the axes are dropped.
func ReduceSum(x *Node, axes ...int) *Node { return reduce(OpReduceSum, x, axes) }

// ReduceMax returns the maximum over the given axes, or over all of them when
// none is given; the axes are dropped. Equal maxima share its derivative.
func ReduceMax(x *Node, axes ...int) *Node { return reduce(OpReduceMax, x, axes) }

// ReduceMean returns the mean over the given axes, whose dimensions are
// constant; the axes are dropped.
func ReduceMean(x *Node, axes ...int) *Node {
	sum := ReduceSum(x, axes...)
	n := 1
	for _, a := range allAxes(x, axes) {
		d, ok := x.Shape()[a].Constant()
		if !ok {
			fail(OpReduceSum, AxesAttr{axes}, []*Node{x}, "want constant dimensions for a mean")
		}
		n *= d
	}
	return Scale(sum, 1/float64(n))
}

// KeepDims reshapes the result r of a reduction of x over axes so that the
// axes stand in it with dimension 1.
func KeepDims(r, x *Node, axes ...int) *Node {
	return ExpandDims(r, allAxes(x, axes)...)
}

// MatMul returns the matrix product of a [… m k] and b [… k n], whose leading
// dimensions are the same.
func MatMul(a, b *Node) *Node { return apply(OpMatMul, nil, a, b) }

func reduce(op Op, x *Node, axes []int) *Node {
	axes = allAxes(x, axes)
	if len(axes) == 0 {
		return x
	}
	return apply(op, AxesAttr{axes}, x)
}

func allAxes(x *Node, axes []int) []int {
	if len(axes) > 0 {
		axes = slices.Clone(axes)
		slices.Sort(axes)
		return axes
	}
	for i := range x.Rank() {
		axes = append(axes, i)
	}
	return axes
}

func inferReduce(op Op, in []*Node, attr Attr) []Type {
	axes := attr.(AxesAttr).Axes
	checkAxes(op, attr, in, axes)
	checkNumbers(op, attr, in)
	var shape Shape
	for i, d := range in[0].Shape() {
		if !slices.Contains(axes, i) {
			shape = append(shape, d)
		}
	}
	return []Type{{in[0].DType(), shape}}
}

func inferMatMul(op Op, in []*Node, attr Attr) []Type {
	a, b := in[0].Shape(), in[1].Shape()
	n := len(a)
	if n < 2 || len(b) != n || in[0].DType() != in[1].DType() || !a[:n-2].Equal(b[:n-2]) || a[n-1] != b[n-2] {
		fail(op, attr, in, "want [… m k] and [… k n] of one type with the same leading dimensions")
	}
	checkNumbers(op, attr, in)
	shape := append(slices.Clone(a[:n-1]), b[n-1])
	return []Type{{in[0].DType(), shape}}
}
