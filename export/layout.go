package export

import (
	"fmt"
	"slices"

	"ebm/models/graph"
)

func lowerReshape(l *lowering, n *graph.Node) string {
	return l.reshape(l.value(n.Inputs()[0]), n.Inputs()[0].Shape(), n.Shape())
}

// reshape emits a Reshape of a value. Symbolic dimensions are copied from the
// same place of the operand, and one other is left to ONNX as −1; where there
// are more, the shape is computed from those of the graph's inputs.
func (l *lowering) reshape(value string, from, to graph.Shape) string {
	dims := make([]int, len(to))
	inferred := false
	for i, d := range to {
		c, ok := d.Constant()
		switch {
		case ok && c > 0:
			dims[i] = c
		case i < len(from) && from[i] == d:
			dims[i] = 0 // copied
		case !inferred:
			dims[i], inferred = -1, true
		default:
			return l.emit("Reshape", []string{value, l.shapeVector(to)})
		}
	}
	return l.emit("Reshape", []string{value, l.ints(dims...)})
}

func lowerTranspose(l *lowering, n *graph.Node) string {
	return l.transpose(l.value(n.Inputs()[0]), n.Attr().(graph.AxesAttr).Axes...)
}

func (l *lowering) transpose(value string, perm ...int) string {
	return l.emit("Transpose", []string{value}, intsAttr("perm", perm...))
}

// lowerBroadcast emits an Expand, for users other than element-wise
// operators. A dimension of 1 in Expand's shape keeps the operand's.
func lowerBroadcast(l *lowering, n *graph.Node) string {
	x := n.Inputs()[0]
	for x.Op() == graph.OpBroadcast {
		x = x.Inputs()[0]
	}
	lead := n.Rank() - x.Rank()
	wanted := slices.Clone(n.Shape())
	for i := lead; i < len(wanted); i++ {
		if x.Shape()[i-lead] == wanted[i] {
			wanted[i] = graph.Const(1)
		}
	}
	return l.emit("Expand", []string{l.value(x), l.shapeVector(wanted)})
}

