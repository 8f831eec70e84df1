package export

import (
	"slices"

	"ebm/models/graph"
)

// The derivative of a convolution in its weights is a sum over pixels, for
// each tap of the kernel a product of two long and narrow matrices,
//
//	W̄ₖ [Co Ci] = Yᵀ Xₖ,   Y [pixels Co],  Xₖ [pixels Ci]
//
// in which Xₖ is what the tap sees of x. As a convolution of one picture, with
// the pixels for its channels and Co for its height, it has exactly the form
// that the kernel for 1×1 weights is fast at, and Xₖ in blocks is the weights
// that it wants:
//
//	Y as [1 pixels/b Co 1 b],  Xₖ as [Ci/b pixels b]  ⇒  W̄ₖ as [1 Ci/b Co 1 b]

// gradsFilters reports whether the ConvFilterGrad n can be made so.
func (b *blocks) gradsFilters(n *graph.Node) bool {
	if b == nil {
		return false
	}
	x, y := n.Inputs()[0], n.Inputs()[1]
	return b.fits(x.Shape()) && b.fits(y.Shape()) && area(graph.Spatial(y))%b.size == 0
}

// filterGrad returns the name of the ConvFilterGrad n, in ONNX's layout.
func (b *blocks) filterGrad(n *graph.Node) string {
	l, x, y, a := b.plain, n.Inputs()[0], n.Inputs()[1], n.Attr().(graph.ConvAttr)
	out, co, ci := y.Shape()[2:], n.Shape()[0], n.Shape()[1]
	batch, pixels := x.Shape()[0], x.Shape()[0].Mul(y.Shape()[2:].Volume())
	one := graph.Const(1)
	channels, _ := ci.Constant()
	flat := b.pixels(y)
	padded := b.blocksFirst(x, a)
	slice := graph.Shape{b.count(ci), batch, out[0], out[1], graph.Const(b.size)}
	taps := windows(a, a.Size.Ints(), out, false)
	parts := make([]string, len(taps))
	for i, s := range taps {
		s.Axes = []int{2, 3}
		seen := l.reshape(l.window(padded, x, a.PadLo, a.PadHi, s), slice, graph.Shape{ci, pixels, one, one})
		parts[i] = b.emit("Conv", []string{flat, seen}, convAttrs(graph.Conv2D(1, 0))...)
	}
	// One picture [Ci Co 1] in blocks for each tap.
	last := b.emit("ReorderOutput", []string{l.join(parts, 0)}, intAttr("channels", channels), intAttr("channels_last", 1))
	rows := l.reshape(last, nil, graph.Shape{graph.Const(len(taps)), co.Mul(ci)})
	return l.reshape(l.transpose(rows, 1, 0), nil, n.Shape())
}

// pixels returns the name of y [N C H W] as one picture [1 N·H·W C 1], whose
// channels are y's pixels, in blocks.
func (b *blocks) pixels(y *graph.Node) string {
	l := b.plain
	return l.shared(extraKey{y, "pixels"}, func() string {
		s := y.Shape()
		count := s[2:].Volume()
		rows := graph.Shape{s[0], s[1], b.count(count), graph.Const(b.size)}
		turned := l.transpose(l.reshape(l.value(y), s, rows), 0, 2, 1, 3)
		return l.reshape(turned, nil, graph.Shape{graph.Const(1), s[0].Mul(count), s[1], graph.Const(1)})
	})
}

// blocksFirst returns the name of x [N C H W] as [C/b N H W b], with zeros
// around each picture.
func (b *blocks) blocksFirst(x *graph.Node, a graph.ConvAttr) string {
	l, s := b.plain, x.Shape()
	first := l.shared(extraKey{x, "blocks first"}, func() string {
		split := graph.Shape{s[0], b.count(s[1]), s[2], s[3], graph.Const(b.size)}
		if split[1] == graph.Const(1) {
			return l.reshape(b.inside.value(x), nil, graph.Shape{split[1], split[0], split[2], split[3], split[4]})
		}
		return l.transpose(l.reshape(b.inside.value(x), s, split), 1, 0, 2, 3, 4)
	})
	pad := graph.PadAttr{Lo: graph.Dims(0, 0, a.PadLo[0], a.PadLo[1], 0), Hi: graph.Dims(0, 0, a.PadHi[0], a.PadHi[1], 0)}
	if !slices.ContainsFunc(slices.Concat(pad.Lo, pad.Hi), func(p graph.Dim) bool { return p != graph.Dim{} }) {
		return first
	}
	return l.shared(extraKey{x, "blocks first " + pad.String()}, func() string { return l.pad(first, pad.Lo, pad.Hi) })
}
