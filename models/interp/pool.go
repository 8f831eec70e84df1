package interp

import (
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

func newPooling(c *call, x, y []int) *window {
	a := c.node.Attr().(graph.PoolAttr)
	return newWindow(windowGeometry{
		in: x[2:], out: y[2:], kernel: a.Window,
		strides: a.Strides, dilations: slices.Repeat([]int{1}, len(a.Window)), lo: a.PadLo,
	})
}

func meanPool(c *call) ([]*tensor.Tensor, error) {
	k := newPooling(c, c.in[0].Shape(), c.shapes[0])
	out := tensor.New(tensor.Float64, c.shapes[0]...)
	x, y := floats(c.in[0]), floats(out)
	share := 1 / float64(len(k.taps))
	parallel(planes(c.shapes[0]), k.totalPairs, func(i int) {
		for t := range k.taps {
			k.forward(t, plane(y, i, k.outN), plane(x, i, k.inN), share)
		}
	})
	return one(out)
}

func meanPoolGrad(c *call) ([]*tensor.Tensor, error) {
	k := newPooling(c, c.shapes[0], c.in[0].Shape())
	out := tensor.New(tensor.Float64, c.shapes[0]...)
	y, x := floats(c.in[0]), floats(out)
	share := 1 / float64(len(k.taps))
	parallel(planes(c.shapes[0]), k.totalPairs, func(i int) {
		for t := range k.taps {
			k.backward(t, plane(x, i, k.inN), plane(y, i, k.outN), share)
		}
	})
	return one(out)
}

// firstMaxima returns, for each position of the window over a plane x, the
// offset of its first maximum. Every window holds an element, because
// paddings are smaller than windows.
func (w *window) firstMaxima(x []float64) []int {
	at := slices.Repeat([]int{-1}, w.outN)
	for _, runs := range w.taps {
		for _, r := range runs {
			for i := range r.n {
				in := r.in + i*w.stride
				if best := at[r.out+i]; best < 0 || x[in] > x[best] {
					at[r.out+i] = in
				}
			}
		}
	}
	return at
}

func maxPool(c *call) ([]*tensor.Tensor, error) {
	return take(c, c.in[0], c.in[0])
}

func maxPoolTake(c *call) ([]*tensor.Tensor, error) {
	return take(c, c.in[0], c.in[1])
}

// take returns the elements of t at the maxima of x.
func take(c *call, x, t *tensor.Tensor) ([]*tensor.Tensor, error) {
	k := newPooling(c, x.Shape(), c.shapes[0])
	out := tensor.New(tensor.Float64, c.shapes[0]...)
	parallel(planes(c.shapes[0]), k.totalPairs, func(i int) {
		from, to := plane(floats(t), i, k.inN), plane(floats(out), i, k.outN)
		for o, in := range k.firstMaxima(plane(floats(x), i, k.inN)) {
			to[o] = from[in]
		}
	})
	return one(out)
}

func maxPoolGrad(c *call) ([]*tensor.Tensor, error) {
	x, y := c.in[0], c.in[1]
	k := newPooling(c, x.Shape(), y.Shape())
	out := tensor.New(tensor.Float64, c.shapes[0]...)
	parallel(planes(c.shapes[0]), k.totalPairs, func(i int) {
		from, to := plane(floats(y), i, k.outN), plane(floats(out), i, k.inN)
		for o, in := range k.firstMaxima(plane(floats(x), i, k.inN)) {
			to[in] += from[o]
		}
	})
	return one(out)
}

// planes returns the number of planes of a shape [N C …].
func planes(shape []int) int { return shape[0] * shape[1] }
