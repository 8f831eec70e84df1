package autodiff

import (
	"fmt"
	"slices"

	g "ebm/models/graph"
)

// The adjoint of a loop is a loop in the other direction. For
//
//	sₖ₊₁, yₖ = body(sₖ, xₖ, c),   k = 0 … K−1
//
// it carries the cotangent of the state, and adds up that of c:
//
//	s̄ₖ, x̄ₖ, c̄ += (∂body/∂(s, x, c) at sₖ, xₖ, c)ᵀ · (s̄ₖ₊₁, ȳₖ)
//
// The states sₖ before each step are those that the loop stacks, or those of a
// second loop that does. The body's adjoint is made of the same operators, so
// that it is a loop with an adjoint of its own.

// project keeps the cotangent of one output of a Scan.
func project(loops map[*g.Node][]*g.Node, n, bar *g.Node) {
	scan := n.Inputs()[0]
	if loops[scan] == nil {
		loops[scan] = make([]*g.Node, len(scan.Types()))
	}
	i := n.Attr().(g.ProjectAttr).Index
	if old := loops[scan][i]; old != nil {
		bar = g.Add(old, bar)
	}
	loops[scan][i] = bar
}

// scanRule returns the cotangents of a Scan's operands from those of its
// outputs, of which nil ones are zero.
func scanRule(n *g.Node, bars []*g.Node, want []bool) []*g.Node {
	a := n.Attr().(g.ScanAttr)
	in := n.Inputs()
	shared := len(in) - a.Shared
	adjoint := &loopAdjoint{body: g.New(a.Body.Name() + "_adjoint")}

	// The operands of the body's adjoint, in the order of its inputs.
	var carried, stacks []*g.Node
	states := statesBefore(n)
	slots := make([]*g.Node, len(in)) // operand → the adjoint's input for its cotangent
	for i, x := range in {
		switch {
		case !x.DType().IsFloat() || i >= a.Carried && i < shared || i >= shared && !want[i]:
			continue
		case i < a.Carried && bars[i] != nil:
			carried = append(carried, bars[i])
		default:
			carried = append(carried, g.Like(x, 0))
		}
		slots[i] = adjoint.input(x.Type())
	}
	args := make([]*g.Node, len(in))
	for i := range shared {
		x := in[i]
		if i < a.Carried {
			x = states[i]
		}
		stacks = append(stacks, x)
		args[i] = adjoint.input(a.Body.Inputs()[i].Type())
	}
	cotangents := make([]*g.Node, len(bars))
	copy(cotangents, slots[:a.Carried])
	for j, bar := range bars {
		if j >= a.Carried && bar != nil {
			stacks = append(stacks, bar)
			cotangents[j] = adjoint.input(a.Body.Outputs()[j].Node.Type())
		}
	}
	known := make([]*g.Node, len(bars)) // what the loop has stacked, as inputs
	for j := a.Carried; j < len(bars); j++ {
		stacks = append(stacks, g.Apply(g.OpProject, g.ProjectAttr{Index: j}, n))
		known[j] = adjoint.input(a.Body.Outputs()[j].Node.Type())
	}
	for i := shared; i < len(in); i++ {
		args[i] = adjoint.input(in[i].Type())
	}

	// One step.
	results := g.Call(a.Body, args...)
	var ys, seeds, xs []*g.Node
	for j, c := range cotangents {
		if c != nil {
			ys, seeds = append(ys, results[j]), append(seeds, c)
		}
	}
	var places []int // of the operands whose cotangents a step gives
	for i, x := range in {
		if x.DType().IsFloat() && (i < a.Carried || want[i]) {
			places, xs = append(places, i), append(xs, args[i])
		}
	}
	slopes := Gradients(ys, seeds, xs)
	for k, i := range places {
		switch {
		case i < a.Carried:
			adjoint.output(slopes[k])
		case i >= shared:
			adjoint.output(g.Add(slots[i], slopes[k]))
		}
	}
	for k, i := range places {
		if i >= a.Carried && i < shared {
			adjoint.output(slopes[k])
		}
	}
	out := splitScan(substitute(adjoint.body, results, known), carried, stacks, in[shared:], !a.Reverse)

	// Carried cotangents come first, in the order of their operands.
	slices.SortStableFunc(places, func(i, j int) int {
		stacked := func(i int) int {
			if i >= a.Carried && i < shared {
				return 1
			}
			return 0
		}
		return stacked(i) - stacked(j)
	})
	grads := make([]*g.Node, len(in))
	for k, i := range places {
		grads[i] = out[k]
	}
	return grads
}

// substitute returns a graph without nodes whose values are known, as inputs of it.
func substitute(body *g.Graph, nodes, known []*g.Node) *g.Graph {
	places := make(map[*g.Node]int) // of a node → its input's
	for i, n := range known {
		if n != nil {
			places[nodes[i]] = slices.Index(body.Inputs(), n)
		}
	}
	return g.Rewrite(body, func(r *g.Rewriter, old *g.Node, in []*g.Node) *g.Node {
		if i, ok := places[old]; ok {
			return r.Graph.Inputs()[i]
		}
		return r.Keep(old, in)
	})
}

// loopAdjoint is a body under construction, whose inputs and outputs are
// numbered.
type loopAdjoint struct{ body *g.Graph }

func (l *loopAdjoint) input(t g.Type) *g.Node {
	return l.body.Input(fmt.Sprint("in", len(l.body.Inputs())), t.DType, t.Shape)
}

func (l *loopAdjoint) output(n *g.Node) { l.body.Output(fmt.Sprint("out", len(l.body.Outputs())), n) }

// statesBefore returns the carried states before each step as stacks [K …].
func statesBefore(n *g.Node) []*g.Node {
	a := n.Attr().(g.ScanAttr)
	in, out := n.Inputs(), a.Body.Outputs()
	k, one := in[a.Carried].Shape()[0], g.Const(1)
	states := make([]*g.Node, a.Carried)
	missing := false
	for i := range states {
		stacked := slices.IndexFunc(out[a.Carried:], func(o g.Output) bool { return o.Node == out[i].Node })
		if stacked < 0 {
			missing = true
			continue
		}
		// Those after each step, but for the last one, behind the first.
		after := g.Apply(g.OpProject, g.ProjectAttr{Index: a.Carried + stacked}, n)
		first := g.ExpandDims(in[i], 0)
		if a.Reverse {
			states[i] = g.Concat(0, g.Slice(after, 0, one, k, 1), first)
		} else {
			states[i] = g.Concat(0, first, g.Slice(after, 0, g.Const(0), k.Sub(one), 1))
		}
	}
	if !missing {
		return states
	}
	again := &loopAdjoint{body: g.New(a.Body.Name() + "_states")}
	var args []*g.Node
	for _, x := range a.Body.Inputs() {
		args = append(args, again.input(x.Type()))
	}
	for _, next := range g.Call(a.Body, args...)[:a.Carried] {
		again.output(next)
	}
	for _, before := range args[:a.Carried] {
		again.output(before)
	}
	shared := len(in) - a.Shared
	results := g.ScanShared(again.body, in[:a.Carried], in[a.Carried:shared], in[shared:], a.Reverse)
	for i := range states {
		if states[i] == nil {
			states[i] = results[a.Carried+i]
		}
	}
	return states
}
