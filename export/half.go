package export

import (
	"ebm/models/graph"
	"ebm/models/tensor"
)

// HalfPrecision is a pass, to be run after those of Passes, that moves what
// lies between convolutions to float16: feature maps, and the weights that act
// on them, which are then stored in two bytes each. Inputs and outputs, the
// first convolution and its adjoint, whose precision is that of x and of
// the score, the energy's head with its long sums, and everything that
// follows the last convolution, such as a Langevin update, stay in float32.
func HalfPrecision() Pass { return Pass{"half precision", halfPrecision} }

func halfPrecision(g *graph.Graph) *graph.Graph {
	half := halfNodes(g)
	converted := make(map[convertedKey]*graph.Node)
	as := func(r *graph.Rewriter, n *graph.Node, dtype tensor.DType) *graph.Node {
		if !n.DType().IsFloat() || n.DType() == dtype || n.DType() == tensor.Float64 {
			return n
		}
		key := convertedKey{n, dtype}
		if converted[key] == nil {
			if v := n.ConstantValue(); v != nil && dtype == tensor.Float16 {
				converted[key] = r.Graph.Weight(n.Attr().(graph.ConstantAttr).Name, v.AsFloat16())
			} else {
				converted[key] = graph.Cast(n, dtype)
			}
		}
		return converted[key]
	}
	out := rewrite(g, halfPrecision, func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node {
		dtype := tensor.Float32
		if half[old] {
			dtype = tensor.Float16
		}
		operands := make([]*graph.Node, len(in))
		for i, x := range in {
			operands[i] = as(r, x, dtype)
		}
		n := r.Keep(old, operands)
		if isOutput(g, old) {
			n = as(r, n, old.DType())
		}
		return n
	})
	return dropDead(out)
}

type convertedKey struct {
	node  *graph.Node
	dtype tensor.DType
}

func isOutput(g *graph.Graph, n *graph.Node) bool {
	for _, out := range g.Outputs() {
		if out.Node == n {
			return true
		}
	}
	return false
}

// halfNodes chooses the float32 nodes of three axes or more that come from an
// inner convolution and lead to one, and what is made of weights for these.
func halfNodes(g *graph.Graph) map[*graph.Node]bool {
	nodes, inner := g.Nodes(), innerConvolutions(g)
	after := make(map[*graph.Node]bool, len(nodes))    // an inner convolution, or behind one
	constant := make(map[*graph.Node]bool, len(nodes)) // depends on no input
	for _, n := range nodes {
		after[n], constant[n] = inner[n], n.Op() != graph.OpInput
		for _, in := range n.Inputs() {
			after[n] = after[n] || after[in]
			constant[n] = constant[n] && constant[in]
		}
	}
	half := make(map[*graph.Node]bool)
	before := make(map[*graph.Node]bool, len(nodes)) // an inner convolution, or leading to one
	whole := make(map[*graph.Node]bool, len(nodes))  // used by a node that is not half
	for _, out := range g.Outputs() {
		whole[out.Node] = true
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		before[n] = before[n] || inner[n]
		half[n] = n.DType() == tensor.Float32 && n.Rank() >= 3 && before[n] && (after[n] || constant[n] && !whole[n]) &&
			n.Op() != graph.OpInput && n.Op() != graph.OpConstant && n.Op() != graph.OpScan && n.Op() != graph.OpProject
		for _, in := range n.Inputs() {
			before[in] = before[in] || before[n]
			whole[in] = whole[in] || !half[n]
		}
	}
	return half
}

// innerConvolutions returns all convolutions but those that act on an input
// of the graph, and adjoints whose result has an input's shape.
func innerConvolutions(g *graph.Graph) map[*graph.Node]bool {
	inner := make(map[*graph.Node]bool)
	for _, n := range g.Nodes() {
		var outer bool
		switch n.Op() {
		case graph.OpConv:
			outer = n.Inputs()[0].Op() == graph.OpInput
		case graph.OpConvInputGrad:
			for _, in := range g.Inputs() {
				outer = outer || in.Type().Equal(n.Type())
			}
		default:
			continue
		}
		inner[n] = !outer
	}
	return inner
}
