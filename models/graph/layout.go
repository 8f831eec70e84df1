package graph

import (
	"fmt"
	"slices"
)

// ShapeAttr is the attribute of Reshape and Broadcast: the new shape.
type ShapeAttr struct{ Shape Shape }

func (a ShapeAttr) String() string { return "to=" + a.Shape.String() }

// AxesAttr is the attribute of Transpose (axis i of the result is axis
// Axes[i] of the operand), Concat (one axis) and the reductions (increasing).
type AxesAttr struct{ Axes []int }

func (a AxesAttr) String() string { return fmt.Sprintf("axes=%v", a.Axes) }

// SliceAttr is the attribute of Slice: along Axes[i] (increasing), every
// Steps[i]-th element from Starts[i] up to but without Limits[i].
type SliceAttr struct {
	Axes           []int
	Starts, Limits Shape
	Steps          []int
}

func (a SliceAttr) String() string {
	return fmt.Sprintf("axes=%v starts=%v limits=%v steps=%v", a.Axes, a.Starts, a.Limits, a.Steps)
}

// PadAttr is the attribute of Pad: for each axis the zeros before, after and
// between neighbouring elements.
type PadAttr struct {
	Lo, Hi  Shape
	Between []int
}

func (a PadAttr) String() string {
	return fmt.Sprintf("lo=%v hi=%v between=%v", a.Lo, a.Hi, a.Between)
}

// Reshape returns the elements of x, in row-major order, in another shape of
// the same volume.
func Reshape(x *Node, shape Shape) *Node {
	if x.Shape().Equal(shape) {
		return x
	}
	if x.op == OpReshape {
		x = x.inputs[0]
		return Reshape(x, shape)
	}
	return apply(OpReshape, ShapeAttr{slices.Clone(shape)}, x)
}

// Flatten reshapes x [a b c …] to [a b·c·…].
func Flatten(x *Node) *Node {
	if x.Rank() == 0 {
		fail(OpReshape, nil, []*Node{x}, "want a first dimension to keep")
	}
	return Reshape(x, Shape{x.Shape()[0], x.Shape()[1:].Volume()})
}

// ExpandDims inserts dimensions of 1 so that they stand at the given
// positions (increasing) of the result.
func ExpandDims(x *Node, axes ...int) *Node {
	shape := slices.Clone(x.Shape())
	for _, a := range axes {
		if a < 0 || a > len(shape) {
			fail(OpReshape, AxesAttr{axes}, []*Node{x}, "want axes within the result")
		}
		shape = slices.Insert(shape, a, Const(1))
	}
	return Reshape(x, shape)
}

// Transpose permutes axes: axis i of the result is axis perm[i] of x.
func Transpose(x *Node, perm ...int) *Node {
	identity := len(perm) == x.Rank()
	for i, p := range perm {
		identity = identity && i == p
	}
	if identity {
		return x
	}
	return apply(OpTranspose, AxesAttr{slices.Clone(perm)}, x)
}

// SwapLast exchanges the last two axes of x.
func SwapLast(x *Node) *Node {
	perm := make([]int, x.Rank())
	for i := range perm {
		perm[i] = i
	}
	if len(perm) < 2 {
		fail(OpTranspose, nil, []*Node{x}, "want two or more axes")
	}
	n := len(perm)
	perm[n-1], perm[n-2] = n-2, n-1
	return Transpose(x, perm...)
}

// Broadcast repeats x to a shape: axes are aligned at the right, missing ones
// are added at the left, and dimensions of 1 are repeated.
func Broadcast(x *Node, shape Shape) *Node {
	if x.Shape().Equal(shape) {
		return x
	}
	return apply(OpBroadcast, ShapeAttr{slices.Clone(shape)}, x)
}

// BroadcastAlong repeats x, whose axes are the given axes of shape, to shape.
// A bias [C] is added to [N C H W] along axis 1.
func BroadcastAlong(x *Node, shape Shape, axes ...int) *Node {
	mid := make(Shape, len(shape))
	for i := range mid {
		mid[i] = Const(1)
	}
	if len(axes) != x.Rank() {
		fail(OpBroadcast, AxesAttr{axes}, []*Node{x}, "want one axis for each of the operand's")
	}
	for i, a := range axes {
		if a < 0 || a >= len(shape) {
			fail(OpBroadcast, AxesAttr{axes}, []*Node{x}, "want axes of %v", shape)
		}
		mid[a] = x.Shape()[i]
	}
	return Broadcast(Reshape(x, mid), shape)
}

// Like returns the scalar v in the type and shape of x.
func Like(x *Node, v float64) *Node {
	return Broadcast(x.graph.Scalar(x.DType(), v), x.Shape())
}

// Scale returns v·x.
func Scale(x *Node, v float64) *Node {
	if v == 1 {
		return x
	}
	return Mul(x, Like(x, v))
}

// Shift returns x+v.
func Shift(x *Node, v float64) *Node { return Add(x, Like(x, v)) }

// Slice takes every step-th element from start up to, but without, limit
// along one axis.
func Slice[S Size](x *Node, axis int, start, limit S, step int) *Node {
	return SliceAxes(x, SliceAttr{[]int{axis}, Shape{dimOf(start)}, Shape{dimOf(limit)}, []int{step}})
}

// SliceAxes takes a slice along several axes at once.
func SliceAxes(x *Node, a SliceAttr) *Node { return apply(OpSlice, a, x) }