// shapeVector returns the name of an int64 vector with the sizes of shape at
// run time.
func (l *lowering) shapeVector(shape graph.Shape) string {
	if n, ok := shape.Static(); ok {
		return l.ints(n...)
	}
	parts := make([]string, len(shape))
	for i, d := range shape {
		parts[i] = l.dimension(d)
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return l.emit("Concat", parts, intAttr("axis", 0))
}

// dimension returns the name of an int64 [1] with the size of d at run time,
// taken from the shapes of the graph's inputs.
func (l *lowering) dimension(d graph.Dim) string {
	if c, ok := d.Constant(); ok {
		return l.ints(c)
	}
	return l.shared(extraKey{nil, "dim " + d.String()}, func() string {
		total := ""
		for _, t := range d.Terms() {
			size := l.product(t)
			if total != "" {
				size = l.emit("Add", []string{total, size})
			}
			total = size
		}
		return total
	})
}

// product returns the name of an int64 [1] with the value of one product.
func (l *lowering) product(t graph.Term) string {
	size := ""
	for _, f := range t.Factors {
		factor := ""
		if f.Symbol != "" {
			factor = l.symbol(f.Symbol)
		} else {
			factor = l.shared(extraKey{nil, "dim " + f.Over.Div(f.Under).String()}, func() string {
				return l.emit("Div", []string{l.dimension(f.Over), l.dimension(f.Under)})
			})
		}
		if size != "" {
			factor = l.emit("Mul", []string{size, factor})
		}
		size = factor
	}
	switch {
	case size == "":
		return l.ints(t.N)
	case t.N != 1:
		return l.emit("Mul", []string{size, l.ints(t.N)})
	}
	return size
}

func (l *lowering) symbol(s string) string {
	for _, in := range l.graph.Inputs() {
		if axis := slices.Index(in.Shape(), graph.Sym(s)); axis >= 0 {
			shape := l.emit("Shape", []string{l.value(in)})
			return l.emit("Slice", []string{shape, l.ints(axis), l.ints(axis + 1)})
		}
	}
	for _, n := range l.graph.Nodes() {
		if a, ok := n.Attr().(graph.CountAttr); ok && a.Count == s { // the last axis
			shape := l.emit("Shape", []string{l.value(n)})
			return l.emit("Slice", []string{shape, l.ints(n.Rank() - 1), l.ints(n.Rank())})
		}
	}
	if l.outer != nil { // whose values a body sees
		return l.outer.dimension(graph.Sym(s))
	}
	panic(&graph.Error{Op: graph.OpBroadcast, Want: fmt.Sprintf("want an input with dimension %s", s)})
}

func lowerSlice(l *lowering, n *graph.Node) string {
	return l.slice(l.value(n.Inputs()[0]), n.Attr().(graph.SliceAttr))
}

func (l *lowering) slice(value string, a graph.SliceAttr) string {
	if len(a.Axes) == 0 {
		return value
	}
	return l.emit("Slice", []string{value, l.shapeVector(a.Starts), l.shapeVector(a.Limits), l.ints(a.Axes...), l.ints(a.Steps...)})
}

// lowerPad spreads the elements of axes with zeros between them by padding a
// new axis behind each one and merging the two; the zeros that this leaves
// behind the last element count towards those wanted after it, and are cut off
// where they are too many.
func lowerPad(l *lowering, n *graph.Node) string {
	x, a := n.Inputs()[0], n.Attr().(graph.PadAttr)
	value, shape := l.value(x), slices.Clone(x.Shape())
	hi := slices.Clone(a.Hi)
	for axis, b := range a.Between {
		if b == 0 {
			continue
		}
		split := slices.Insert(slices.Clone(shape), axis+1, graph.Const(1))
		value = l.reshape(value, shape, split)
		end := make(graph.Shape, len(split))
		end[axis+1] = graph.Const(b)
		value = l.pad(value, make(graph.Shape, len(split)), end)
		split[axis+1] = graph.Const(b + 1)
		shape[axis] = shape[axis].Mul(graph.Const(b + 1))
		value = l.reshape(value, split, shape)
		hi[axis] = hi[axis].Sub(graph.Const(b))
		if n, ok := hi[axis].Constant(); ok && n >= 0 {
			continue
		} else if !ok { // what is wanted may be more or fewer
			hi[axis] = hi[axis].Add(graph.Const(b))
			shape[axis] = shape[axis].Sub(graph.Const(b))
		} else {
			shape[axis], hi[axis] = shape[axis].Add(hi[axis]), graph.Const(0)
		}
		value = l.slice(value, graph.SliceAttr{Axes: []int{axis}, Starts: graph.Dims(0), Limits: shape[axis : axis+1], Steps: []int{1}})
	}
	return l.pad(value, a.Lo, hi)
}

// pad emits a Pad, unless it adds nothing.
func (l *lowering) pad(value string, lo, hi graph.Shape) string {
	pads := slices.Concat(lo, hi)
	if !slices.ContainsFunc(pads, func(p graph.Dim) bool { return p != graph.Dim{} }) {
		return value
	}
	return l.emit("Pad", []string{value, l.shapeVector(pads)})
}

// mostJoined is the number of operands whose places CUDA's Concat is told with its launch.
const mostJoined = 32

// lowerConcat joins values at once, or in a captured model by what needs no tables of their places:
// each in its place among zeros, added up.
func lowerConcat(l *lowering, n *graph.Node) string {
	in, axis := n.Inputs(), n.Attr().(graph.AxesAttr).Axes[0]
	names, first := l.values(in), in[0].Shape()[axis]
	unequal := slices.ContainsFunc(in, func(x *graph.Node) bool { return x.Shape()[axis] != first })
	if !l.captured || !n.DType().IsFloat() || len(in) <= mostJoined && !unequal {
		return l.emit("Concat", names, intAttr("axis", axis))
	}
	sum, lo, hi := "", make(graph.Shape, n.Rank()), make(graph.Shape, n.Rank())
	hi[axis] = n.Shape()[axis]
	for i, x := range in {
		hi[axis] = hi[axis].Sub(x.Shape()[axis])
		part := l.pad(names[i], lo, hi)
		lo[axis] = lo[axis].Add(x.Shape()[axis])
		if sum != "" {
			part = l.emit("Add", []string{sum, part})
		}
		sum = part
	}
	return sum
}

func lowerReduceSum(l *lowering, n *graph.Node) string {
	x, axes := n.Inputs()[0], n.Attr().(graph.AxesAttr).Axes
	if l.blocks.makes(x) && slices.Equal(axes, []int{0, 2, 3}) {
		// For each channel: over the pixels of a picture, then over pictures.
		s := x.Shape()
		pixels := l.reshape(l.channelsLast(x, []int{0, 0}, []int{0, 0}), s, graph.Shape{s[0], s[2:].Volume(), s[1]})
		pictures := l.emit("ReduceSum", []string{pixels, l.ints(1)}, intAttr("keepdims", 0))
		return l.emit("ReduceSum", []string{pictures, l.ints(0)}, intAttr("keepdims", 0))
	}
	return l.emit("ReduceSum", []string{l.value(x), l.ints(axes...)}, intAttr("keepdims", 0))
}

func lowerReduceMax(l *lowering, n *graph.Node) string {
	axes := n.Attr().(graph.AxesAttr).Axes
	if version, _ := l.products.opset(); version >= 18 { // axes are an input from there on
		return l.emit("ReduceMax", []string{l.value(n.Inputs()[0]), l.ints(axes...)}, intAttr("keepdims", 0))
	}
	return l.emit("ReduceMax", l.values(n.Inputs()), intsAttr("axes", axes...), intAttr("keepdims", 0))
}
