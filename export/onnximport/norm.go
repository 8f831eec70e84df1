package onnximport

import (
	"slices"

	"ebm/models/graph"
)

// readBatchNormalization reads an affine function of each channel, with the mean and
// variance that the file holds, or for training those of the batch.
func readBatchNormalization(c *call) []*value {
	c.ignore("momentum", "consumed_inputs", "is_test")
	training := c.integer("training_mode", 0) != 0 && !c.options.InUse || c.options.Training
	if c.integer("spatial", 1) == 0 {
		c.fail("statistics for each element (spatial = 0) are not supported")
	}
	x := c.float(0)
	if x.Rank() < 2 {
		c.fail("%v, want an operand with channels", x.Type())
	}
	scale, bias, mean, variance := c.x(1), c.x(2), c.x(3), c.x(4)
	var renewed []*value
	if training {
		var nextMean, nextVariance *graph.Node
		mean, variance, nextMean, nextVariance = c.batchStatistics(x)
		renewed = []*value{{node: nextMean}, {node: nextVariance}}
	}
	a := graph.Div(graph.Cast(scale, variance.DType()), graph.Sqrt(graph.Shift(variance, c.number("epsilon", 1e-5))))
	b := graph.Sub(graph.Cast(bias, a.DType()), graph.Mul(mean, a))
	along := func(v *graph.Node) *graph.Node {
		return graph.BroadcastAlong(graph.Cast(v, x.DType()), x.Shape(), 1)
	}
	return append(one(graph.Add(graph.Mul(x, along(a)), along(b))), renewed...)
}

// normalised returns x less its mean over axes, divided by its standard
// deviation; and the mean and the inverse deviation.
func (c *call) normalised(x *graph.Node, axes []int, epsilon float64) (y, center, inverse *graph.Node) {
	center = mean(c, x, axes)
	d := graph.Sub(x, spread(center, x, axes))
	variance := mean(c, graph.Mul(d, d), axes)
	inverse = reciprocal(graph.Sqrt(graph.Shift(variance, epsilon)))
	return graph.Mul(d, spread(inverse, x, axes)), center, inverse
}

func trailing(from, rank int) []int {
	var axes []int
	for i := from; i < rank; i++ {
		axes = append(axes, i)
	}
	return axes
}

// readLayerNormalization also returns the mean and the inverse deviation. It is
// of version 17, but ONNX Runtime writes it into files of earlier ones.
func readLayerNormalization(c *call) []*value {
	c.ignore("stash_type") // statistics are always at least float32
	x := c.float(0)
	axes := trailing(c.axis(c.integer("axis", -1), x.Rank()), x.Rank())
	y, center, inverse := c.normalised(x, axes, c.number("epsilon", 1e-5))
	y = graph.Mul(y, graph.Broadcast(c.x(1), x.Shape()))
	if c.has(2) {
		y = graph.Add(y, graph.Broadcast(c.x(2), x.Shape()))
	}
	return []*value{{node: y}, {node: graph.KeepDims(center, x, axes...)}, {node: graph.KeepDims(inverse, x, axes...)}}
}

func readInstanceNormalization(c *call) []*value {
	c.ignore("consumed_inputs")
	x := c.float(0)
	y, _, _ := c.normalised(x, c.spatialAxes(x), c.number("epsilon", 1e-5))
	return one(scaledAndShifted(y, c.x(1), c.x(2)))
}

// scaledAndShifted returns scale·y + bias with a scale and a bias for each element along axis 1. Exporters that
// write other normalisations as this one give ones and zeros, which are left out.
func scaledAndShifted(y, scale, bias *graph.Node) *graph.Node {
	if !only(scale, 1) {
		y = graph.Mul(y, graph.BroadcastAlong(scale, y.Shape(), 1))
	}
	if !only(bias, 0) {
		y = graph.Add(y, graph.BroadcastAlong(bias, y.Shape(), 1))
	}
	return y
}

// only reports whether n is a constant without a name, all of whose elements are v.
func only(n *graph.Node, v float64) bool {
	t := n.ConstantValue()
	return t != nil && n.Attr().(graph.ConstantAttr).Name == "" && !slices.ContainsFunc(t.Float64s(), func(e float64) bool { return e != v })
}

