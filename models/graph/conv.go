package graph

import (
	"fmt"
)

// ConvAttr is the attribute of the convolution family. Lists have one entry
// for each spatial axis.
type ConvAttr struct {
	Strides, Dilations, PadLo, PadHi []int
	Groups                           int
	// Size is the spatial size of the result of an adjoint: of x for
	// ConvInputGrad, of the kernel for ConvFilterGrad. Conv has none.
	Size Shape
}

func (a ConvAttr) String() string {
	s := fmt.Sprintf("strides=%v dilations=%v lo=%v hi=%v groups=%d", a.Strides, a.Dilations, a.PadLo, a.PadHi, a.Groups)
	if a.Size != nil {
		s += fmt.Sprintf(" size=%v", a.Size)
	}
	return s
}

// Conv2D returns the attributes of a 2-D convolution with the same stride
// and padding on both axes and all sides, without dilation or groups.
func Conv2D(stride, pad int) ConvAttr {
	return ConvAttr{
		Strides: []int{stride, stride}, Dilations: []int{1, 1},
		PadLo: []int{pad, pad}, PadHi: []int{pad, pad}, Groups: 1,
	}
}

// Conv returns the cross-correlation of x [N Ci …] with w [Co Ci/groups …],
// [N Co …], without bias. The spatial size is that of PyTorch and ONNX:
// ⌊(size + lo + hi − dilation·(kernel−1) − 1)/stride⌋ + 1.
func Conv(x, w *Node, a ConvAttr) *Node {
	a.Size = nil
	return apply(OpConv, a, x, w)
}

// ConvInputGrad returns the adjoint of Conv in x: the x-shaped derivative of
// Σ y·Conv(x, w) for an output-shaped y. size is the spatial size of x.
func ConvInputGrad[S Sizes](y, w *Node, a ConvAttr, size S) *Node {
	a.Size = shapeOf(size)
	return apply(OpConvInputGrad, a, y, w)
}

// ConvFilterGrad returns the adjoint of Conv in w: the w-shaped derivative of
// Σ y·Conv(x, w) for an output-shaped y. size is the spatial size of w.
func ConvFilterGrad[S Sizes](x, y *Node, a ConvAttr, size S) *Node {
	a.Size = shapeOf(size)
	return apply(OpConvFilterGrad, a, x, y)
}

// Spatial returns the constant trailing dimensions of x [N C …].
func Spatial(x *Node) []int {
	if x.Rank() < 3 {
		fail(x.op, x.attr, []*Node{x}, "want a value [N C …] with spatial axes")
	}
	n, ok := x.Shape()[2:].Static()
	if !ok {
		fail(x.op, x.attr, []*Node{x}, "want constant spatial dimensions")
	}
	return n
}

// windowSize returns the output size of a window of size k sliding over each
// axis of in.
func windowSize(op Op, attr Attr, operands []*Node, in Shape, k, strides, dilations, lo, hi []int) Shape {
	rank := len(in)
	for _, list := range [][]int{k, strides, dilations, lo, hi} { // of in's spatial axes
		if len(list) != rank {
			fail(op, attr, operands, "want attributes for %d spatial axes", rank)
		}
	}
	out := make(Shape, rank)
	for i := range in {
		if strides[i] < 1 || dilations[i] < 1 || lo[i] < 0 || hi[i] < 0 || k[i] < 1 || negative(in[i].Sub(Const(1))) {
			fail(op, attr, operands, "want sizes, strides, dilations and windows of at least 1 and paddings of at least 0")
		}
		room := in[i].Add(Const(lo[i] + hi[i] - dilations[i]*(k[i]-1) - 1))
		if negative(room) {
			fail(op, attr, operands, "a window of %d with dilation %d does not fit %v with padding %d+%d", k[i], dilations[i], in[i], lo[i], hi[i])
		}
		out[i] = room.Div(Const(strides[i])).Add(Const(1))
	}
	return out
}

// checkConv checks that x, w and y fit one convolution.
func checkConv(op Op, in []*Node, a ConvAttr, x, w, y Shape) {
	wantedRank := len(x)
	if wantedRank < 3 || len(w) != wantedRank || len(y) != wantedRank || in[0].DType() != in[1].DType() || !in[0].DType().IsFloat() {
		fail(op, a, in, "want operands of one floating-point type with the same number of spatial axes")
	}
	ci, ok1 := x[1].Constant()
	co, ok2 := w[0].Constant()
	cg, ok3 := w[1].Constant()
	k, ok4 := w[2:].Static()
	if !(ok1 && ok2 && ok3 && ok4) {
		fail(op, a, in, "want constant channels and kernels")
	}
	if a.Groups < 1 || ci != cg*a.Groups || co%a.Groups != 0 || y[1] != w[0] || x[0] != y[0] {
		fail(op, a, in, "want channels that fit: x [N %d …], w [%d %d …], y [%v %v …] in %d groups", ci, co, cg, y[0], y[1], a.Groups)
	}
	out := windowSize(op, a, in, x[2:], k, a.Strides, a.Dilations, a.PadLo, a.PadHi)
	if !y[2:].Equal(out) {
		fail(op, a, in, "want an output of spatial size %v, not %v", out, y[2:])
	}
}

func inferConv(op Op, in []*Node, attr Attr) []Type {
	a, x, w := attr.(ConvAttr), in[0].Shape(), in[1].Shape()
	if len(x) < 3 || len(w) != len(x) {
		fail(op, attr, in, "want x [N C …] and w [O C …] with the same number of spatial axes")
	}
	k, ok := w[2:].Static()
	if !ok {
		fail(op, attr, in, "want a kernel of constant size")
	}
	out := windowSize(op, attr, in, x[2:], k, a.Strides, a.Dilations, a.PadLo, a.PadHi)
	y := append(Shape{x[0], w[0]}, out...)
	checkConv(op, in, a, x, w, y)
	return []Type{{in[0].DType(), y}}
}

func inferConvInputGrad(op Op, in []*Node, attr Attr) []Type {
	a, y, w := attr.(ConvAttr), in[0].Shape(), in[1].Shape()
	if len(w) < 3 || len(y) < 3 {
		fail(op, attr, in, "want y [N O …] and w [O C …]")
	}
	cg, _ := w[1].Constant()
	x := append(Shape{y[0], Const(cg * a.Groups)}, a.Size...)
	checkConv(op, in, a, x, w, y)
	return []Type{{in[0].DType(), x}}
}

func inferConvFilterGrad(op Op, in []*Node, attr Attr) []Type {
	a, x, y := attr.(ConvAttr), in[0].Shape(), in[1].Shape()
	if len(x) < 3 || len(y) < 3 {
		fail(op, attr, in, "want x [N C …] and y [N O …]")
	}
	ci, ok := x[1].Constant()
	if !ok || a.Groups < 1 || ci%a.Groups != 0 {
		fail(op, attr, in, "want channels that %d groups divide", a.Groups)
	}
	w := append(Shape{y[1], Const(ci / a.Groups)}, a.Size...)
	checkConv(op, in, a, x, w, y)
	return []Type{{in[0].DType(), w}}
}
