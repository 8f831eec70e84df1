package export

import (
	"fmt"
	"slices"

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
// Weights that are inputs would be summed at each run: no time is won.
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
	return static && w.Op() == graph.OpConstant && s[2] == 3 && min(s[0], s[1]) >= winogradChannels &&
		a.Strides[0] == 1 && a.Strides[1] == 1 &&
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
	flipped, tall := n.Op() == graph.OpConvInputGrad, b.winogradTall(w)
	product := func(i int, added operands) string {
		return b.convolve(b.winogradInput(x, i, tall), b.winogradWeights(w, i, flipped), along, added)
	}
	m1, m2 := product(1, operands{}), product(2, operands{})
	rows := []string{
		product(0, operands{added.bias, l.emit("Add", []string{m1, m2})}),
		product(3, operands{added.bias, l.emit("Sub", []string{m1, m2})}),
	}
	each := halfHeight(n.Shape())
	if tall {
		each = onePicture(each)
	}
	y := b.interleave(rows, each, []int{2, 1})
	if tall {
		y = b.splitPictures(y, n.Shape())
	}
	if added.sum == "" {
		return y
	}
	return l.emit("Add", []string{y, added.sum})
}

// winogradTall reports whether the pictures of a batch, whose products do not
// see each other's rows, are better made as one.
func (b *blocks) winogradTall(w *graph.Node) bool {
	s, _ := w.Shape().Static()
	return s[0]*s[1]*s[3]*tensor.Float32.Size() > cacheBytes
}

// halfHeight returns s [N C H W] as [N C H/2 W].
func halfHeight(s graph.Shape) graph.Shape {
	return graph.Shape{s[0], s[1], graph.Const(spatialOf(s)[0] / 2), s[3]}
}

// winogradInput returns the name of what product i sees of x [N C H W], as
// [N C H/2 W]: a convolution of each channel by itself. If tall, the pictures
// are one.
func (b *blocks) winogradInput(x *graph.Node, i int, tall bool) string {
	row := winogradRows()[i]
	return b.plain.shared(extraKey{x, fmt.Sprint("winograd ", i, tall)}, func() string {
		channels, _ := x.Shape()[1].Constant()
		taps := tensor.New(tensor.Float32, channels, 1, 2, 1) // [C/b 2 b]
		for j := range tensor.Data[float32](taps) {
			tensor.Data[float32](taps)[j] = row.taps[j/b.size%2]
		}
		conv := graph.ConvAttr{
			Strides: []int{2, 1}, Dilations: []int{row.apart, 1}, PadLo: []int{row.lo, 0}, PadHi: []int{row.hi, 0}, Groups: channels,
		}
		seen := b.convolve(b.inside.value(x), b.plain.constant("", taps), conv, operands{})
		if tall {
			return b.joinPictures(seen, halfHeight(x.Shape()))
		}
		return seen
	})
}

// winogradWeights returns the name of the weights of product i, in blocks, of
// the convolution with the constant w [Co Ci 3 L] or of its adjoint.
func (b *blocks) winogradWeights(w *graph.Node, i int, flipped bool) string {
	sums := [4][3]float64{{1, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 1}}
	if flipped {
		slices.Reverse(sums[i][:])
	}
	return b.plain.shared(extraKey{w, fmt.Sprint("winograd blocks ", i, flipped)}, func() string {
		s, _ := w.Shape().Static()
		if flipped {
			s[0], s[1] = s[1], s[0]
		}
		return b.plain.constant("", packed(w, b.size, flipped, [][]float64{sums[i][:]}).Reshape(s[0], s[1], 1, s[3]))
	})
}
