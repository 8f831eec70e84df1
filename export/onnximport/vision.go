package onnximport

import (
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// readCol2Im adds blocks [N C·K L] up to pictures: the adjoint of a convolution that
// takes each element of a block apart.
func readCol2Im(c *call) []*value {
	x, size, block := c.float(0), c.ints(1), c.ints(2)
	axes := len(size)
	elements := product1(block)
	if x.Rank() != 3 || axes < 1 || len(block) != axes || slices.Min(block) < 1 || c.size(x, 1)%elements != 0 {
		c.fail("blocks %v of %v for pictures of %v", x.Type(), block, size)
	}
	channels := c.size(x, 1) / elements
	pads := c.numbers("pads", 0, 2*axes, 0)
	a := graph.ConvAttr{Strides: c.numbers("strides", 1, axes, 1), Dilations: c.numbers("dilations", 1, axes, 1), PadLo: pads[:axes],
		PadHi: pads[axes:], Groups: channels}
	out := graph.Shape{x.Shape()[0], x.Shape()[1]}
	blocks := 1
	for i, n := range size {
		steps := (n+a.PadLo[i]+a.PadHi[i]-a.Dilations[i]*(block[i]-1)-1)/a.Strides[i] + 1
		out, blocks = append(out, graph.Const(steps)), blocks*steps
	}
	if c.size(x, 2) != blocks || elements*channels*elements > mostFolded {
		c.fail("%v, want %d blocks", x.Type(), blocks)
	}
	one1 := tensor.New(tensor.Float64, append([]int{channels * elements, 1}, block...)...)
	for i := range channels * elements {
		tensor.Data[float64](one1)[i*elements+i%elements] = 1
	}
	w := c.made(converted(one1, x.DType()))
	return one(graph.ConvInputGrad(graph.Reshape(x, out), w, a, size))
}

// readMaxUnpool puts maxima back to their places in the flat result.
func readMaxUnpool(c *call) []*value {
	x, at := c.float(0), graph.Cast(c.x(1), tensor.Int64)
	g := c.window(x, nil)
	shape := slices.Clone(x.Shape())
	for i := range g.kernel {
		n := x.Shape()[2+i].Sub(graph.Const(1)).Mul(graph.Const(g.strides[i]))
		shape[2+i] = n.Add(graph.Const(g.kernel[i] - g.lo[i] - g.hi[i]))
	}
	if !at.Shape().Equal(x.Shape()) {
		c.fail("places %v of %v", at.Type(), x.Type())
	}
	y := graph.GatherGrad(c.flat(x), c.flat(at), 0, c.volume(shape))
	y = graph.Reshape(y, shape)
	if !c.has(2) {
		return one(y)
	}
	given := c.shape(2)
	if len(given) != len(shape) {
		c.fail("a result of shape %v", given)
	}
	lo, hi := make(graph.Shape, len(shape)), make(graph.Shape, len(shape))
	for i := range shape {
		hi[i] = given[i].Sub(shape[i])
	}
	return one(c.pad(y, lo, hi, number(c.graph, y.DType(), 0)))
}

// readCausalConv reads a convolution of each channel [B C L] with what was before it,
// and returns the last inputs too.
func readCausalConv(c *call) []*value {
	x, w := c.float(0), c.float(1)
	if x.Rank() != 3 || w.Rank() != 3 {
		c.fail("weights %v for %v, want [C 1 K] and [B C L]", w.Type(), x.Type())
	}
	k := c.size(w, 2)
	before := graph.Broadcast(number(c.graph, x.DType(), 0), graph.Shape{x.Shape()[0], x.Shape()[1], graph.Const(k - 1)})
	if c.has(3) {
		before = c.float(3)
	}
	all := graph.Concat(2, before, x)
	y := c.addBias(graph.Conv(all, w, graph.ConvAttr{
		Strides: []int{1}, Dilations: []int{1}, PadLo: []int{0}, PadHi: []int{0}, Groups: c.size(w, 0),
	}))[0].node
	switch name := c.text("activation", "none"); name {
	case "none":
	case "silu", "swish":
		y = graph.Swish(y)
	default:
		c.fail("activation %q is not known", name)
	}
	n := all.Shape()[2]
	return []*value{{node: y}, {node: graph.Slice(all, 2, n.Sub(graph.Const(k-1)), n, 1)}}
}

// readTensorScatter writes an update into a cache from an index of each batch on.
func readTensorScatter(c *call) []*value {
	past, update := c.x(0), c.x(1)
	axis := c.axis(c.integer("axis", -2), past.Rank())
	if axis == 0 || update.Rank() != past.Rank() {
		c.fail("an update %v of %v along axis %d", update.Type(), past.Type(), axis)
	}
	at := places(c, past, axis)
	if c.has(2) {
		at = graph.Sub(at, graph.BroadcastAlong(graph.Cast(c.x(2), tensor.Int64), at.Shape(), 0))
	}
	zero := constantLike(at, 0)
	switch mode := c.text("mode", "linear"); mode {
	case "linear":
	case "circular":
		n := c.repeated(at, past.Shape()[axis])
		at = graph.Where(graph.Less(at, zero), graph.Add(at, n), at)
	default:
		c.fail("mode %q is not known", mode)
	}
	n := c.repeated(at, update.Shape()[axis])
	written := and(lessOrEqual(zero, at), graph.Less(at, n))
	within := graph.Where(written, at, zero)
	return one(graph.Where(written, c.elements(update, within, axis), past))
}

func readSwiGLU(c *call) []*value {
	a, b := c.float(0), c.float(1)
	return one(graph.Mul(swish(c, a), b))
}
