package export

import (
	"slices"

	"ebm/models/graph"
)

// A 2-D convolution is a sum over the taps (i, j) of its kernel: what tap k
// sees of x is a shifted slice Xₖ [N·OH·OW Ci] of the padded picture, and with
// Wₖ [Co Ci] the weights of that tap,
//
//	y = Σₖ Xₖ Wₖᵀ        x̄ = Σₖ Yₖ Wₖ        W̄ₖ = Ȳᵀ Xₖ
//
// where Yₖ are slices of the padded y. With the taps stacked along a first
// axis each is one batched product, and all three share the weights' layout
// [taps Co Ci]. For small pictures this is many times faster than Conv, whose
// cost on run-time weights does not shrink with the picture.

// smallArea is the number of pixels up to which taps are the faster form.
const smallArea = 4

// preferTaps reports whether a convolution with weights w and the given
// result should be lowered by taps. Constant weights are best left to Conv,
// for which runtimes lay them out once.
func preferTaps(w *graph.Node, a graph.ConvAttr, result *graph.Node) bool {
	return plain2D(a) && isSmall(result) && !isConstant(w)
}

// isSmall reports whether pictures [N C H W] have few pixels.
func isSmall(n *graph.Node) bool {
	size, ok := n.Shape()[2:].Static()
	return ok && area(size) <= smallArea
}

func plain2D(a graph.ConvAttr) bool {
	return a.Groups == 1 && slices.Equal(a.Dilations, []int{1, 1})
}

func area(spatial []int) int {
	n := 1
	for _, s := range spatial {
		n *= s
	}
	return n
}

// isConstant reports whether n depends on no input.
func isConstant(n *graph.Node) bool {
	if n.Op() == graph.OpInput {
		return false
	}
	return !slices.ContainsFunc(n.Inputs(), func(in *graph.Node) bool { return !isConstant(in) })
}

// convByTaps returns the name of y [N Co OH OW].
func (l *lowering) convByTaps(x, w *graph.Node, a graph.ConvAttr, y graph.Shape) string {
	kernel := graph.Spatial(w)
	stack := l.stack(x, a.PadLo, a.PadHi, windows(a, kernel, y[2:], false))
	taps := l.tapWeights(w)
	product := l.emit("MatMul", []string{stack, l.transpose(taps, 0, 2, 1)})
	return l.sumTaps(product, y)
}

// inputGradByTaps returns the name of x [N Ci H W]. For stride 1 it slides
// the taps over the padded y in reverse order.
func (l *lowering) inputGradByTaps(y, w *graph.Node, a graph.ConvAttr, x graph.Shape) string {
	kernel := graph.Spatial(w)
	lo, hi := make([]int, 2), make([]int, 2)
	for i, k := range kernel {
		lo[i], hi[i] = k-1-a.PadLo[i], k-1-a.PadHi[i]
	}
	stack := l.stack(y, lo, hi, windows(graph.Conv2D(1, 0), kernel, x[2:], true))
	return l.sumTaps(l.emit("MatMul", []string{stack, l.tapWeights(w)}), x)
}

// filterGradByTaps returns the name of w [Co Ci KH KW].
func (l *lowering) filterGradByTaps(x, y *graph.Node, a graph.ConvAttr, w graph.Shape) string {
	stack := l.stack(x, a.PadLo, a.PadHi, windows(a, spatialOf(w), y.Shape()[2:], false))
	co, ci, taps := w[0], w[1], w[2:].Volume()
	columns := l.transpose(l.rows(y), 1, 0)
	if l.captured {
		columns = l.emit("Expand", []string{columns, l.shapeVector(graph.Shape{taps, graph.Const(1), graph.Const(1)})})
	}
	product := l.emit("MatMul", []string{columns, stack}) // [taps Co Ci]
	flat := l.reshape(product, graph.Shape{taps, co, ci}, graph.Shape{taps, co.Mul(ci)})
	return l.reshape(l.transpose(flat, 1, 0), graph.Shape{co.Mul(ci), taps}, w)
}

// tapWeights returns the name of w [Co Ci KH KW] as [KH·KW Co Ci].
func (l *lowering) tapWeights(w *graph.Node) string {
	return l.shared(extraKey{w, "taps"}, func() string {
		s := w.Shape()
		co, ci, taps := s[0], s[1], s[2:].Volume()
		flat := l.reshape(l.value(w), s, graph.Shape{co.Mul(ci), taps})
		return l.reshape(l.transpose(flat, 1, 0), graph.Shape{taps, co.Mul(ci)}, graph.Shape{taps, co, ci})
	})
}

