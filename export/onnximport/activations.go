package onnximport

import (
	"math"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// where returns a where x > threshold, and b elsewhere.
func above(x *graph.Node, threshold float64, a, b *graph.Node) *graph.Node {
	return graph.Where(graph.Less(graph.Like(x, threshold), x), a, b)
}

func clamp(x *graph.Node, low, high float64) *graph.Node {
	return graph.Minimum(graph.Maximum(x, graph.Like(x, low)), graph.Like(x, high))
}

// activation reads an operator on one floating-point operand that has
// attributes.
func activation(f func(c *call, x *graph.Node) *graph.Node) reader {
	return func(c *call) []*value {
		c.ignore("consumed_inputs")
		return one(f(c, c.float(0)))
	}
}

func leakyRelu(c *call, x *graph.Node) *graph.Node {
	return above(x, 0, x, graph.Scale(x, c.number("alpha", 0.01)))
}

// scaledElu is x for x > 0 and α·(e^(x/β) − 1) elsewhere.
func scaledElu(x *graph.Node, alpha, beta float64) *graph.Node {
	if alpha == 1 && beta == 1 {
		return graph.Elu(x)
	}
	return above(x, 0, x, graph.Scale(graph.Elu(graph.Scale(x, 1/beta)), alpha))
}

func elu(c *call, x *graph.Node) *graph.Node { return scaledElu(x, c.number("alpha", 1), 1) }

func celu(c *call, x *graph.Node) *graph.Node {
	a := c.number("alpha", 1)
	return scaledElu(x, a, a)
}

func selu(c *call, x *graph.Node) *graph.Node {
	alpha, gamma := 1.67326319217681884765625, 1.05070102214813232421875
	if c.version < 6 {
		alpha, gamma = 1.6732, 1.0507
	}
	return graph.Scale(scaledElu(x, c.number("alpha", alpha), 1), c.number("gamma", gamma))
}

func thresholdedRelu(c *call, x *graph.Node) *graph.Node {
	return above(x, c.number("alpha", 1), x, graph.Like(x, 0))
}

func hardSigmoid(c *call, x *graph.Node) *graph.Node {
	return clamp(graph.Shift(graph.Scale(x, c.number("alpha", 0.2)), c.number("beta", 0.5)), 0, 1)
}

func hardSwish(_ *call, x *graph.Node) *graph.Node {
	return graph.Mul(x, clamp(graph.Shift(graph.Scale(x, 1./6), 0.5), 0, 1))
}

func mish(_ *call, x *graph.Node) *graph.Node { return graph.Mul(x, graph.Tanh(graph.Softplus(x))) }

func swish(c *call, x *graph.Node) *graph.Node {
	return graph.Mul(x, graph.Sigmoid(graph.Scale(x, c.number("alpha", 1))))
}

func softsign(_ *call, x *graph.Node) *graph.Node {
	return graph.Div(x, graph.Shift(graph.Abs(x), 1))
}

// shrink moves x towards 0 by bias where |x| > lambd, and is 0 elsewhere.
func shrink(c *call, x *graph.Node) *graph.Node {
	bias, lambda := c.number("bias", 0), c.number("lambd", 0.5)
	zero := graph.Like(x, 0)
	low := graph.Where(graph.Less(x, graph.Like(x, -lambda)), graph.Shift(x, bias), zero)
	return above(x, lambda, graph.Shift(x, -bias), low)
}

func readPRelu(c *call) []*value {
	c.ignore("consumed_inputs")
	x, slope := c.float(0), c.x(1)
	if c.version < 7 && slope.Rank() == 1 && x.Rank() > 1 { // one slope for each channel
		slope = graph.BroadcastAlong(slope, x.Shape(), 1)
		if slope.Shape()[1] != x.Shape()[1] {
			c.fail("slopes %v for %v", slope.Type(), x.Type())
		}
	}
	return one(above(x, 0, x, graph.Mul(graph.Broadcast(slope, x.Shape()), x)))
}

// softmaxAxes returns the axes that a softmax runs over: since version 13 one,
// by default the last; before, all from one on, by default the second.
func (c *call) softmaxAxes(x *graph.Node) []int {
	if x.Rank() == 0 {
		return nil
	}
	if c.version >= 13 {
		return []int{c.axis(c.integer("axis", -1), x.Rank())}
	}
	a := c.integer("axis", 1)
	if a != x.Rank() { // which leaves nothing to sum over
		a = c.axis(a, x.Rank())
	}
	var axes []int
	for ; a < x.Rank(); a++ {
		axes = append(axes, a)
	}
	return axes
}

// spread repeats a reduction r of x over axes to the shape of x.
func spread(r, x *graph.Node, axes []int) *graph.Node {
	if len(axes) == 0 {
		return r
	}
	return graph.Broadcast(graph.KeepDims(r, x, axes...), x.Shape())
}

func sumOver(x *graph.Node, axes []int) *graph.Node {
	if len(axes) == 0 {
		return x
	}
	return graph.ReduceSum(x, axes...)
}

func maxOver(x *graph.Node, axes []int) *graph.Node {
	if len(axes) == 0 {
		return x
	}
	return graph.ReduceMax(x, axes...)
}

// shifted returns x minus its maximum over axes. The result of a softmax does
// not depend on what is subtracted, which is held constant.
func shifted(x *graph.Node, axes []int) *graph.Node {
	return graph.Sub(x, spread(graph.StopGradient(maxOver(x, axes)), x, axes))
}

func softmaxOver(x *graph.Node, axes []int) *graph.Node {
	e := graph.Exp(shifted(x, axes))
	return graph.Div(e, spread(sumOver(e, axes), x, axes))
}

func logSoftmaxOver(x *graph.Node, axes []int) *graph.Node {
	s := shifted(x, axes)
	return graph.Sub(s, spread(graph.Log(sumOver(graph.Exp(s), axes)), x, axes))
}

func readSoftmax(c *call) []*value {
	x := c.float(0)
	axes := c.softmaxAxes(x)
	return one(softmaxOver(c.masked(x, axes), axes))
}

// masked returns x, of which a softmax over axes is taken, as a sum where it is −∞ at
// places that are known and elsewhere another value: a sum costs less than a choice,
// and its derivative nothing. What a softmax gives back at −∞ is 0, unless all of a row is.
func (c *call) masked(x *graph.Node, axes []int) *graph.Node {
	if x.Op() != graph.OpWhere {
		return x
	}
	cond := x.Inputs()[0]
	for cond.Op() == graph.OpBroadcast {
		cond = cond.Inputs()[0]
	}
	for i, value := range x.Inputs()[1:] {
		if v, ok := c.repeats(value); !ok || !math.IsInf(v, -1) {
			continue
		}
		hidden := c.folder.value(cond)
		if hidden == nil || cond.Rank() == 0 || !slices.Equal(axes, []int{x.Rank() - 1}) || x.DType() != tensor.Float32 {
			return x
		}
		mask := tensor.New(tensor.Float32, hidden.Shape()...)
		row, left := hidden.Shape()[cond.Rank()-1], 0
		for k, is := range tensor.Data[bool](hidden) {
			if k%row == 0 {
				left = row
			}
			if is == (i == 0) {
				tensor.Data[float32](mask)[k] = float32(math.Inf(-1))
				left--
			}
			if left == 0 {
				return x
			}
		}
		return graph.Add(x.Inputs()[2-i], graph.Broadcast(x.Graph().Constant(mask), x.Shape()))
	}
	return x
}

func readLogSoftmax(c *call) []*value {
	x := c.float(0)
	return one(logSoftmaxOver(x, c.softmaxAxes(x)))
}
