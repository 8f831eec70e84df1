package autodiff

import (
	g "ebm/models/graph"
)

// The three convolutions are one trilinear form ⟨y, Conv(x, w)⟩ with one of
// its arguments left open, so each one's cotangents are the other two.

// y = Conv(x, w):  x̄ = ConvInputGrad(ȳ, w),  w̄ = ConvFilterGrad(x, ȳ).
func convRule(n, bar *g.Node, want []bool) []*g.Node {
	x, w, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(g.ConvAttr)
	grads := make([]*g.Node, 2)
	if want[0] {
		grads[0] = g.ConvInputGrad(bar, w, a, x.Shape()[2:])
	}
	if want[1] {
		grads[1] = g.ConvFilterGrad(x, bar, a, w.Shape()[2:])
	}
	return grads
}

// x = ConvInputGrad(y, w):  ȳ = Conv(x̄, w),  w̄ = ConvFilterGrad(x̄, y).
func convInputGradRule(n, bar *g.Node, want []bool) []*g.Node {
	y, w, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(g.ConvAttr)
	grads := make([]*g.Node, 2)
	if want[0] {
		grads[0] = g.Conv(bar, w, a)
	}
	if want[1] {
		grads[1] = g.ConvFilterGrad(bar, y, a, w.Shape()[2:])
	}
	return grads
}

// w = ConvFilterGrad(x, y):  x̄ = ConvInputGrad(y, w̄),  ȳ = Conv(x, w̄).
func convFilterGradRule(n, bar *g.Node, want []bool) []*g.Node {
	x, y, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(g.ConvAttr)
	grads := make([]*g.Node, 2)
	if want[0] {
		grads[0] = g.ConvInputGrad(y, bar, a, x.Shape()[2:])
	}
	if want[1] {
		grads[1] = g.Conv(x, bar, a)
	}
	return grads
}

func meanPoolRule(n, bar *g.Node, _ []bool) []*g.Node {
	return []*g.Node{g.MeanPoolGrad(bar, n.Attr().(g.PoolAttr), n.Inputs()[0].Shape()[2:])}
}

func meanPoolGradRule(n, bar *g.Node, _ []bool) []*g.Node {
	return []*g.Node{g.MeanPool(bar, n.Attr().(g.PoolAttr))}
}

// The place of a maximum is constant almost everywhere, so the max-pooling
// family passes nothing back to the operand that only chooses places.

func maxPoolRule(n, bar *g.Node, _ []bool) []*g.Node {
	return []*g.Node{g.MaxPoolGrad(n.Inputs()[0], bar, n.Attr().(g.PoolAttr))}
}

func maxPoolGradRule(n, bar *g.Node, _ []bool) []*g.Node {
	return []*g.Node{nil, g.MaxPoolTake(n.Inputs()[0], bar, n.Attr().(g.PoolAttr))}
}

func maxPoolTakeRule(n, bar *g.Node, _ []bool) []*g.Node {
	return []*g.Node{nil, g.MaxPoolGrad(n.Inputs()[0], bar, n.Attr().(g.PoolAttr))}
}
