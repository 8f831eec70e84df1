package export

import (
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// A convolution computes a block of channels even where its result has one or
// three, as the gradient of a picture has. As a sub-pixel convolution (Shi et
// al. 2016) it fills the block: what it makes are the s·s pixels of a square as
// so many channels, from the K+s−1 rows and columns that these see, and the
// squares are then laid out as pixels,
//
//	y[c, s·p+i, s·q+j] = z[(c, i, j), p, q],   z = x convolved with stride s
//
// with the kernel of channel (c, i, j) that of c, moved by i rows and j columns.

// subpixel returns the side s of the squares in which the adjoint n of a
// convolution is best made, 0 where it is not made so.
func (b *blocks) subpixel(n *graph.Node) int {
	w, a := n.Inputs()[1], n.Attr().(graph.ConvAttr)
	if b == nil || n.Rank() != 4 || n.DType() != tensor.Float32 || !plain2D(a) || a.Strides[0] != 1 || a.Strides[1] != 1 ||
		!b.fits(n.Inputs()[0].Shape()) || len(phases(n)) != 1 {
		return 0
	}
	s, static := w.Shape().Static()
	if !static || s[1] >= b.size {
		return 0
	}
	best, least, size := 0, 0.0, a.Size.Ints()
	for _, side := range []int{1, 2, 4} {
		if size[0]%side != 0 || size[1]%side != 0 {
			continue
		}
		products := float64(b.filled(s[1]*side*side)*(s[2]+side-1)*(s[3]+side-1)) / float64(side*side) // for each pixel and channel of x
		if best == 0 || products < least {
			best, least = side, products
		}
	}
	return best
}

// filled returns the number of channels in the blocks that a number takes.
func (b *blocks) filled(channels int) int { return (channels + b.size - 1) / b.size * b.size }

// inputGradBySquares returns the name of the adjoint n in ONNX's layout, made
// in squares of a side.
func (b *blocks) inputGradBySquares(n *graph.Node, side int) string {
	l, w, y := b.plain, n.Inputs()[1], n.Inputs()[0]
	conv := phases(n)[0].conv
	conv.Strides = []int{side, side}
	squares := b.convolve(b.inside.value(y), b.squareWeights(w, side), conv, operands{})
	channels, _ := w.Shape()[1].Constant()
	s, square := n.Shape(), graph.Const(side)
	last := b.emit("ReorderOutput", []string{squares}, intAttr("channels", channels*side*side), intAttr("channels_last", 1))
	size := spatialOf(s)
	split := graph.Shape{s[0], graph.Const(size[0] / side), graph.Const(size[1] / side), s[1], square, square}
	return l.reshape(l.transpose(l.reshape(last, s, split), 0, 3, 1, 4, 2, 5), split, s)
}

// squareWeights returns the name of the kernels of squares, in blocks, for the
// adjoint of a convolution with w [Co Ci K L].
func (b *blocks) squareWeights(w *graph.Node, side int) string {
	l := b.plain
	co, _ := w.Shape()[0].Constant()
	ci, _ := w.Shape()[1].Constant()
	kernel := graph.Spatial(w)
	rows, columns := kernel[0]+side-1, kernel[1]+side-1
	value := b.moved(l.flipped(w), []int{ci, co, kernel[0], kernel[1]}, 3, side)
	value = b.moved(value, []int{ci, co, kernel[0], side * columns}, 2, side)
	value = l.reshape(value, nil, graph.Dims(ci, co, side, rows, side, columns))
	value = l.reshape(l.transpose(value, 0, 2, 4, 1, 3, 5), nil, graph.Dims(ci*side*side, co, rows, columns))
	filled := b.filled(ci * side * side)
	value = l.pad(value, graph.Dims(0, 0, 0, 0), graph.Dims(filled-ci*side*side, 0, 0, 0))
	// As rows of blocks, of which the second step wants those of the outputs.
	value = l.reshape(value, nil, graph.Dims(filled, co/b.size, b.size, rows*columns))
	return b.blocksOf(l.transpose(value, 0, 1, 3, 2), graph.Dims(filled, co, rows, columns))
}

// moved returns the name of a value of a shape whose axis is replaced by count
// copies of it, one after the other, each longer by count−1 and its elements
// one place further than in the one before: copies that are longer by count,
// read in parts that are one shorter.
func (b *blocks) moved(value string, shape []int, axis, count int) string {
	if count == 1 {
		return value
	}
	l, none := b.plain, make(graph.Shape, len(shape))
	end, repeats := slices.Clone(none), []int{1, 1, 1, 1}
	end[axis], repeats[axis] = graph.Const(count), count
	long := l.emit("Tile", []string{l.pad(value, none, end), l.ints(repeats...)})
	return l.slice(long, graph.SliceAttr{Axes: []int{axis}, Starts: graph.Dims(0),
		Limits: graph.Dims(count * (shape[axis] + count - 1)), Steps: []int{1}})
}