// Pad surrounds x with zeros: lo[i] before and hi[i] after its elements along
// axis i, and between[i] (nil: none) between neighbours.
func Pad[S Sizes](x *Node, lo, hi S, between []int) *Node {
	if between == nil {
		between = make([]int, len(lo))
	}
	a := PadAttr{shapeOf(lo), shapeOf(hi), slices.Clone(between)}
	if len(lo) == x.Rank() && a.nothing() {
		return x
	}
	return apply(OpPad, a, x)
}

// Concat joins operands along an axis; their other dimensions are the same.
func Concat(axis int, xs ...*Node) *Node {
	if len(xs) == 1 {
		return xs[0]
	}
	return apply(OpConcat, AxesAttr{[]int{axis}}, xs...)
}

// nothing reports whether no zeros are added.
func (a PadAttr) nothing() bool {
	added := func(d Dim) bool { return d != Dim{} }
	return !slices.ContainsFunc(a.Lo, added) && !slices.ContainsFunc(a.Hi, added) &&
		!slices.ContainsFunc(a.Between, func(n int) bool { return n != 0 })
}

func inferReshape(op Op, in []*Node, attr Attr) []Type {
	shape := attr.(ShapeAttr).Shape
	if shape.Volume() != in[0].Shape().Volume() {
		fail(op, attr, in, "want a shape of %v elements", in[0].Shape().Volume())
	}
	return []Type{{in[0].DType(), shape}}
}

func inferTranspose(op Op, in []*Node, attr Attr) []Type {
	perm := attr.(AxesAttr).Axes
	sorted := slices.Clone(perm)
	slices.Sort(sorted)
	for i, p := range sorted {
		if i != p {
			fail(op, attr, in, "want a permutation of the operand's axes")
		}
	}
	if len(perm) != in[0].Rank() {
		fail(op, attr, in, "want a permutation of %d axes", in[0].Rank())
	}
	shape := make(Shape, len(perm))
	for i, p := range perm {
		shape[i] = in[0].Shape()[p]
	}
	return []Type{{in[0].DType(), shape}}
}

func inferBroadcast(op Op, in []*Node, attr Attr) []Type {
	from, to := in[0].Shape(), attr.(ShapeAttr).Shape
	lead := len(to) - len(from)
	if lead < 0 {
		fail(op, attr, in, "want a shape of at least %d dimensions", len(from))
	}
	for i, d := range from {
		if d != to[lead+i] && d != Const(1) {
			fail(op, attr, in, "dimension %v cannot repeat to %v", d, to[lead+i])
		}
	}
	return []Type{{in[0].DType(), to}}
}

func inferSlice(op Op, in []*Node, attr Attr) []Type {
	a := attr.(SliceAttr)
	shape := slices.Clone(in[0].Shape())
	if len(a.Starts) != len(a.Axes) || len(a.Limits) != len(a.Axes) || len(a.Steps) != len(a.Axes) {
		fail(op, attr, in, "want one start, limit and step for each axis")
	}
	checkAxes(op, attr, in, a.Axes)
	for i, axis := range a.Axes {
		length := a.Limits[i].Sub(a.Starts[i])
		if negative(a.Starts[i]) || negative(length) || negative(shape[axis].Sub(a.Limits[i])) || a.Steps[i] < 1 {
			fail(op, attr, in, "want 0 ≤ start ≤ limit ≤ %v and step ≥ 1 along axis %d", shape[axis], axis)
		}
		shape[axis] = length.Add(Const(a.Steps[i] - 1)).Div(Const(a.Steps[i]))
	}
	return []Type{{in[0].DType(), shape}}
}

func inferPad(op Op, in []*Node, attr Attr) []Type {
	a, rank := attr.(PadAttr), in[0].Rank()
	if len(a.Lo) != rank || len(a.Hi) != rank || len(a.Between) != rank {
		fail(op, attr, in, "want %d values of each kind", rank)
	}
	shape := slices.Clone(in[0].Shape())
	for i := range shape {
		zero := Dim{}
		if a.Lo[i] == zero && a.Hi[i] == zero && a.Between[i] == 0 {
			continue
		}
		if negative(a.Lo[i]) || negative(a.Hi[i]) || a.Between[i] < 0 || shape[i] == zero {
			fail(op, attr, in, "want zeros in non-negative numbers")
		}
		between := shape[i].Sub(Const(1)).Mul(Const(a.Between[i]))
		shape[i] = a.Lo[i].Add(shape[i]).Add(between).Add(a.Hi[i])
	}
	return []Type{{in[0].DType(), shape}}
}

func inferConcat(op Op, in []*Node, attr Attr) []Type {
	axes := attr.(AxesAttr).Axes
	checkAxes(op, attr, in, axes)
	axis, total := axes[0], Dim{}
	shape := slices.Clone(in[0].Shape())
	for _, x := range in {
		if x.Rank() != len(shape) || x.DType() != in[0].DType() {
			fail(op, attr, in, "want operands of one type and rank")
		}
		for i, d := range x.Shape() {
			if i != axis && d != shape[i] {
				fail(op, attr, in, "want operands that differ along axis %d only", axis)
			}
		}
		total = total.Add(x.Shape()[axis])
	}
	shape[axis] = total
	return []Type{{in[0].DType(), shape}}
}

// negative reports whether d is below 0 whatever the sizes of symbols are.
func negative(d Dim) bool {
	n, ok := Const(-1).Sub(d).Least()
	return ok && n >= 0
}

// checkAxes asks for axes of the first operand in increasing order.
func checkAxes(op Op, attr Attr, in []*Node, axes []int) {
	last := -1
	for _, a := range axes {
		if a <= last || a >= in[0].Rank() {
			fail(op, attr, in, "want increasing axes below %d", in[0].Rank())
		}
		last = a
	}
}
