package export_test

import (
	g "ebm/models/graph"
	"ebm/models/tensor"
)

// geometry is one convolution: x without its batch, w and the attributes.
type geometry struct {
	name string
	x, w []int
	attr g.ConvAttr
}

// geometries reach every form in which a convolution and its adjoints are
// lowered: taps and slices (plain 2-D, small and large pictures), flipped
// weights (stride 1, any dilation), ConvTranspose (strides, groups, paddings
// larger than the kernel), and batch and channels exchanged.
func geometries() []geometry {
	return []geometry{
		{"1-D", []int{2, 5}, []int{2, 2, 3}, g.ConvAttr{
			Strides: []int{1}, Dilations: []int{1}, PadLo: []int{1}, PadHi: []int{1}, Groups: 1}},
		{"1-D strides that leave a rest", []int{1, 8}, []int{2, 1, 2}, g.ConvAttr{
			Strides: []int{3}, Dilations: []int{2}, PadLo: []int{0}, PadHi: []int{1}, Groups: 1}},
		{"3x3", []int{2, 5, 4}, []int{3, 2, 3, 3}, g.Conv2D(1, 1)},
		{"3x3 on 2x2", []int{2, 2, 2}, []int{3, 2, 3, 3}, g.Conv2D(1, 1)},
		{"3x3 to one pixel", []int{2, 3, 3}, []int{3, 2, 3, 3}, g.Conv2D(1, 0)},
		{"1x1", []int{2, 4, 4}, []int{3, 2, 1, 1}, g.Conv2D(1, 0)},
		{"1x1 on one pixel", []int{2, 1, 1}, []int{3, 2, 1, 1}, g.Conv2D(1, 0)},
		{"1x1 with paddings", []int{2, 2, 3}, []int{2, 2, 1, 1}, g.ConvAttr{
			Strides: []int{1, 1}, Dilations: []int{1, 1}, PadLo: []int{1, 2}, PadHi: []int{0, 1}, Groups: 1}},
		{"4x4 of stride 2", []int{2, 8, 8}, []int{3, 2, 4, 4}, g.Conv2D(2, 1)},
		{"4x4 of stride 2 on 4x4", []int{2, 4, 4}, []int{3, 2, 4, 4}, g.Conv2D(2, 1)},
		{"strides that leave a rest", []int{2, 8, 6}, []int{2, 2, 3, 2}, g.ConvAttr{
			Strides: []int{3, 2}, Dilations: []int{1, 1}, PadLo: []int{0, 1}, PadHi: []int{1, 0}, Groups: 1}},
		{"strides beyond the kernel", []int{1, 7, 7}, []int{2, 1, 2, 1}, g.ConvAttr{
			Strides: []int{3, 4}, Dilations: []int{1, 1}, PadLo: []int{0, 0}, PadHi: []int{0, 0}, Groups: 1}},
		{"different paddings", []int{2, 4, 4}, []int{2, 2, 3, 3}, g.ConvAttr{
			Strides: []int{1, 1}, Dilations: []int{1, 1}, PadLo: []int{2, 0}, PadHi: []int{0, 1}, Groups: 1}},
		{"dilations", []int{2, 6, 7}, []int{2, 2, 3, 2}, g.ConvAttr{
			Strides: []int{1, 1}, Dilations: []int{2, 3}, PadLo: []int{2, 1}, PadHi: []int{1, 2}, Groups: 1}},
		{"everything", []int{4, 7, 6}, []int{6, 2, 2, 3}, g.ConvAttr{
			Strides: []int{2, 1}, Dilations: []int{2, 1}, PadLo: []int{1, 0}, PadHi: []int{0, 2}, Groups: 2}},
		{"groups of stride 1", []int{4, 4, 4}, []int{2, 2, 3, 3}, g.ConvAttr{
			Strides: []int{1, 1}, Dilations: []int{1, 1}, PadLo: []int{1, 1}, PadHi: []int{1, 1}, Groups: 2}},
		{"depthwise", []int{3, 4, 4}, []int{3, 1, 2, 2}, g.ConvAttr{
			Strides: []int{1, 2}, Dilations: []int{1, 1}, PadLo: []int{0, 1}, PadHi: []int{0, 1}, Groups: 3}},
		{"3-D", []int{2, 3, 2, 4}, []int{2, 2, 2, 2, 2}, g.ConvAttr{
			Strides: []int{1, 1, 2}, Dilations: []int{1, 1, 1}, PadLo: []int{0, 1, 1}, PadHi: []int{1, 0, 0}, Groups: 1}},
		{"3-D of stride 1", []int{1, 3, 3, 3}, []int{2, 1, 2, 2, 2}, g.ConvAttr{
			Strides: []int{1, 1, 1}, Dilations: []int{1, 2, 1}, PadLo: []int{1, 0, 0}, PadHi: []int{1, 0, 1}, Groups: 1}},
	}
}

// y returns the shape of the convolution's result, without the batch.
func (c geometry) y() []int {
	f := g.New("shape")
	x := f.Input("x", tensor.Float32, g.Batch(c.x...))
	w := f.Input("w", tensor.Float32, g.Dims(c.w...))
	shape, _ := g.Conv(x, w, c.attr).Shape()[1:].Static()
	return shape
}

func batch(shape []int) operand { return n(append([]int{N}, shape...)...) }

