package autodiff

import (
	"slices"

	g "ebm/models/graph"
)

// softmax returns z and its cotangent where n is the softmax y = eᶻ/Σ eᶻ over some axes
// and the exponentials are used for it alone:
//
//	z̄ = y·(ȳ − Σ ȳ·y)
//
// Going back through quotient, sum and exponential passes over as many values twice
// as often. A sum that is replaced where it is 0 counts as one: y is 0 there.
func (c curves) softmax(n, bar *g.Node) (z, cotangent *g.Node) {
	if n.Op() != g.OpDiv || n.Inputs()[0].Op() != g.OpExp {
		return nil, nil
	}
	e, sum := n.Inputs()[0], n.Inputs()[1]
	alone := func(n *g.Node, uses int) bool { return c.uses[n] == uses && !slices.Contains(c.variables, n) }
	for alone(sum, 1) && sum.Op() != g.OpReduceSum {
		switch in := sum.Inputs(); {
		case sum.Op() == g.OpBroadcast, sum.Op() == g.OpReshape:
			sum = in[0]
		case sum.Op() == g.OpWhere && !c.depends[in[1]]:
			sum = in[2]
		default:
			return nil, nil
		}
	}
	if !alone(sum, 1) || !alone(e, 2) || sum.Inputs()[0] != e {
		return nil, nil
	}
	axes := sum.Attr().(g.AxesAttr).Axes
	along := g.ReduceSum(g.Mul(bar, n), axes...)
	return e.Inputs()[0], g.Mul(n, g.Sub(bar, g.Broadcast(g.KeepDims(along, n, axes...), n.Shape())))
}
