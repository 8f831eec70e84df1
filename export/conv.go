package export

import (
	"slices"

	"ebm/export/onnxpb"
	"ebm/models/graph"
)

func convAttrs(a graph.ConvAttr) []*onnxpb.AttributeProto {
	return []*onnxpb.AttributeProto{
		intsAttr("strides", a.Strides...), intsAttr("dilations", a.Dilations...),
		intsAttr("pads", slices.Concat(a.PadLo, a.PadHi)...), intAttr("group", a.Groups),
	}
}

func lowerConv(l *lowering, n *graph.Node) string {
	return l.emit("Conv", l.values(n.Inputs()), convAttrs(n.Attr().(graph.ConvAttr))...)
}

// lowerConvInputGrad emits a Conv with flipped weights where the stride is 1,
// and a ConvTranspose otherwise.
func lowerConvInputGrad(l *lowering, n *graph.Node) string {
	y, w, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(graph.ConvAttr)
	kernel := graph.Spatial(w)
	flip := a
	flip.PadLo, flip.PadHi = slices.Clone(a.PadLo), slices.Clone(a.PadHi)
	flips := a.Groups == 1
	for i, k := range kernel {
		reach := a.Dilations[i] * (k - 1)
		flip.PadLo[i], flip.PadHi[i] = reach-a.PadLo[i], reach-a.PadHi[i]
		flips = flips && a.Strides[i] == 1 && flip.PadLo[i] >= 0 && flip.PadHi[i] >= 0
	}
	if flips {
		return l.emit("Conv", []string{l.value(y), l.flipped(w)}, convAttrs(flip)...)
	}
	rest := make([]int, len(kernel))
	for i, k := range kernel {
		rest[i] = (a.Size[i] + a.PadLo[i] + a.PadHi[i] - a.Dilations[i]*(k-1) - 1) % a.Strides[i]
	}
	return l.emit("ConvTranspose", l.values(n.Inputs()), append(convAttrs(a), intsAttr("output_padding", rest...))...)
}

// flipped returns the name of w [Co Ci …] as [Ci Co …] with reversed spatial
// axes. Runtimes fold it when w is constant.
func (l *lowering) flipped(w *graph.Node) string {
	perm := []int{1, 0}
	var a graph.SliceAttr
	for i, k := range graph.Spatial(w) {
		perm = append(perm, i+2)
		if k > 1 {
			a.Axes = append(a.Axes, i+2)
			a.Starts = append(a.Starts, k-1)
			a.Limits = append(a.Limits, -k-1) // before the first element
			a.Steps = append(a.Steps, -1)
		}
	}
	return l.shared(extraKey{w, "flipped"}, func() string {
		name := l.transpose(l.value(w), perm...)
		if len(a.Axes) > 0 {
			name = l.slice(name, a)
		}
		return name
	})
}

// lowerConvFilterGrad chooses between two forms: matrix products over shifted
// slices for plain 2-D convolutions, and a convolution with the batch in the
// place of the channels for all others.
func lowerConvFilterGrad(l *lowering, n *graph.Node) string {
	a := n.Attr().(graph.ConvAttr)
	if a.Groups == 1 && len(a.Size) == 2 && slices.Equal(a.Dilations, []int{1, 1}) {
		return l.filterGradBySlices(n)
	}
	return l.filterGradByConv(n)
}

// filterGradBySlices computes, for each place (i, j) of the kernel, the
// product of the slice of x that (i, j) sees, as [N·OH·OW Ci], with y, as
// [N·OH·OW Co].
func (l *lowering) filterGradBySlices(n *graph.Node) string {
	x, y, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(graph.ConvAttr)
	ci, co := x.Shape()[1], y.Shape()[1]
	out := graph.Spatial(y)
	rows := graph.Shape{y.Shape()[0]}.Volume().Mul(graph.Const(out[0] * out[1]))

	padded := l.channelsLast(x, a.PadLo, a.PadHi)
	yRows := l.reshape(l.channelsLast(y, []int{0, 0}, []int{0, 0}),
		graph.Shape{y.Shape()[0], graph.Const(out[0]), graph.Const(out[1]), co}, graph.Shape{rows, co})

	sliceShape := graph.Shape{x.Shape()[0], graph.Const(out[0]), graph.Const(out[1]), ci}
	var parts []string
	for i := range a.Size[0] {
		for j := range a.Size[1] {
			value := padded
			if s, whole := window(a, graph.Spatial(x), out, i, j); !whole {
				value = l.slice(padded, s)
			}
			xRows := l.reshape(value, sliceShape, graph.Shape{rows, ci})
			p := l.emit("MatMul", []string{l.transpose(xRows, 1, 0), yRows})
			parts = append(parts, l.reshape(p, graph.Shape{ci, co}, graph.Shape{graph.Const(1), ci, co}))
		}
	}
	all := parts[0]
	if len(parts) > 1 {
		all = l.emit("Concat", parts, intAttr("axis", 0))
	}
	kernel := graph.Const(len(parts))
	w := l.transpose(all, 2, 1, 0) // [Co Ci kernel]
	return l.reshape(w, graph.Shape{co, ci, kernel}, n.Shape())
}