// readGroupNormalization reads scale and bias for each group before version
// 21, and for each channel since.
func readGroupNormalization(c *call) []*value {
	c.ignore("stash_type")
	x := c.float(0)
	groups := c.integer("num_groups", 0)
	c.spatialAxes(x)
	channels := c.size(x, 1)
	if groups < 1 || channels%groups != 0 {
		c.fail("%d channels in %d groups", channels, groups)
	}
	split := slices.Concat(graph.Shape{x.Shape()[0], graph.Const(groups), graph.Const(channels / groups)}, x.Shape()[2:])
	y, _, _ := c.normalised(graph.Reshape(x, split), trailing(2, len(split)), c.number("epsilon", 1e-5))
	scale, bias := c.x(1), c.x(2)
	if c.version < 21 {
		return one(graph.Reshape(scaledAndShifted(y, scale, bias), x.Shape()))
	}
	return one(scaledAndShifted(graph.Reshape(y, x.Shape()), scale, bias))
}

// rootMeanSquare returns x divided by the root of its mean square over axes.
func (c *call) rootMeanSquare(x *graph.Node, axes []int, epsilon float64) *graph.Node {
	square := mean(c, graph.Mul(x, x), axes)
	return graph.Div(x, spread(graph.Sqrt(graph.Shift(square, epsilon)), x, axes))
}

func readRMSNormalization(c *call) []*value {
	c.ignore("stash_type")
	x := c.float(0)
	axes := trailing(c.axis(c.integer("axis", -1), x.Rank()), x.Rank())
	y := c.rootMeanSquare(x, axes, c.number("epsilon", 1e-5))
	return one(graph.Mul(y, graph.Broadcast(graph.Cast(c.x(1), x.DType()), x.Shape())))
}

func readMeanVarianceNormalization(c *call) []*value {
	x := c.float(0)
	list, ok := c.integers("axes")
	if !ok {
		list = []int{0, 2, 3}
	}
	axes := c.axes(list, x.Rank())
	d := graph.Sub(x, spread(mean(c, x, axes), x, axes))
	deviation := graph.Sqrt(mean(c, graph.Mul(d, d), axes))
	return one(graph.Div(d, spread(graph.Shift(deviation, 1e-9), x, axes)))
}

func readLpNormalization(c *call) []*value {
	x := c.float(0)
	axes := []int{c.axis(c.integer("axis", -1), x.Rank())}
	p := c.integer("p", 2)
	if p != 1 && p != 2 {
		c.fail("norm %d, want 1 or 2", p)
	}
	norm := root(graph.ReduceSum(power(x, p), axes...), p)
	norm = spread(norm, x, axes)
	// 0 where the norm is 0, without dividing by it.
	zero := graph.Equal(norm, graph.Like(norm, 0))
	return one(graph.Div(x, graph.Where(zero, graph.Like(norm, 1), norm)))
}

// readLRN divides by (bias + α·m)^β with m the mean of squares over
// neighbouring channels.
func readLRN(c *call) []*value {
	x := c.float(0)
	if x.Rank() < 3 {
		c.fail("%v, want an operand [N C …] with spatial axes", x.Type())
	}
	size := c.integer("size", 0)
	if size < 1 || size > c.size(x, 1)*2+1 {
		c.fail("size %d for %d channels", size, c.size(x, 1))
	}
	pixels := c.volume(x.Shape()[2:])
	planes := graph.Reshape(x, graph.Shape{x.Shape()[0], graph.Const(1), x.Shape()[1], pixels})
	w := window{kernel: []int{size, 1}, strides: []int{1, 1}, dilations: []int{1, 1}, lo: []int{(size - 1) / 2, 0}, hi: []int{size / 2, 0}}
	mean := graph.Reshape(c.sumPool(graph.Mul(planes, planes), w, w.hi, size), x.Shape())
	base := graph.Shift(graph.Scale(mean, c.number("alpha", 1e-4)), c.number("bias", 1))
	return one(graph.Div(x, graph.Pow(base, graph.Like(base, c.number("beta", 0.75)))))
}
