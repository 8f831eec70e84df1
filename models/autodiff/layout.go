package autodiff

import (
	g "ebm/models/graph"
)

func reshapeRule(n, bar *g.Node, _ []bool) []*g.Node {
	return []*g.Node{g.Reshape(bar, n.Inputs()[0].Shape())}
}

func transposeRule(n, bar *g.Node, _ []bool) []*g.Node {
	perm := n.Attr().(g.AxesAttr).Axes
	inverse := make([]int, len(perm))
	for i, p := range perm {
		inverse[p] = i
	}
	return []*g.Node{g.Transpose(bar, inverse...)}
}

// broadcastRule sums over the repeated axes. It is the only place where
// broadcasting is undone.
func broadcastRule(n, bar *g.Node, _ []bool) []*g.Node {
	from, to := n.Inputs()[0].Shape(), n.Shape()
	lead := len(to) - len(from)
	var repeated []int
	for i, d := range to {
		if i < lead || from[i-lead] != d {
			repeated = append(repeated, i)
		}
	}
	if len(repeated) > 0 {
		bar = g.ReduceSum(bar, repeated...)
	}
	return []*g.Node{g.Reshape(bar, from)}
}

// sliceRule puts the cotangent back where the slice was taken from.
func sliceRule(n, bar *g.Node, _ []bool) []*g.Node {
	x, a := n.Inputs()[0], n.Attr().(g.SliceAttr)
	if n.Shape().Volume() == (g.Dim{}) {
		return []*g.Node{nil}
	}
	lo, hi, between := make(g.Shape, x.Rank()), make(g.Shape, x.Rank()), make([]int, x.Rank())
	for i, axis := range a.Axes {
		lo[axis] = a.Starts[i]
		between[axis] = a.Steps[i] - 1
		hi[axis] = x.Shape()[axis].Sub(a.Starts[i]).Sub(spread(n.Shape()[axis], a.Steps[i]))
	}
	return []*g.Node{g.Pad(bar, lo, hi, between)}
}

// padRule takes the operand's places out of the padded cotangent.
func padRule(n, bar *g.Node, _ []bool) []*g.Node {
	x, a := n.Inputs()[0], n.Attr().(g.PadAttr)
	var s g.SliceAttr
	for axis := range a.Lo {
		if a.Lo[axis] == (g.Dim{}) && a.Hi[axis] == (g.Dim{}) && a.Between[axis] == 0 {
			continue
		}
		step := a.Between[axis] + 1
		s.Axes = append(s.Axes, axis)
		s.Starts = append(s.Starts, a.Lo[axis])
		s.Limits = append(s.Limits, a.Lo[axis].Add(spread(x.Shape()[axis], step)))
		s.Steps = append(s.Steps, step)
	}
	return []*g.Node{g.SliceAxes(bar, s)}
}

// spread returns how far count elements reach that are step apart.
func spread(count g.Dim, step int) g.Dim {
	return count.Sub(g.Const(1)).Mul(g.Const(step)).Add(g.Const(1))
}

func concatRule(n, bar *g.Node, want []bool) []*g.Node {
	axis := n.Attr().(g.AxesAttr).Axes[0]
	grads := make([]*g.Node, len(n.Inputs()))
	start := g.Dim{}
	for i, x := range n.Inputs() {
		end := start.Add(x.Shape()[axis])
		if want[i] {
			grads[i] = g.Slice(bar, axis, start, end, 1)
		}
		start = end
	}
	return grads
}

func gatherRule(n, bar *g.Node, _ []bool) []*g.Node {
	x, indices, axis := n.Inputs()[0], n.Inputs()[1], n.Attr().(g.GatherAttr).Axis
	return []*g.Node{g.GatherGrad(bar, indices, axis, x.Shape()[axis]), nil}
}

func gatherGradRule(n, bar *g.Node, _ []bool) []*g.Node {
	return []*g.Node{g.Gather(bar, n.Inputs()[1], n.Attr().(g.GatherAttr).Axis), nil}
}

func reduceSumRule(n, bar *g.Node, _ []bool) []*g.Node {
	x, axes := n.Inputs()[0], n.Attr().(g.AxesAttr).Axes
	return []*g.Node{g.Broadcast(g.KeepDims(bar, x, axes...), x.Shape())}
}

// reduceMaxRule shares the cotangent evenly between equal maxima.
func reduceMaxRule(n, bar *g.Node, _ []bool) []*g.Node {
	x, axes := n.Inputs()[0], n.Attr().(g.AxesAttr).Axes
	spread := func(r *g.Node) *g.Node { return g.Broadcast(g.KeepDims(r, x, axes...), x.Shape()) }
	top := mask(g.Equal(x, spread(n)), x)
	count := g.ReduceSum(top, axes...)
	return []*g.Node{g.Mul(top, spread(g.Div(bar, count)))}
}

func matMulRule(n, bar *g.Node, want []bool) []*g.Node {
	a, b := n.Inputs()[0], n.Inputs()[1]
	grads := make([]*g.Node, 2)
	if want[0] {
		grads[0] = g.MatMul(bar, g.SwapLast(b))
	}
	if want[1] {
		grads[1] = g.MatMul(g.SwapLast(a), bar)
	}
	return grads
}
