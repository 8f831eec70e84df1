package export

import (
	"ebm/models/graph"
)

// lowerConvFilterGrad chooses between three forms: products with stacked taps
// for small pictures, products over shifted slices for larger ones, and for
// everything but plain 2-D a convolution with the batch in the place of the
// channels.
func lowerConvFilterGrad(l *lowering, n *graph.Node) string {
	x, y, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(graph.ConvAttr)
	switch {
	case !plain2D(a):
		return l.filterGradByConv(n)
	case isSmall(y):
		return l.filterGradByTaps(x, y, a, n.Shape())
	case l.blocks.gradsFilters(n):
		return l.blocks.filterGrad(n)
	}
	return l.filterGradBySlices(n)
}

// filterGradBySlices computes, for each tap of the kernel, the product of the
// slice of x that it sees, as [N·OH·OW Ci], with y, as [N·OH·OW Co].
func (l *lowering) filterGradBySlices(n *graph.Node) string {
	x, y, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(graph.ConvAttr)
	out := y.Shape()[2:]
	ci, co, taps := n.Shape()[1], n.Shape()[0], a.Size.Volume()
	padded := l.channelsLast(x, a.PadLo, a.PadHi)
	yColumns := l.columns(y)

	from := graph.Shape{x.Shape()[0], out[0], out[1], ci}
	var parts []string
	for _, s := range windows(a, a.Size.Ints(), out, false) {
		xRows := l.reshape(l.window(padded, x, a.PadLo, a.PadHi, s), from, graph.Shape{from[:3].Volume(), ci})
		p := l.emit("MatMul", []string{yColumns, xRows})
		parts = append(parts, l.reshape(p, graph.Shape{co, ci}, graph.Shape{graph.Const(1), co.Mul(ci)}))
	}
	all := parts[0]
	if len(parts) > 1 {
		all = l.emit("Concat", parts, intAttr("axis", 0))
	}
	return l.reshape(l.transpose(all, 1, 0), graph.Shape{co.Mul(ci), taps}, n.Shape())
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
		cut.Starts = append(cut.Starts, graph.Const(0))
		cut.Limits = append(cut.Limits, k)
		cut.Steps = append(cut.Steps, 1)
	}
	return l.transpose(l.slice(w, cut), append([]int{1, 0}, spatial...)...)
}
