package export

import (
	"fmt"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// Winograd's form of a convolution with three rows of taps g makes two rows of
// the result from four products, where the definition takes six. With the rows
// d₀ … d₃ of x that two rows y₀, y₁ of the result see (Winograd 1980; Lavin,
// Gray 2016, F(2, 3)),
//
//	m₀ = (d₀ − d₂)·g₀
//	m₁ = (d₁ + d₂)/2·(g₀ + g₁ + g₂)     y₀ = m₀ + m₁ + m₂
//	m₂ = (d₂ − d₁)/2·(g₀ − g₁ + g₂)     y₁ = m₁ − m₂ + m₃
//	m₃ = (d₃ − d₁)·g₂
//
// and each product is a convolution along the row. It is done for rows alone:
// for columns too it would need 16 products instead of 36, and lose more digits
// than the definition does, which this form does not.

// winogradChannels is the number of channels from which on the products that
// are saved cost more than the sums that are added, where weights are constants.
// Those of weights that are inputs are summed at each run: no time is won.
const winogradChannels = 64

// winogradRow is what one of the four products sees: a sum of two of the rows.
type winogradRow struct {
	taps   [2]float32
	apart  int // rows from the first to the second
	lo, hi int // rows of zeros above and below x
}

// winogradRows are those of the products, in order.
func winogradRows() [4]winogradRow {
	return [4]winogradRow{
		{taps: [2]float32{1, -1}, apart: 2, lo: 1},
		{taps: [2]float32{0.5, 0.5}, apart: 1},
		{taps: [2]float32{-0.5, 0.5}, apart: 1},
		{taps: [2]float32{-1, 1}, apart: 2, hi: 1},
	}
}

// winograds reports whether a convolution or its adjoint in x, made in blocks,
// is better made in Winograd's form.
func (b *blocks) winograds(n *graph.Node) bool {
	w, a := n.Inputs()[1], n.Attr().(graph.ConvAttr)
	s, static := w.Shape().Static()
	return static && isConstant(w) && s[2] == 3 && min(s[0], s[1]) >= winogradChannels && a.Strides[0] == 1 && a.Strides[1] == 1 &&
		a.PadLo[0] == 1 && a.PadHi[0] == 1 && graph.Spatial(n)[0]%2 == 0
}

// winograd emits n so.
func (b *blocks) winograd(n *graph.Node, added operands) string {
	l, x, w, a := b.plain, n.Inputs()[0], n.Inputs()[1], n.Attr().(graph.ConvAttr)
	if n.Op() == graph.OpConvInputGrad {
		a = phases(n)[0].conv
	}
	along := a
	along.PadLo, along.PadHi = []int{0, a.PadLo[1]}, []int{0, a.PadHi[1]}
	tall := b.winogradTall(w)
	product := func(i int, added operands) string {
		seen := b.winogradInput(x, i)
		if tall {
			seen = b.onePicture(seen, x, i)
		}
		return b.convolve(seen, b.winogradWeights(w, i, n.Op() == graph.OpConvInputGrad), along, added)
	}
	m1, m2 := product(1, operands{}), product(2, operands{})
	rows := []string{
		product(0, operands{added.bias, l.emit("Add", []string{m1, m2})}),
		product(3, operands{added.bias, l.emit("Sub", []string{m1, m2})}),
	}
	var y string
	if tall {
		y = b.pictures(l.join(b.rowsOf(rows, n.Shape()), 3), n.Shape())
	} else {
		y = b.interleave(rows, n.Shape(), []int{2, 1})
	}
	if added.sum == "" {
		return y
	}
	return l.emit("Add", []string{y, added.sum})
}

// winogradCache is a number of bytes that stay in a core's cache. Weights that
// are more are read again for every picture, unless all pictures are one.
const winogradCache = 1 << 20

// winogradTall reports whether the pictures of a batch, whose products do not
// see each other's rows, are better made as a tall one.
func (b *blocks) winogradTall(w *graph.Node) bool {
	s, _ := w.Shape().Static()
	return s[0]*s[1]*s[3]*tensor.Float32.Size() > winogradCache
}

// onePicture returns the name of what product i sees of x [N C H W], in blocks,
// as [1 C N·H/2 W].
func (b *blocks) onePicture(seen string, x *graph.Node, i int) string {
	return b.plain.shared(extraKey{x, fmt.Sprint("tall winograd ", i)}, func() string {
		l, s, size := b.plain, x.Shape(), graph.Spatial(x)
		height := graph.Const(size[0] / 2)
		each := graph.Shape{s[0], b.count(s[1]), graph.Const(size[0] / 2 * size[1] * b.size)}
		turned := l.transpose(l.reshape(seen, s, each), 1, 0, 2)
		return l.reshape(turned, nil, graph.Shape{graph.Const(1), s[1], s[0].Mul(height), s[3]})
	})
}

// rowsOf returns the names of values [1 C N·H/2 W], in blocks, as [C/b N H/2 W·b].
func (b *blocks) rowsOf(values []string, s graph.Shape) []string {
	size := spatialOf(s)
	to := graph.Shape{b.count(s[1]), s[0], graph.Const(size[0] / 2), graph.Const(size[1] * b.size)}
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = b.plain.reshape(v, nil, to)
	}
	return list
}

