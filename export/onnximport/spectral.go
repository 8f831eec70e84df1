package onnximport

import (
	"math"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// Fourier transforms are products with matrices of cosines and sines. Complex numbers
// are a last axis of two.

// complexParts returns the real and the imaginary part, nil for none, of x […, 1] or […, 2].
func (c *call) complexParts(x *graph.Node) (re, im *graph.Node) {
	last := x.Rank() - 1
	if last < 1 || c.size(x, last) < 1 || c.size(x, last) > 2 {
		c.fail("%v, want a last axis of 1 for real or 2 for complex numbers", x.Type())
	}
	part := func(i int) *graph.Node { return graph.Reshape(graph.Slice(x, last, i, i+1, 1), x.Shape()[:last]) }
	if c.size(x, last) == 2 {
		im = part(1)
	}
	return part(0), im
}

func joined(re, im *graph.Node) *graph.Node {
	last := re.Rank()
	return graph.Concat(last, graph.ExpandDims(re, last), graph.ExpandDims(im, last))
}

// transform returns the discrete Fourier transform of length n, bins of it, along an
// axis; the inverse one, which divides by n, where so asked.
func (c *call) transform(re, im *graph.Node, axis, n, bins int, inverse bool) (*graph.Node, *graph.Node) {
	sign, scale := -1.0, 1.0
	if inverse {
		sign, scale = 1, 1/float64(n)
	}
	product := func(x *graph.Node, f func(float64) float64, factor float64) *graph.Node {
		return c.along(x, axis, bins, func(to, from int) float64 {
			if from >= n {
				return 0
			}
			return factor * scale * f(2*math.Pi*float64(to*from%n)/float64(n))
		})
	}
	outRe, outIm := product(re, math.Cos, 1), product(re, math.Sin, sign)
	if im != nil {
		outRe = graph.Sub(outRe, product(im, math.Sin, sign))
		outIm = graph.Add(outIm, product(im, math.Cos, 1))
	}
	return outRe, outIm
}

func readDFT(c *call) []*value {
	x := c.float(0)
	re, im := c.complexParts(x)
	var y *graph.Node
	along := func(axis int) *graph.Node {
		if axis == x.Rank()-1 {
			return nil // the axis of complex numbers
		}
		return c.fourier(re, im, axis)
	}
	switch {
	case c.version < 20:
		y = along(c.axis(c.integer("axis", 1), x.Rank()))
	case c.has(2):
		y = c.overAxis(2, x.Rank(), along)
	default:
		y = along(x.Rank() - 2)
	}
	if y == nil {
		c.fail("a transform along the axis of complex numbers")
	}
	return one(y)
}

// fourier transforms complex numbers along an axis.
func (c *call) fourier(re, im *graph.Node, axis int) *graph.Node {
	inverse, half := c.integer("inverse", 0) != 0, c.integer("onesided", 0) != 0
	n := c.size(re, axis)
	if inverse && half {
		n = 2 * (n - 1)
	}
	if c.has(1) {
		n = int(c.scalar(1))
	}
	if n < 1 || n > mostFolded {
		c.fail("a transform of length %d", n)
	}
	if inverse && half {
		return graph.ExpandDims(c.realInverse(re, im, axis, n), re.Rank())
	}
	bins := n
	if half {
		bins = n/2 + 1
	}
	return joined(c.transform(re, im, axis, n, bins, inverse))
}

// realInverse returns the n real numbers whose transform begins with n/2+1 given ones.
func (c *call) realInverse(re, im *graph.Node, axis, n int) *graph.Node {
	product := func(x *graph.Node, f func(float64) float64, factor float64) *graph.Node {
		return c.along(x, axis, n, func(to, from int) float64 {
			if from > n/2 {
				return 0
			}
			twice := 2.0
			if from == 0 || 2*from == n {
				twice = 1
			}
			return factor * twice / float64(n) * f(2*math.Pi*float64(to*from%n)/float64(n))
		})
	}
	y := product(re, math.Cos, 1)
	if im != nil {
		y = graph.Add(y, product(im, math.Sin, -1))
	}
	return y
}

// readSTFT transforms frames of a signal [B L …], each times the window.
func readSTFT(c *call) []*value {
	x := c.float(0)
	if x.Rank() == 2 {
		x = graph.ExpandDims(x, 2)
	}
	if x.Rank() != 3 {
		c.fail("%v, want a signal [B L 1] or [B L 2]", x.Type())
	}
	step, length := int(c.scalar(1)), 0
	switch {
	case c.has(3):
		length = int(c.scalar(3))
	case c.has(2):
		length = c.size(c.x(2), 0)
	default:
		c.fail("want a window or the length of frames")
	}
	total := x.Shape()[1]
	if step < 1 || length < 1 || !c.assume(total.Sub(graph.Const(length))) {
		c.fail("frames of %d, %d apart, of a signal of %v", length, step, total)
	}
	frames := total.Sub(graph.Const(length)).Div(graph.Const(step)).Add(graph.Const(1))
	starts := c.iota(frames)
	grid := graph.Shape{frames, graph.Const(length)}
	first := graph.BroadcastAlong(graph.Mul(starts, constantLike(starts, float64(step))), grid, 0)
	at := graph.Add(first, graph.BroadcastAlong(c.made(iota64(length)), grid, 1))
	re, im := c.complexParts(x)
	framed := func(s *graph.Node) *graph.Node {
		if s == nil {
			return nil
		}
		s = graph.Gather(s, at, 1)
		if c.has(2) {
			s = graph.Mul(s, graph.Broadcast(graph.Cast(c.x(2), s.DType()), s.Shape()))
		}
		return s
	}
	bins := length
	if c.integer("onesided", 1) != 0 {
		bins = length/2 + 1
	}
	return one(joined(c.transform(framed(re), framed(im), 2, length, bins, false)))
}

// readWindow reads a window of cosines with coefficients.
func readWindow(coefficients ...float64) reader {
	return func(c *call) []*value {
		if c.folder.value(c.x(0)) == nil {
			return one(c.windowMeasured(coefficients))
		}
		n := int(c.scalar(0))
		if n < 0 || n > mostFolded {
			c.fail("a window of %d", n)
		}
		period := float64(n)
		if c.integer("periodic", 1) == 0 {
			period--
		}
		w := make([]float64, n)
		for i := range w {
			for k, a := range coefficients {
				w[i] += a * math.Cos(2*math.Pi*float64(k*i)/period)
			}
		}
		return one(c.made(converted(tensor.Of(w, n), c.outputType())))
	}
}

// windowMeasured is a window whose length only values say.
func (c *call) windowMeasured(coefficients []float64) *graph.Node {
	length := graph.Cast(graph.Reshape(c.x(0), nil), tensor.Int64)
	at := graph.Cast(c.iota(c.measured(length)), c.outputType())
	period := graph.Broadcast(graph.Cast(length, at.DType()), at.Shape())
	if c.integer("periodic", 1) == 0 {
		period = graph.Shift(period, -1)
	}
	w := graph.Like(at, 0)
	for k, a := range coefficients {
		w = graph.Add(w, graph.Scale(graph.Cos(graph.Div(graph.Scale(at, 2*math.Pi*float64(k)), period)), a))
	}
	return w
}

// outputType returns the floating-point type that output_datatype asks for.
func (c *call) outputType() tensor.DType {
	if _, ok := c.op.attributes["output_datatype"]; !ok {
		return tensor.Float32
	}
	dtype, err := dtypeOf(c.elementType("output_datatype"))
	if err != nil || !dtype.IsFloat() {
		c.fail("output_datatype is of no floating-point type")
	}
	return dtype
}

// readMelWeightMatrix reads the triangular filters of a mel spectrogram.
func readMelWeightMatrix(c *call) []*value {
	filters, length, rate := int(c.scalar(0)), int(c.scalar(1)), c.scalar(2)
	mel := func(hertz float64) float64 { return 2595 * math.Log10(1+hertz/700) }
	low, high := mel(c.scalar(3)), mel(c.scalar(4))
	bins := length/2 + 1
	if filters < 1 || length < 1 || filters > mostFolded/bins || !(rate > 0) {
		c.fail("%d filters over a transform of %d", filters, length)
	}
	edges := make([]int, filters+2)
	for i := range edges {
		hertz := 700 * (math.Pow(10, (low+float64(i)*(high-low)/float64(len(edges)))/2595) - 1)
		edges[i] = int(float64(length+1) * hertz / rate)
	}
	if slices.Max(edges) >= bins || slices.Min(edges) < 0 {
		c.fail("filters up to bin %d of %d", slices.Max(edges), bins)
	}
	w := make([]float64, bins*filters)
	for i := range filters {
		from, middle, to := edges[i], edges[i+1], edges[i+2]
		if from == middle {
			w[middle*filters+i] = 1
		}
		for j := from; j <= middle && from < middle; j++ {
			w[j*filters+i] = float64(j-from) / float64(middle-from)
		}
		for j := middle; j < to; j++ {
			w[j*filters+i] = float64(to-j) / float64(to-middle)
		}
	}
	return one(c.made(converted(tensor.Of(w, bins, filters), c.outputType())))
}
