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
func HalfPrecision() Pass {
	return Pass{"half precision", func(g *graph.Graph) *graph.Graph { return toHalf(g, false) }}
}

// RoundedToHalf is the pass HalfPrecision for telling what it costs: values
// are rounded to float16 where that would store them, but computed in float32.
// A processor without float16 arithmetic computes much of a float16 file in
// float32 and would show too small an error.
func RoundedToHalf() Pass {
	return Pass{"rounded to half precision", func(g *graph.Graph) *graph.Graph { return toHalf(g, true) }}
}

func toHalf(g *graph.Graph, rounding bool) *graph.Graph {
	half := halfNodes(g)
	c := converter{rounding: rounding, done: make(map[convertedKey]*graph.Node)}
	out := rewrite(g, func(body *graph.Graph) *graph.Graph { return toHalf(body, rounding) }, func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node {
		dtype := tensor.Float32
		if half[old] {
			dtype = tensor.Float16
		}
		operands := make([]*graph.Node, len(in))
		for i, x := range in {
			operands[i] = c.convert(x, dtype)
		}
		n := r.Keep(old, operands)
		switch {
		case half[old] && rounding:
			return rounded(n)
		case isOutput(g, old):
			return c.convert(n, old.DType())
		}
		return n
	})
	return dropDead(out)
}

// converter gives nodes other types, each once.
type converter struct {
	rounding bool
	done     map[convertedKey]*graph.Node
}

func (c converter) convert(n *graph.Node, dtype tensor.DType) *graph.Node {
	if n.DType() != tensor.Float32 && n.DType() != tensor.Float16 || n.DType() == dtype {
		return n
	}
	key := convertedKey{n, dtype}
	if c.done[key] != nil {
		return c.done[key]
	}
	to := graph.Cast(n, dtype)
	if v := n.ConstantValue(); v != nil && dtype == tensor.Float16 {
		to = n.Graph().Weight(n.Attr().(graph.ConstantAttr).Name, v.AsFloat16())
	}
	if c.rounding {
		to = graph.Cast(to, tensor.Float32)
	}
	c.done[key] = to
	return to
}

func rounded(n *graph.Node) *graph.Node {
	return graph.Cast(graph.Cast(n, tensor.Float16), tensor.Float32)
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