// windows returns the slices of a padded [N H W C] that the taps of a kernel
// see, in row-major order or in reverse.
func windows(a graph.ConvAttr, kernel []int, out graph.Shape, reverse bool) []graph.SliceAttr {
	var list []graph.SliceAttr
	limit := func(axis, start int) graph.Dim {
		return out[axis].Sub(graph.Const(1)).Mul(graph.Const(a.Strides[axis])).Add(graph.Const(start + 1))
	}
	for i := range kernel[0] {
		for j := range kernel[1] {
			list = append(list, graph.SliceAttr{
				Axes: []int{1, 2}, Starts: graph.Dims(i, j), Steps: a.Strides, Limits: graph.Shape{limit(0, i), limit(1, j)},
			})
		}
	}
	if reverse {
		slices.Reverse(list)
	}
	return list
}

// stack returns the name of the given slices of x [N C H W], padded, as
// [taps N·OH·OW C].
func (l *lowering) stack(x *graph.Node, lo, hi []int, list []graph.SliceAttr) string {
	key := extraKey{x, "stack " + graph.PadAttr{Lo: graph.Dims(lo...), Hi: graph.Dims(hi...)}.String()}
	for _, s := range list {
		key.what += " " + s.String()
	}
	return l.shared(key, func() string {
		padded := l.channelsLast(x, lo, hi)
		out := sliceSize(list[0])
		from := graph.Shape{x.Shape()[0], out[0], out[1], x.Shape()[1]}
		rows := graph.Shape{graph.Const(1), from[:3].Volume(), from[3]}
		parts := make([]string, len(list))
		for i, s := range list {
			parts[i] = l.reshape(l.window(padded, x, lo, hi, s), from, rows)
		}
		if len(parts) == 1 {
			return parts[0]
		}
		return l.emit("Concat", parts, intAttr("axis", 0))
	})
}

// window emits one slice of a padded x, unless it is all of it.
func (l *lowering) window(padded string, x *graph.Node, lo, hi []int, s graph.SliceAttr) string {
	for i := range 2 {
		if s.Starts[i] != (graph.Dim{}) || s.Steps[i] != 1 || s.Limits[i] != x.Shape()[i+2].Add(graph.Const(lo[i]+hi[i])) {
			return l.slice(padded, s)
		}
	}
	return padded
}

func sliceSize(s graph.SliceAttr) graph.Shape {
	size := make(graph.Shape, len(s.Axes))
	for i := range size {
		size[i] = s.Limits[i].Sub(s.Starts[i]).Add(graph.Const(s.Steps[i] - 1)).Div(graph.Const(s.Steps[i]))
	}
	return size
}

// sumTaps adds up products [taps N·H·W C] and returns [N C H W], the shape of
// the result.
func (l *lowering) sumTaps(product string, result graph.Shape) string {
	sum := l.emit("ReduceSum", []string{product, l.ints(0)}, intAttr("keepdims", 0))
	last := graph.Shape{result[0], result[2], result[3], result[1]}
	return l.transpose(l.reshape(sum, graph.Shape{last[:3].Volume(), last[3]}, last), 0, 3, 1, 2)
}

// rows returns the name of x [N C H W] as [N·H·W C].
func (l *lowering) rows(x *graph.Node) string {
	return l.shared(extraKey{x, "rows"}, func() string {
		s := x.Shape()
		last := graph.Shape{s[0], s[2], s[3], s[1]}
		return l.reshape(l.channelsLast(x, []int{0, 0}, []int{0, 0}), last, graph.Shape{last[:3].Volume(), last[3]})
	})
}

// columns returns the name of x [N C H W] as [C N·H·W]. In files for others it is no transpose of rows, which ONNX
// Runtime would multiply without turning them first: that takes half as long again. Sessions of ours have blocks for
// all that is large, and keep the order of sums that trainings began with.
func (l *lowering) columns(x *graph.Node) string {
	if l.blocks != nil {
		return l.transpose(l.rows(x), 1, 0)
	}
	return l.shared(extraKey{x, "columns"}, func() string {
		s := x.Shape()
		turned := graph.Shape{s[1], s[0], s[2], s[3]}
		return l.reshape(l.transpose(l.value(x), 1, 0, 2, 3), turned, graph.Shape{s[1], turned[1:].Volume()})
	})
}

// channelsLast returns the name of x [N C H W] as [N H W C], with zeros
// around each picture.
func (l *lowering) channelsLast(x *graph.Node, lo, hi []int) string {
	name := l.shared(extraKey{x, "NHWC"}, func() string {
		if l.blocks.makes(x) {
			return l.blocks.channelsLast(x)
		}
		return l.transpose(l.value(x), 0, 2, 3, 1)
	})
	if lo[0]+lo[1]+hi[0]+hi[1] == 0 {
		return name
	}
	return l.pad(name, graph.Dims(0, lo[0], lo[1], 0), graph.Dims(0, hi[0], hi[1], 0))
}

func spatialOf(s graph.Shape) []int {
	n, _ := s[2:].Static()
	return n
}