// window returns the slice of a padded [N H W C] that place (i, j) of the
// kernel sees, and whether that is all of it.
func window(a graph.ConvAttr, size, out []int, i, j int) (s graph.SliceAttr, whole bool) {
	s = graph.SliceAttr{
		Axes: []int{1, 2}, Starts: []int{i, j}, Steps: a.Strides,
		Limits: []int{i + (out[0]-1)*a.Strides[0] + 1, j + (out[1]-1)*a.Strides[1] + 1},
	}
	whole = true
	for k := range 2 {
		full := size[k] + a.PadLo[k] + a.PadHi[k]
		whole = whole && s.Starts[k] == 0 && s.Limits[k] == full && s.Steps[k] == 1
	}
	return s, whole
}

// channelsLast returns the name of x [N C H W] as [N H W C], with zeros
// around each picture.
func (l *lowering) channelsLast(x *graph.Node, lo, hi []int) string {
	name := l.shared(extraKey{x, "NHWC"}, func() string { return l.transpose(l.value(x), 0, 2, 3, 1) })
	if lo[0]+lo[1]+hi[0]+hi[1] == 0 {
		return name
	}
	return l.pad(name, []int{0, lo[0], lo[1], 0}, []int{0, hi[0], hi[1], 0})
}

// filterGradByConv computes w = Σₙ x ⋆ y as a convolution of x, with batch
// and channels exchanged, with y as its kernel; strides and dilations change
// places. Groups stay groups:
//
//	x [N G·Ci …] → [Ci G·N …],  y [N G·Co …] → [G·Co N …]  ⇒  [Ci G·Co …]
func (l *lowering) filterGradByConv(n *graph.Node) string {
	x, y, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(graph.ConvAttr)
	batch, groups := x.Shape()[0], graph.Const(a.Groups)
	ci := n.Shape()[1]
	rank := x.Rank()
	spatial := make([]int, 0, rank)
	for i := 2; i < rank; i++ {
		spatial = append(spatial, i)
	}

	xt := l.value(x)
	if a.Groups == 1 {
		xt = l.transpose(xt, append([]int{1, 0}, spatial...)...)
	} else {
		split := append(graph.Shape{batch, groups, ci}, x.Shape()[2:]...)
		perm := []int{2, 1, 0}
		for _, i := range spatial {
			perm = append(perm, i+1)
		}
		xt = l.transpose(l.reshape(xt, x.Shape(), split), perm...)
		moved := append(graph.Shape{ci, groups, batch}, x.Shape()[2:]...)
		xt = l.reshape(xt, moved, append(graph.Shape{ci, groups.Mul(batch)}, x.Shape()[2:]...))
	}
	yt := l.transpose(l.value(y), append([]int{1, 0}, spatial...)...)

	swapped := a
	swapped.Strides, swapped.Dilations = a.Dilations, a.Strides
	w := l.emit("Conv", []string{xt, yt}, convAttrs(swapped)...) // [Ci Co …], perhaps larger than the kernel
	var cut graph.SliceAttr
	for i, k := range a.Size {
		cut.Axes = append(cut.Axes, i+2)
		cut.Starts = append(cut.Starts, 0)
		cut.Limits = append(cut.Limits, k)
		cut.Steps = append(cut.Steps, 1)
	}
	return l.transpose(l.slice(w, cut), append([]int{1, 0}, spatial...)...)
}
