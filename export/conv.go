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

// lowerConv emits a Conv, or matrix products where those are faster.
func lowerConv(l *lowering, n *graph.Node) string {
	x, w, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(graph.ConvAttr)
	if preferTaps(w, a, n) {
		return l.convByTaps(x, w, a, n.Shape())
	}
	return l.emit("Conv", l.values(n.Inputs()), convAttrs(a)...)
}

// lowerConvInputGrad emits a Conv with flipped weights where the stride is 1,
// or what is faster there, and a ConvTranspose otherwise.
func lowerConvInputGrad(l *lowering, n *graph.Node) string {
	y, w, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(graph.ConvAttr)
	if side := l.blocks.subpixel(n); side > 0 {
		return l.blocks.inputGradBySquares(n, side)
	}
	if preferTaps(w, a, n) && slices.Equal(a.Strides, []int{1, 1}) && padsWithin(a, graph.Spatial(w)) {
		return l.inputGradByTaps(y, w, a, n.Shape())
	}
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
	reach := make([]int, len(kernel))
	for i, k := range kernel {
		reach[i] = a.Dilations[i]*(k-1) + 1
	}
	rest, cut := leftover(a.Size, a.Strides, a.PadLo, a.PadHi, reach)
	x := l.emit("ConvTranspose", l.values(n.Inputs()), append(convAttrs(a), intsAttr("output_padding", rest...))...)
	return l.slice(x, cut)
}

// leftover returns how many elements of each spatial axis the last position of
// a window does not reach, for sizes that are known. Along others it returns as
// many as there may be, and the slice that leaves those out which there are not.
func leftover(size graph.Shape, strides, lo, hi, reach []int) (rest []int, cut graph.SliceAttr) {
	rest = make([]int, len(size))
	for i, d := range size {
		n, ok := d.Constant()
		if ok {
			rest[i] = (n + lo[i] + hi[i] - reach[i]) % strides[i]
		} else if strides[i] > 1 {
			rest[i] = strides[i] - 1
			cut.Axes, cut.Steps = append(cut.Axes, i+2), append(cut.Steps, 1)
			cut.Starts, cut.Limits = append(cut.Starts, graph.Const(0)), append(cut.Limits, d)
		}
	}
	return rest, cut
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
			a.Starts = append(a.Starts, graph.Const(k-1))
			a.Limits = append(a.Limits, graph.Const(-k-1)) // before the first element
			a.Steps = append(a.Steps, -1)
		}
	}
	return l.shared(extraKey{w, "flipped"}, func() string {
		name := l.transpose(l.value(w), perm...)
		return l.slice(name, a)
	})
}

// padsWithin reports whether every padding is smaller than the kernel.
func padsWithin(a graph.ConvAttr, kernel []int) bool {
	for i, k := range kernel {
		if a.PadLo[i] >= k || a.PadHi[i] >= k {
			return false
		}
	}
	return true
}
