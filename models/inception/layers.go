package inception

import (
	"math"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// epsilon is added to the variances of batch normalisation.
const epsilon = 0.001

// window is a convolution's kernel, stride and padding.
type window struct{ height, width, stride, padHeight, padWidth int }

var point = window{1, 1, 1, 0, 0}

func square(size, stride, pad int) window { return window{size, size, stride, pad, pad} }

// row and column are windows of one line that keep the size of a picture.
func row(size int) window    { return window{1, size, 1, 0, size / 2} }
func column(size int) window { return window{size, 1, 1, size / 2, 0} }

// conv adds a convolution without bias, its batch normalisation and a ReLU.
func (n network) conv(x *graph.Node, name string, out int, w window) *graph.Node {
	in, _ := x.Shape()[1].Constant()
	weight, bias := fold(
		n.source(name+".conv.weight", out, in, w.height, w.width),
		n.source(name+".bn.weight", out), n.source(name+".bn.bias", out),
		n.source(name+".bn.running_mean", out), n.source(name+".bn.running_var", out))
	y := graph.Conv(x, x.Graph().Weight(name+".weight", weight), graph.ConvAttr{
		Strides: []int{w.stride, w.stride}, Dilations: []int{1, 1}, Groups: 1,
		PadLo: []int{w.padHeight, w.padWidth}, PadHi: []int{w.padHeight, w.padWidth},
	})
	return graph.Relu(graph.Add(y, graph.BroadcastAlong(x.Graph().Weight(name+".bias", bias), y.Shape(), 1)))
}

// fold returns the weights and bias of a convolution that is followed by a
// batch normalisation, computed in float64.
func fold(weight, gamma, beta, mean, variance *tensor.Tensor) (w, b *tensor.Tensor) {
	w, b = tensor.New(tensor.Float32, weight.Shape()...), tensor.New(tensor.Float32, beta.Shape()...)
	from, to := tensor.Data[float32](weight), tensor.Data[float32](w)
	channels := b.Len()
	each := len(to) / channels
	for c := range channels {
		at := func(t *tensor.Tensor) float64 { return float64(tensor.Data[float32](t)[c]) }
		scale := at(gamma) / math.Sqrt(at(variance)+epsilon)
		tensor.Data[float32](b)[c] = float32(at(beta) - at(mean)*scale)
		for i := c * each; i < (c+1)*each; i++ {
			to[i] = float32(float64(from[i]) * scale)
		}
	}
	return w, b
}

func (n network) constant(x *graph.Node, name string, shape ...int) *graph.Node {
	return x.Graph().Weight(name, n.source(name, shape...))
}

// halfMax halves a picture by maxima over 3×3 windows.
func halfMax(x *graph.Node) *graph.Node { return graph.MaxPool(x, graph.Pool2D(3, 2, 0)) }

// sameMax takes maxima over 3×3 windows and keeps the size.
func sameMax(x *graph.Node) *graph.Node { return graph.MaxPool(x, graph.Pool2D(3, 1, 1)) }

// insideMean takes means over the part of each 3×3 window that is inside the
// picture. MeanPool divides by 9 everywhere, so the border is scaled up.
func insideMean(x *graph.Node) *graph.Node {
	y := graph.MeanPool(x, graph.Pool2D(3, 1, 1))
	size := graph.Spatial(y)
	scale := tensor.New(tensor.Float32, size...)
	for i := range size[0] {
		for j := range size[1] {
			inside := covered(i, size[0]) * covered(j, size[1])
			tensor.Data[float32](scale)[i*size[1]+j] = float32(9 / float64(inside))
		}
	}
	return graph.Mul(y, graph.BroadcastAlong(x.Graph().Constant(scale), y.Shape(), 2, 3))
}

// covered counts the places i−1, i, i+1 that are in [0, size).
func covered(i, size int) int { return min(i+2, size) - max(i-1, 0) }
