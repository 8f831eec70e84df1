package graph

import (
	"fmt"
	"slices"
)

// PoolAttr is the attribute of the pooling family. Lists have one entry for
// each spatial axis.
type PoolAttr struct {
	Window, Strides, PadLo, PadHi []int
	// Size is the spatial size of x for MeanPoolGrad; the others have none.
	Size Shape
}

func (a PoolAttr) String() string {
	s := fmt.Sprintf("window=%v strides=%v lo=%v hi=%v", a.Window, a.Strides, a.PadLo, a.PadHi)
	if a.Size != nil {
		s += fmt.Sprintf(" size=%v", a.Size)
	}
	return s
}

// Pool2D returns the attributes of pooling over square windows.
func Pool2D(window, stride, pad int) PoolAttr {
	return PoolAttr{
		Window: []int{window, window}, Strides: []int{stride, stride},
		PadLo: []int{pad, pad}, PadHi: []int{pad, pad},
	}
}

// MeanPool returns the mean over windows of x [N C …]. Padding counts as
// zeros: every sum is divided by the volume of the window.
func MeanPool(x *Node, a PoolAttr) *Node {
	a.Size = nil
	return apply(OpMeanPool, a, x)
}

// MeanPoolGrad returns the adjoint of MeanPool: the x-shaped derivative of
// Σ y·MeanPool(x) for an output-shaped y. size is the spatial size of x.
func MeanPoolGrad[S Sizes](y *Node, a PoolAttr, size S) *Node {
	a.Size = shapeOf(size)
	return apply(OpMeanPoolGrad, a, y)
}

// MaxPool returns the maximum over windows of x [N C …]; padding never wins.
// Its derivative goes to the first maximum of a window, in row-major order.
func MaxPool(x *Node, a PoolAttr) *Node {
	a.Size = nil
	return apply(OpMaxPool, a, x)
}

// MaxPoolGrad adds every element of an output-shaped y at the place of its
// window's first maximum of x; the result has the shape of x.
func MaxPoolGrad(x, y *Node, a PoolAttr) *Node {
	a.Size = nil
	return apply(OpMaxPoolGrad, a, x, y)
}

// MaxPoolTake takes, for each window, the element of t (of x's shape) at the
// place of the window's first maximum of x. It is the adjoint of MaxPoolGrad
// in y.
func MaxPoolTake(x, t *Node, a PoolAttr) *Node {
	a.Size = nil
	return apply(OpMaxPoolTake, a, x, t)
}

func pooled(op Op, in []*Node, a PoolAttr, spatial Shape) Shape {
	if len(spatial) == 0 {
		fail(op, a, in, "want spatial dimensions")
	}
	ones := slices.Repeat([]int{1}, len(spatial))
	out := windowSize(op, a, in, spatial, a.Window, a.Strides, ones, a.PadLo, a.PadHi)
	for i, w := range a.Window {
		if a.PadLo[i] >= w || a.PadHi[i] >= w {
			fail(op, a, in, "want paddings smaller than the window")
		}
	}
	return out
}

func inferPool(op Op, in []*Node, attr Attr) []Type {
	x := in[0].Shape()
	if len(x) < 3 {
		fail(op, attr, in, "want a value [N C …] with spatial axes")
	}
	inferFloat(op, in, attr)
	return []Type{{in[0].DType(), append(slices.Clone(x[:2]), pooled(op, in, attr.(PoolAttr), x[2:])...)}}
}

func inferMeanPoolGrad(op Op, in []*Node, attr Attr) []Type {
	inferFloat(op, in, attr)
	a, y := attr.(PoolAttr), in[0].Shape()
	if len(y) != len(a.Size)+2 || !y[2:].Equal(pooled(op, in, a, a.Size)) {
		fail(op, attr, in, "want a value [N C …] of the pooled size")
	}
	return []Type{{in[0].DType(), append(slices.Clone(y[:2]), a.Size...)}}
}

func inferMaxPoolGrad(op Op, in []*Node, attr Attr) []Type {
	if y := inferPool(op, in[:1], attr)[0]; !in[1].Type().Equal(y) {
		fail(op, attr, in, "want a second operand %v", y)
	}
	return inferSame(op, in, attr)
}

func inferMaxPoolTake(op Op, in []*Node, attr Attr) []Type {
	if !in[0].Type().Equal(in[1].Type()) {
		fail(op, attr, in, "want operands of one type and shape")
	}
	return inferPool(op, in[:1], attr)
}
