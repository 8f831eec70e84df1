package export

import (
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// convolves reports whether a convolution, or its adjoint in x, can be made in
// blocks, and is better made so.
func (b *blocks) convolves(n *graph.Node) bool {
	w, a := n.Inputs()[1], n.Attr().(graph.ConvAttr)
	if n.DType() != tensor.Float32 || n.Rank() != 4 || !plain2D(a) {
		return false
	}
	co, _ := w.Shape()[0].Constant()
	ci, _ := w.Shape()[1].Constant()
	// A picture with fewer channels than a block is read as it is.
	few := n.Op() == graph.OpConv && ci < b.size
	return co%b.size == 0 && (ci%b.size == 0 || few)
}

// conv emits n, a convolution or its adjoint in x, with a bias and a value that
// are added to the result; both may be nil.
func (b *blocks) conv(n, bias, sum *graph.Node) string {
	x, w := n.Inputs()[0], n.Inputs()[1]
	var added operands
	if bias != nil {
		for bias.Op() == graph.OpBroadcast {
			bias = bias.Inputs()[0]
		}
		added.bias = b.plain.reshape(b.plain.value(bias), bias.Shape(), n.Shape()[1:2])
	}
	if sum != nil {
		added.sum = b.inside.value(sum)
	}
	if b.winograds(n) {
		return b.winograd(n, added)
	}
	a, weights := n.Attr().(graph.ConvAttr), ""
	if n.Op() == graph.OpConv {
		weights = b.weights(w)
	} else if parts := phases(n); len(parts) == 1 {
		a, weights = parts[0].conv, b.plain.reshape(b.flippedWeights(w), nil, parts[0].weights)
	} else {
		values := make([]string, len(parts))
		for i, p := range parts {
			cut := b.plain.slice(b.flippedWeights(w), p.taps)
			values[i] = b.convolve(b.inside.value(x), b.plain.reshape(cut, nil, p.weights), p.conv, operands{})
		}
		s := n.Shape()
		size := spatialOf(s)
		each := graph.Shape{s[0], s[1], graph.Const(size[0] / a.Strides[0]), graph.Const(size[1] / a.Strides[1])}
		return b.interleave(values, each, a.Strides)
	}
	return b.convolve(b.inside.value(x), weights, a, added)
}

// operands are what a convolution adds to its result, "" for nothing.
type operands struct{ bias, sum string }

// convolve emits a convolution of values in blocks.
func (b *blocks) convolve(x, weights string, a graph.ConvAttr, added operands) string {
	return b.emit("Conv", []string{x, weights, added.bias, added.sum}, convAttrs(a)...)
}

// weights returns the name of w [Co Ci K L] in blocks. Where there are fewer
// channels than in a block, only the outputs are.
func (b *blocks) weights(w *graph.Node) string {
	return b.plain.shared(extraKey{w, "blocks"}, func() string {
		s := w.Shape()
		switch {
		case !b.fits(s):
			return b.blocksOf(b.plain.value(w), s)
		case w.Op() == graph.OpConstant:
			size, _ := s.Static()
			return b.plain.constant("", packed(w, b.size, false, unit(s)).Reshape(size...))
		}
		return b.blocksOf(b.rows(w), s)
	})
}

// blocksOf returns the name of the weights of a shape [Co Ci K L], given as
// rows, in blocks. Each step exchanges two axes, at ten times the speed of one
// Transpose that does it all.
func (b *blocks) blocksOf(rows string, s graph.Shape) string {
	l := b.plain
	split := graph.Shape{b.count(s[0]), graph.Const(b.size), s[1:].Volume()}
	return l.reshape(l.transpose(l.reshape(rows, nil, split), 0, 2, 1), nil, s)
}

// flippedWeights returns the name of w [Co Ci K L], turned by half a turn and
// with its channels exchanged, as [Ci/b Co/b K L b(o) b(i)].
func (b *blocks) flippedWeights(w *graph.Node) string {
	l := b.plain
	return l.shared(extraKey{w, "flipped blocks"}, func() string {
		s, size := w.Shape(), graph.Const(b.size)
		if w.Op() == graph.OpConstant {
			return l.constant("", packed(w, b.size, true, unit(s)))
		}
		outputs, inputs := b.count(s[0]), b.count(s[1])
		split := graph.Shape{outputs, size, inputs, s[2], s[3], size}
		turned := l.transpose(l.reshape(b.rows(w), nil, split), 2, 0, 3, 4, 1, 5)
		backwards := make([]int, area(graph.Spatial(w)))
		if len(backwards) == 1 {
			return turned
		}
		for i := range backwards {
			backwards[i] = len(backwards) - 1 - i
		}
		// A Gather of taps takes half the time of a Slice with steps of −1.
		taps := l.reshape(turned, nil, graph.Shape{inputs, outputs, s[2:].Volume(), size.Mul(size)})
		gathered := l.emit("Gather", []string{taps, l.ints(backwards...)}, intAttr("axis", 2))
		return l.reshape(gathered, nil, graph.Shape{inputs, outputs, s[2], s[3], size, size})
	})
}

// rows returns the name of w [Co Ci K L] as [Co Ci/b K L b(i)]. ONNX Runtime
// computes standard operators on constants once, when it loads a model, but not
// its own.
func (b *blocks) rows(w *graph.Node) string {
	l := b.plain
	return l.shared(extraKey{w, "rows of blocks"}, func() string {
		if isConstant(w) {
			s := w.Shape()
			split := graph.Shape{s[0], b.count(s[1]), graph.Const(b.size), s[2], s[3]}
			return l.transpose(l.reshape(l.value(w), nil, split), 0, 1, 3, 4, 2)
		}
		if w.Op() == graph.OpMeanPool { // of weights, to fold a pool into them
			return b.meanPool(b.rows(w.Inputs()[0]), w.Attr().(graph.PoolAttr))
		}
		return b.emit("ReorderInput", []string{l.value(w)})
	})
}

// count returns the number of blocks that a number of channels fills.
func (b *blocks) count(channels graph.Dim) graph.Dim {
	c, _ := channels.Constant()
	return graph.Const(c / b.size)
}

// A phase of an adjoint with stride s is what it gives to every s-th row and
// column: a convolution of stride 1 with every s-th tap of the flipped kernel.
type phase struct {
	taps    graph.SliceAttr // of flippedWeights
	weights graph.Shape     // [Ci Co …]
	conv    graph.ConvAttr
}

// phases returns the phases of a ConvInputGrad in row-major order, and none
// where they would differ in size or need paddings below 0.
//
// Row s·q+r takes the taps t, t+s, … with t = (r + pad) mod s, and tap t+s·j
// meets row q + c − j of y, c = (r + pad − t)/s.
func phases(n *graph.Node) []phase {
	a, w, in := n.Attr().(graph.ConvAttr), n.Inputs()[1], graph.Spatial(n.Inputs()[0])
	kernel, size := graph.Spatial(w), a.Size.Ints()
	// along is one axis of a phase.
	type along struct{ start, taps, lo, hi int }
	axes := make([][]along, len(kernel))
	for i, k := range kernel {
		s := a.Strides[i]
		if size[i]%s != 0 {
			return nil
		}
		for r := range s {
			t := (r + a.PadLo[i]) % s
			if t >= k {
				return nil
			}
			taps, c := (k-1-t)/s+1, (r+a.PadLo[i]-t)/s
			p := along{start: k - 1 - t - s*(taps-1), taps: taps, lo: taps - 1 - c, hi: size[i]/s - in[i] + c}
			if p.lo < 0 || p.hi < 0 {
				return nil
			}
			axes[i] = append(axes[i], p)
		}
	}
	var list []phase
	for _, v := range axes[0] {
		for _, h := range axes[1] {
			conv := graph.Conv2D(1, 0)
			conv.PadLo, conv.PadHi = []int{v.lo, h.lo}, []int{v.hi, h.hi}
			list = append(list, phase{
				taps: graph.SliceAttr{
					Axes: []int{2, 3}, Starts: graph.Dims(v.start, h.start), Limits: graph.Dims(kernel...), Steps: slices.Clone(a.Strides),
				},
				weights: graph.Shape{w.Shape()[1], w.Shape()[0], graph.Const(v.taps), graph.Const(h.taps)},
				conv:    conv,
			})
		}
	}
	return list
}

// interleave joins the phases of a value, each of shape s [N C H W] and in
// blocks, to [N C H·strides[0] W·strides[1]].
func (b *blocks) interleave(values []string, s graph.Shape, strides []int) string {
	l := b.plain
	width, _ := s[3].Constant()
	// Columns: [N C/b H W b] joined along b. Rows: [N C/b H W·b] likewise.
	head := graph.Shape{s[0], b.count(s[1]), s[2]}
	rows := make([]string, strides[0])
	for r := range rows {
		row := values[r*strides[1] : (r+1)*strides[1]]
		if len(row) > 1 {
			for i := range row {
				row[i] = l.reshape(row[i], s, append(slices.Clone(head), s[3], graph.Const(b.size)))
			}
		}
		rows[r] = l.reshape(l.join(row, 4), s, append(slices.Clone(head), graph.Const(width*strides[1]*b.size)))
	}
	whole := graph.Shape{s[0], s[1], s[2].Mul(graph.Const(strides[0])), graph.Const(width * strides[1])}
	return l.reshape(l.join(rows, 3), s, whole)
}

// join emits a Concat, unless there is one value only.
func (l *lowering) join(values []string, axis int) string {
	if len(values) == 1 {
		return values[0]
	}
	return l.emit("Concat", values, intAttr("axis", axis))
}