// convRows have every geometry with weights that are inputs and with weights
// that are constants, which are lowered in different ways.
func convRows() []row {
	var all []row
	for _, c := range geometries() {
		y := c.y()
		for _, w := range []operand{n(c.w...), weight(c.w...)} {
			name := c.name
			if w.fixed {
				name += ", constant weights"
			}
			all = append(all,
				binary("Conv "+name, g.OpConv, func(x, w *g.Node) *g.Node { return g.Conv(x, w, c.attr) }, batch(c.x), w),
				binary("ConvInputGrad "+name, g.OpConvInputGrad, func(y, w *g.Node) *g.Node {
					return g.ConvInputGrad(y, w, c.attr, c.x[1:])
				}, batch(y), w))
		}
		all = append(all, binary("ConvFilterGrad "+c.name, g.OpConvFilterGrad, func(x, y *g.Node) *g.Node {
			return g.ConvFilterGrad(x, y, c.attr, c.w[2:])
		}, batch(c.x), batch(y)))
	}
	return all
}

func poolRows() []row {
	var all []row
	for _, c := range []struct {
		name string
		x    []int
		attr g.PoolAttr
	}{
		{"2x2", []int{2, 4, 6}, g.Pool2D(2, 2, 0)},
		{"2x2 that leaves a rest", []int{1, 5, 4}, g.Pool2D(2, 2, 0)},
		{"3x3 of stride 1", []int{2, 4, 4}, g.Pool2D(3, 1, 1)},
		{"overlapping and padded", []int{1, 4, 5}, g.PoolAttr{
			Window: []int{3, 2}, Strides: []int{2, 1}, PadLo: []int{1, 0}, PadHi: []int{2, 1}}},
		{"1-D that tiles", []int{2, 6}, g.PoolAttr{Window: []int{3}, Strides: []int{3}, PadLo: []int{0}, PadHi: []int{0}}},
		{"1-D of stride 1", []int{2, 6}, g.PoolAttr{Window: []int{3}, Strides: []int{1}, PadLo: []int{2}, PadHi: []int{0}}},
		{"with gaps", []int{1, 7}, g.PoolAttr{Window: []int{2}, Strides: []int{4}, PadLo: []int{0}, PadHi: []int{0}}},
		{"3-D", []int{1, 2, 3, 2}, g.PoolAttr{
			Window: []int{2, 2, 2}, Strides: []int{1, 2, 1}, PadLo: []int{0, 1, 0}, PadHi: []int{0, 0, 0}}},
		{"3-D that tiles", []int{2, 2, 4, 2}, g.PoolAttr{
			Window: []int{2, 2, 1}, Strides: []int{2, 2, 1}, PadLo: []int{0, 0, 0}, PadHi: []int{0, 0, 0}}},
	} {
		y := poolShape(c.x, c.attr)
		squash := func(y *g.Node) *g.Node { return g.Tanh(g.Scale(y, 0.1)) }
		for _, k := range []kind{normal, ties} {
			x, name := batch(c.x), c.name
			if x.kind = k; k == ties {
				name += ", ties"
			}
			all = append(all,
				named("MaxPool "+name, g.OpMaxPool, x, func(x *g.Node) *g.Node { return squash(g.MaxPool(x, c.attr)) }),
				binary("MaxPoolGrad "+name, g.OpMaxPoolGrad, func(x, y *g.Node) *g.Node {
					return squash(g.MaxPoolGrad(x, y, c.attr))
				}, x, batch(y)),
				binary("MaxPoolTake "+name, g.OpMaxPoolTake, func(x, t *g.Node) *g.Node {
					return squash(g.MaxPoolTake(x, t, c.attr))
				}, x, batch(c.x)))
		}
		all = append(all,
			named("MeanPool "+c.name, g.OpMeanPool, batch(c.x), func(x *g.Node) *g.Node { return g.Exp(g.MeanPool(x, c.attr)) }),
			named("MeanPoolGrad "+c.name, g.OpMeanPoolGrad, batch(y), func(y *g.Node) *g.Node {
				return g.Exp(g.MeanPoolGrad(y, c.attr, c.x[1:]))
			}))
	}
	// ONNX Runtime merges these Pads with what stands behind them.
	around := func(x *g.Node) *g.Node { return g.Pad(x, []int{0, 0, 1, 0}, []int{0, 0, 0, 2}, nil) }
	x := n(N, 2, 4, 4)
	return append(all,
		named("MeanPool behind a Pad", g.OpMeanPool, x, func(x *g.Node) *g.Node { return g.Exp(g.MeanPool(around(x), g.Pool2D(2, 2, 0))) }),
		named("MeanPool with paddings behind a Pad", g.OpMeanPool, x,
			func(x *g.Node) *g.Node { return g.Exp(g.MeanPool(around(x), g.Pool2D(2, 1, 1))) }),
		named("MeanPoolGrad behind a Pad", g.OpMeanPoolGrad, x, func(x *g.Node) *g.Node {
			return g.Exp(g.MeanPoolGrad(around(x), g.Pool2D(2, 1, 0), []int{6, 7}))
		}),
		named("MaxPool behind a Pad", g.OpMaxPool, x, func(x *g.Node) *g.Node { return g.Exp(g.MaxPool(around(x), g.Pool2D(2, 1, 1))) }),
		binary("Conv behind a Pad", g.OpConv, func(x, w *g.Node) *g.Node { return g.Conv(around(x), w, g.Conv2D(2, 1)) }, x, n(3, 2, 2, 2)))
}

func poolShape(x []int, a g.PoolAttr) []int {
	f := g.New("shape")
	shape, _ := g.MeanPool(f.Input("x", tensor.Float32, g.Batch(x...)), a).Shape()[1:].Static()
	return shape
}
