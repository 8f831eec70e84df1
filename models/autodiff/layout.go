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
	if volume, _ := n.Shape().Volume().Factors(); volume == 0 {
		return []*g.Node{nil}
	}
	lo, hi, between := make([]int, x.Rank()), make([]int, x.Rank()), make([]int, x.Rank())
	for i, axis := range a.Axes {
		size, _ := x.Shape()[axis].Constant()
		count, _ := n.Shape()[axis].Constant()
		lo[axis] = a.Starts[i]
		between[axis] = a.Steps[i] - 1
		hi[axis] = size - (a.Starts[i] + (count-1)*a.Steps[i] + 1)
	}
	return []*g.Node{g.Pad(bar, lo, hi, between)}
}

// padRule takes the operand's places out of the padded cotangent.
func padRule(n, bar *g.Node, _ []bool) []*g.Node {
	x, a := n.Inputs()[0], n.Attr().(g.PadAttr)
	var s g.SliceAttr
	for axis := range a.Lo {
		if a.Lo[axis] == 0 && a.Hi[axis] == 0 && a.Between[axis] == 0 {
			continue
		}
		size, _ := x.Shape()[axis].Constant()
		step := a.Between[axis] + 1
		s.Axes = append(s.Axes, axis)
		s.Starts = append(s.Starts, a.Lo[axis])
		s.Limits = append(s.Limits, a.Lo[axis]+(size-1)*step+1)
		s.Steps = append(s.Steps, step)
	}
	return []*g.Node{g.SliceAxes(bar, s)}
}

func concatRule(n, bar *g.Node, want []bool) []*g.Node {
	axis := n.Attr().(g.AxesAttr).Axes[0]
	grads := make([]*g.Node, len(n.Inputs()))
	start := 0
	for i, x := range n.Inputs() {
		size, _ := x.Shape()[axis].Constant()
		if want[i] {
			grads[i] = g.Slice(bar, axis, start, start+size, 1)
		}
		start += size
	}
	return grads
}

func gatherRule(n, bar *g.Node, _ []bool) []*g.Node {
	x, indices, axis := n.Inputs()[0], n.Inputs()[1], n.Attr().(g.GatherAttr).Axis
	size, _ := x.Shape()[axis].Constant()
	return []*g.Node{g.GatherGrad(bar, indices, axis, size), nil}
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
