package autodiff

import (
	"fmt"

	"ebm/models/graph"
)

// backward is a pass back through a graph: the cotangents that nodes have so far.
type backward struct {
	sum   map[*graph.Node]*graph.Node
	taken map[*graph.Node][]taken // that are not in sum yet
}

// taken is the cotangent of a slice along one axis.
type taken struct{ slice, bar *graph.Node }

func (b *backward) accumulate(n, g *graph.Node) {
	if !g.Type().Equal(n.Type()) {
		panic(fmt.Sprintf("autodiff: cotangent %v for %v", g.Type(), n))
	}
	if old := b.sum[n]; old != nil {
		g = graph.Add(old, g)
	}
	b.sum[n] = g
}

// take keeps the cotangent of a slice until those of all others of its operand
// are known. It reports false for slices that cannot lie side by side.
func (b *backward) take(n, bar *graph.Node) bool {
	a := n.Attr().(graph.SliceAttr)
	if len(a.Axes) != 1 || a.Steps[0] != 1 || n.Shape()[a.Axes[0]] == (graph.Dim{}) {
		return false
	}
	x := n.Inputs()[0]
	b.taken[x] = append(b.taken[x], taken{n, bar})
	return true
}

// cotangent returns that of a node all of whose uses have been passed, nil for zero.
func (b *backward) cotangent(n *graph.Node) *graph.Node {
	slices := b.taken[n]
	delete(b.taken, n)
	if whole := sideBySide(n, slices); whole != nil {
		b.accumulate(n, whole)
		return b.sum[n]
	}
	for _, t := range slices {
		if bar := sliceRule(t.slice, t.bar, nil)[0]; bar != nil {
			b.accumulate(n, bar)
		}
	}
	return b.sum[n]
}

// sideBySide returns the cotangents of slices that make up all of x one after
// the other along an axis, joined; nil where they do not. A sum of
// each of them among zeros would go over all of x for every slice: recurrent
// networks and attention cut what one product made into three or four.
func sideBySide(x *graph.Node, slices []taken) *graph.Node {
	if len(slices) < 2 {
		return nil
	}
	attr := func(t taken) graph.SliceAttr { return t.slice.Attr().(graph.SliceAttr) }
	axis := attr(slices[0]).Axes[0]
	starts := make(map[graph.Dim]taken)
	for _, t := range slices {
		a := attr(t)
		if _, twice := starts[a.Starts[0]]; twice || a.Axes[0] != axis {
			return nil
		}
		starts[a.Starts[0]] = t
	}
	var bars []*graph.Node
	for at := (graph.Dim{}); at != x.Shape()[axis]; {
		t, ok := starts[at]
		if !ok {
			return nil
		}
		delete(starts, at)
		bars = append(bars, t.bar)
		at = at.Add(t.slice.Shape()[axis])
	}
	if len(starts) > 0 {
		return nil
	}
	return graph.Concat(axis, bars...)
}
