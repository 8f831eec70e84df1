package interp

import (
	"ebm/models/graph"
	"ebm/models/tensor"
)

// convolution is the geometry that Conv and its adjoints share: x [n ci …],
// w [co cg …] and y [n co …], with cg = ci/groups.
type convolution struct {
	*window
	n, ci, co, cg, taps int
	perGroup            int // output channels of a group
}

func newConvolution(c *call, x, w, y []int) convolution {
	a := c.node.Attr().(graph.ConvAttr)
	return convolution{
		window: newWindow(windowGeometry{
			in: x[2:], out: y[2:], kernel: w[2:],
			strides: a.Strides, dilations: a.Dilations, lo: a.PadLo,
		}),
		n: x[0], ci: x[1], co: w[0], cg: w[1], taps: product(w[2:]),
		perGroup: w[0] / a.Groups,
	}
}

// conv computes each plane of y from the planes of x in its group.
func conv(c *call) ([]*tensor.Tensor, error) {
	k := newConvolution(c, c.in[0].Shape(), c.in[1].Shape(), c.shapes[0])
	x, w := floats(c.in[0]), floats(c.in[1])
	y := make([]float64, k.n*k.co*k.outN)
	parallel(k.n*k.co, k.cg*k.totalPairs, func(i int) {
		n, co := i/k.co, i%k.co
		out := plane(y, i, k.outN)
		for j := range k.cg {
			in := plane(x, n*k.ci+co/k.perGroup*k.cg+j, k.inN)
			for t, a := range plane(w, co*k.cg+j, k.taps) {
				k.forward(t, out, in, a)
			}
		}
	})
	return one(tensor.Of(y, c.shapes[0]...))
}

// convInputGrad computes each plane of x from the planes of y in its group.
func convInputGrad(c *call) ([]*tensor.Tensor, error) {
	k := newConvolution(c, c.shapes[0], c.in[1].Shape(), c.in[0].Shape())
	y, w := floats(c.in[0]), floats(c.in[1])
	x := make([]float64, k.n*k.ci*k.inN)
	parallel(k.n*k.ci, k.perGroup*k.totalPairs, func(i int) {
		n, ci := i/k.ci, i%k.ci
		group, j := ci/k.cg, ci%k.cg
		in := plane(x, i, k.inN)
		for co := group * k.perGroup; co < (group+1)*k.perGroup; co++ {
			out := plane(y, n*k.co+co, k.outN)
			for t, a := range plane(w, co*k.cg+j, k.taps) {
				k.backward(t, in, out, a)
			}
		}
	})
	return one(tensor.Of(x, c.shapes[0]...))
}

// convFilterGrad computes each plane of w from one plane of x and of y for
// every element of the batch.
func convFilterGrad(c *call) ([]*tensor.Tensor, error) {
	k := newConvolution(c, c.in[0].Shape(), c.shapes[0], c.in[1].Shape())
	x, y := floats(c.in[0]), floats(c.in[1])
	w := make([]float64, k.co*k.cg*k.taps)
	parallel(k.co*k.cg, k.n*k.totalPairs, func(i int) {
		co, j := i/k.cg, i%k.cg
		kernel := plane(w, i, k.taps)
		for n := range k.n {
			in := plane(x, n*k.ci+co/k.perGroup*k.cg+j, k.inN)
			out := plane(y, n*k.co+co, k.outN)
			for t := range kernel {
				kernel[t] += k.correlate(t, in, out)
			}
		}
	})
	return one(tensor.Of(w, c.shapes[0]...))
}
