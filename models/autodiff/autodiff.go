package autodiff

import (
	"fmt"
	"slices"

	"ebm/models/graph"
)

// Gradient returns the derivatives of Σ y with respect to each of xs, in the
// shapes of xs. For y = E(x) [N], one energy for each picture, that is ∇E for
// every picture at once. It adds nodes to the graph of y; a derivative that
// is zero everywhere is a constant.
func Gradient(y *graph.Node, xs ...*graph.Node) []*graph.Node {
	return VJP(y, graph.Like(y, 1), xs...)
}

// VJP returns the products (∂y/∂x)ᵀ·cotangent for each of xs, in the shapes
// of xs. The cotangent has the type and shape of y.
func VJP(y, cotangent *graph.Node, xs ...*graph.Node) []*graph.Node {
	return Gradients([]*graph.Node{y}, []*graph.Node{cotangent}, xs)
}

// Gradients returns Σ (∂y/∂x)ᵀ·cotangent over ys for each of xs, which is the
// vector-Jacobian product of a function with several results: one pass back
// from all of them. The cotangents have the types and shapes of ys.
func Gradients(ys, cotangents, xs []*graph.Node) []*graph.Node {
	return gradients(ys, cotangents, xs, false)
}

func gradients(ys, cotangents, xs []*graph.Node, bySlopes bool) []*graph.Node {
	checkOperands(ys, cotangents, xs)
	last := ys[0]
	for _, y := range ys {
		if y.ID() > last.ID() {
			last = y
		}
	}
	depends := dependents(last, xs)
	var functions curves
	if bySlopes {
		functions = newCurves(last, depends, xs)
	}
	back := backward{sum: make(map[*graph.Node]*graph.Node), taken: make(map[*graph.Node][]taken)}
	for i, y := range ys {
		back.accumulate(y, cotangents[i])
	}

	loops := make(map[*graph.Node][]*graph.Node) // Scan → the cotangents of its outputs
	nodes := last.Graph().Nodes()
	for id := last.ID(); id >= 0; id-- {
		n := nodes[id]
		bar := back.cotangent(n)
		if n.Op() == graph.OpProject && bar != nil && depends[n] && !slices.Contains(xs, n) {
			project(loops, n, bar)
			continue
		}
		if bar == nil && loops[n] == nil || !depends[n] || len(n.Inputs()) == 0 {
			continue
		}
		want := make([]bool, len(n.Inputs()))
		for i, in := range n.Inputs() {
			want[i] = depends[in]
		}
		if !slices.Contains(want, true) {
			continue // n is one of xs
		}
		if n.Op() == graph.OpSlice && back.take(n, bar) {
			continue
		}
		if origin, slope := functions.slope(n); origin != nil {
			back.accumulate(origin, slope.of(bar))
			continue
		}
		if z, d := functions.softmax(n, bar); z != nil {
			back.accumulate(z, d)
			continue
		}
		cotangents := func() []*graph.Node {
			if n.Op() == graph.OpScan {
				return scanRule(n, loops[n], want)
			}
			return apply(n, bar, want)
		}
		for i, g := range cotangents() {
			if in := n.Inputs()[i]; g != nil && want[i] {
				back.accumulate(in, g)
			}
		}
	}

	grads := make([]*graph.Node, len(xs))
	for i, x := range xs {
		if grads[i] = back.cotangent(x); grads[i] == nil {
			grads[i] = graph.Like(x, 0)
		}
	}
	return grads
}

func checkOperands(ys, cotangents, xs []*graph.Node) {
	for i, y := range ys {
		if c := cotangents[i]; !y.Type().Equal(c.Type()) {
			panic(&graph.Error{Op: y.Op(), Operands: []string{c.Type().String()}, Want: fmt.Sprintf("want a cotangent of type %v", y.Type())})
		}
		for _, x := range xs {
			if x.Graph() != y.Graph() {
				panic(&graph.Error{
					Op: y.Op(), Operands: []string{y.Type().String(), x.Type().String()},
					Want: fmt.Sprintf("want variables of one graph, this one is of graph %q, not %q", x.Graph().Name(), y.Graph().Name()),
				})
			}
		}
	}
}

// HessianVector returns ∇²(Σ y)·v, the product of the Hessian with respect
// to x and a vector of x's shape, as the derivative of ∇(Σ y)·v.
func HessianVector(y, x, v *graph.Node) *graph.Node {
	slope := Gradient(y, x)[0]
	return VJP(slope, v, x)[0]
}

// dependents finds the nodes up to y that depend on one of xs through
// floating-point values.
func dependents(y *graph.Node, xs []*graph.Node) map[*graph.Node]bool {
	depends := make(map[*graph.Node]bool)
	for _, x := range xs {
		depends[x] = true
	}
	for _, n := range y.Graph().Nodes()[:y.ID()+1] {
		if n.Op() == graph.OpStopGradient || !slices.ContainsFunc(n.Types(), func(t graph.Type) bool { return t.DType.IsFloat() }) {
			continue
		}
		for _, in := range n.Inputs() {
			if depends[in] {
				depends[n] = true
			}
		}
	}
	return depends
}

func apply(n, bar *graph.Node, want []bool) []*graph.Node {
	r, ok := rules[n.Op()]
	if !ok || r == nil {
		panic(&graph.Error{Op: n.Op(), Operands: []string{n.Type().String()}, Want: "the operator has no derivative"})
	}
	return r(n, bar, want)
}
