package export

import (
	"fmt"
	"slices"

	"ebm/models/graph"
)

// hoist computes what is the same at every step of a Scan once, in front of
// it: what a body makes of operands that its steps share, such as a transposed
// weight. Broadcasts stay, since ONNX makes most of them by itself.
func hoist(g *graph.Graph) *graph.Graph {
	return graph.Rewrite(g, func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node {
		a, ok := old.Attr().(graph.ScanAttr)
		if !ok {
			return r.Keep(old, in)
		}
		a.Body = hoist(a.Body)
		if a.Shared == 0 {
			return graph.Apply(graph.OpScan, a, in...)
		}
		h := &hoisting{outer: make(map[*graph.Node]*graph.Node)}
		inputs := a.Body.Inputs()
		for i := len(in) - a.Shared; i < len(in); i++ {
			h.outer[inputs[i]] = in[i]
		}
		body := h.apply(r.Graph, a.Body)
		if len(h.added) == 0 {
			return graph.Apply(graph.OpScan, a, in...)
		}
		a.Body, a.Shared = body, a.Shared+len(h.added)
		return graph.Apply(graph.OpScan, a, slices.Concat(in, h.added)...)
	})
}

// hoisting moves nodes of one body.
type hoisting struct {
	outer map[*graph.Node]*graph.Node // a body's node that never changes → the same outside
	added []*graph.Node               // new operands that steps share
}

// apply returns the body with nodes that never change, and that others need,
// as inputs.
func (h *hoisting) apply(outside, body *graph.Graph) *graph.Graph {
	fixed := make(map[*graph.Node]bool)
	for n := range h.outer {
		fixed[n] = true
	}
	needed := make(map[*graph.Node]bool) // by a node that does change
	for _, n := range body.Nodes() {
		constant := n.Op() == graph.OpConstant
		ofShared := slices.ContainsFunc(n.Inputs(), func(x *graph.Node) bool { return fixed[x] })
		movable := len(n.Types()) == 1 && n.Op() != graph.OpBroadcast && n.Op() != graph.OpProject
		if !constant && ofShared && movable && !slices.ContainsFunc(n.Inputs(), func(x *graph.Node) bool { return !fixed[x] }) {
			fixed[n] = true
			continue
		}
		for _, x := range n.Inputs() {
			needed[x] = true
		}
	}
	for _, out := range body.Outputs() {
		needed[out.Node] = true
	}
	return graph.Rewrite(body, func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node {
		if !fixed[old] || !needed[old] {
			return r.Keep(old, in)
		}
		h.added = append(h.added, h.outside(old))
		return r.Graph.Input(fmt.Sprint("hoisted", len(h.added)), old.DType(), old.Shape())
	})
}

// outside returns a node that never changes, computed in front of the loop.
func (h *hoisting) outside(n *graph.Node) *graph.Node {
	if h.outer[n] == nil {
		operands := make([]*graph.Node, len(n.Inputs()))
		for i, x := range n.Inputs() {
			operands[i] = h.outside(x)
		}
		h.outer[n] = graph.Apply(n.Op(), n.Attr(), operands...)
	}
	return h.outer[n]
}
