package graph

import (
	"fmt"
	"strings"
)

// String prints the graph, a line for each node:
//
//	graph energy
//	%0 = Input x : float32[N 2]
//	%1 = Mul(%0, %0) : float32[N 2]
//	return energy=%1
func (g *Graph) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "graph %s\n", g.name)
	for _, n := range g.nodes {
		fmt.Fprintf(&b, "%s\n", n)
	}
	b.WriteString("return")
	for i, out := range g.outputs {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %s=%%%d", out.Name, out.Node.id)
	}
	b.WriteByte('\n')
	return b.String()
}

// String prints the node as its line in the graph.
func (n *Node) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%%%d = %v", n.id, n.op)
	if len(n.inputs) > 0 {
		b.WriteByte('(')
		for i, in := range n.inputs {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%%%d", in.id)
		}
		b.WriteByte(')')
	}
	if n.attr != nil {
		fmt.Fprintf(&b, " %s", n.attr)
	}
	b.WriteString(" :")
	for _, t := range n.outputs {
		fmt.Fprintf(&b, " %s", t)
	}
	return b.String()
}

// Verify checks what every graph promises: nodes in topological order, each
// owned by the graph and of the type that its operator infers, and outputs
// that are nodes of the graph.
func (g *Graph) Verify() error {
	return Catch(func() {
		for i, n := range g.nodes {
			if n.graph != g || n.id != i {
				fail(n.op, n.attr, n.inputs, "node %d is at position %d of graph %q", n.id, i, g.name)
			}
			for _, in := range n.inputs {
				if in.graph != g || in.id >= i {
					fail(n.op, n.attr, n.inputs, "operand %%%d does not come before node %%%d", in.id, i)
				}
			}
			if n.op == OpInput || n.op == OpConstant {
				continue
			}
			for j, t := range ops[n.op].infer(n.op, n.inputs, n.attr) {
				if !t.Equal(n.outputs[j]) {
					fail(n.op, n.attr, n.inputs, "type %v is inferred, not %v", t, n.outputs[j])
				}
			}
			if a, ok := n.attr.(ScanAttr); ok {
				if err := a.Body.Verify(); err != nil {
					panic(err)
				}
			}
		}
		for _, out := range g.outputs {
			g.own(out.Node.op, out.Node)
		}
	})
}
