package export

import (
	"ebm/models/graph"
)

// ONNX Runtime convolves one picture of a batch after the other, and reads the
// weights again for each. Where no cache holds them and pictures are small, as
// in the last blocks of a wide network, it waits for memory. The pictures below
// each other are one tall picture, for which it reads them once, if a kernel
// sees one row only.

// cacheBytes is what surely stays in a core's cache.
const cacheBytes = 1 << 20

// onePicture returns the shape of pictures s [N C H W] as one.
func onePicture(s graph.Shape) graph.Shape {
	return graph.Shape{graph.Const(1), s[1], s[0].Mul(s[2]), s[3]}
}

// joinPictures returns the name of a value of shape s, in blocks, as one picture.
func (b *blocks) joinPictures(value string, s graph.Shape) string {
	l := b.plain
	return l.reshape(l.transpose(l.reshape(value, s, b.elements(s)), 1, 0, 2), nil, onePicture(s))
}

// splitPictures undoes joinPictures.
func (b *blocks) splitPictures(value string, s graph.Shape) string {
	l, each := b.plain, b.elements(s)
	parts := l.reshape(value, nil, graph.Shape{each[1], each[0], each[2]})
	return l.reshape(l.transpose(parts, 1, 0, 2), each, s)
}

// elements returns the shape of pictures s, in blocks, as [N C/b H·W·b].
func (b *blocks) elements(s graph.Shape) graph.Shape {
	return graph.Shape{s[0], b.count(s[1]), graph.Const(area(spatialOf(s)) * b.size)}
}