// pictures returns the name of a value [C/b N H W b] as pictures of shape s in
// blocks.
func (b *blocks) pictures(value string, s graph.Shape) string {
	l, size := b.plain, spatialOf(s)
	each := graph.Shape{b.count(s[1]), s[0], graph.Const(area(size) * b.size)}
	return l.reshape(l.transpose(l.reshape(value, nil, each), 1, 0, 2), each, s)
}

// winogradInput returns the name of what product i sees of x [N C H W], as
// [N C H/2 W]: a convolution of each channel by itself.
func (b *blocks) winogradInput(x *graph.Node, i int) string {
	row := winogradRows()[i]
	return b.plain.shared(extraKey{x, fmt.Sprint("winograd ", i)}, func() string {
		channels, _ := x.Shape()[1].Constant()
		taps := tensor.New(tensor.Float32, channels, 1, 2, 1) // [C/b 2 b]
		for j := range tensor.Data[float32](taps) {
			tensor.Data[float32](taps)[j] = row.taps[j/b.size%2]
		}
		conv := graph.ConvAttr{
			Strides: []int{2, 1}, Dilations: []int{row.apart, 1}, PadLo: []int{row.lo, 0}, PadHi: []int{row.hi, 0}, Groups: channels,
		}
		return b.convolve(b.inside.value(x), b.plain.constant("", taps), conv, operands{})
	})
}

// winogradWeights returns the name of the weights of product i, in blocks, of
// the convolution with w [Co Ci 3 L] or of its adjoint.
func (b *blocks) winogradWeights(w *graph.Node, i int, flipped bool) string {
	s := w.Shape()
	one := graph.Shape{s[0], s[1], graph.Const(1), s[3]}
	if flipped {
		return b.plain.shared(extraKey{w, fmt.Sprint("flipped winograd blocks ", i)}, func() string {
			turned := b.flippedBlocksOf(b.winogradSum(w, [4]int{3, 1, 2, 0}[i]), one)
			return b.plain.reshape(turned, nil, graph.Shape{s[1], s[0], graph.Const(1), s[3]})
		})
	}
	return b.plain.shared(extraKey{w, fmt.Sprint("winograd blocks ", i)}, func() string {
		return b.blocksOf(b.winogradSum(w, i), one)
	})
}

// winogradSum returns the name of the sum of w's rows of taps in product i, as
// rows.
func (b *blocks) winogradSum(w *graph.Node, i int) string {
	l, s := b.plain, w.Shape()
	tap := func(k int) string {
		return l.shared(extraKey{w, fmt.Sprint("tap ", k)}, func() string {
			split := graph.Shape{s[0].Mul(b.count(s[1])), s[2], s[3].Mul(graph.Const(b.size))}
			return l.slice(l.reshape(b.rows(w), nil, split), graph.SliceAttr{Axes: []int{1}, Starts: []int{k}, Limits: []int{k + 1}, Steps: []int{1}})
		})
	}
	outer := func() string {
		return l.shared(extraKey{w, "outer taps"}, func() string { return l.emit("Add", []string{tap(0), tap(2)}) })
	}
	switch i {
	case 0:
		return tap(0)
	case 1:
		return l.shared(extraKey{w, "all taps"}, func() string { return l.emit("Add", []string{outer(), tap(1)}) })
	case 2:
		return l.shared(extraKey{w, "alternating taps"}, func() string { return l.emit("Sub", []string{outer(), tap(1)}) })
	default:
		return tap(2)
	}
}
