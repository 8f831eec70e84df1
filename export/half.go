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
	return Pass{Name: "half precision", Apply: func(g *graph.Graph) *graph.Graph { return toHalf(g, false) }}
}

// RoundedToHalf is the pass HalfPrecision for telling what it costs: values
// are rounded to float16 where that would store them, but computed in float32.
// A processor without float16 arithmetic computes much of a float16 file in
// float32 and would show too small an error.
func RoundedToHalf() Pass {
	return Pass{Name: "rounded to half precision", Apply: func(g *graph.Graph) *graph.Graph { return toHalf(g, true) }}
}

func toHalf(g *graph.Graph, rounding bool) *graph.Graph {
	half, stored := halfNodes(g)
	c := converter{rounding: rounding, done: make(map[convertedKey]*graph.Node)}
	out := rewrite(g, func(body *graph.Graph) *graph.Graph { return toHalf(body, rounding) },
		func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node {
			if stored[old] {
				w := r.Graph.Weight(old.Attr().(graph.ConstantAttr).Name, old.ConstantValue().AsFloat16())
				return c.widened(w)
			}
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
			case half[old]:
				if rounding {
					n = graph.Cast(n, tensor.Float16)
				}
				return c.widened(n)
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
	if c.done[key] == nil {
		c.done[key] = c.widened(graph.Cast(n, dtype))
	}
	return c.done[key]
}

// widened returns a float16 node as it is, or in float32 for rounding alone.
func (c converter) widened(n *graph.Node) *graph.Node {
	if c.rounding && n.DType() == tensor.Float16 {
		return graph.Cast(n, tensor.Float32)
	}
	return n
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

// halfNodes chooses the nodes that compute in float16, those of three axes or
// more that come from an inner convolution and lead to one, and the weights
// stored for them. What is made of weights alone, such as their mean over a
// pool, is computed in float32, once, when a runtime loads the file.
func halfNodes(g *graph.Graph) (half, stored map[*graph.Node]bool) {
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
	half, stored = make(map[*graph.Node]bool), make(map[*graph.Node]bool)
	before := make(map[*graph.Node]bool, len(nodes)) // an inner convolution, or leading to one
	whole := make(map[*graph.Node]bool, len(nodes))  // needed in float32
	for _, out := range g.Outputs() {
		whole[out.Node] = true
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		before[n] = before[n] || inner[n]
		maps := n.DType() == tensor.Float32 && n.Rank() >= 3 && before[n]
		switch {
		case n.Op() == graph.OpConstant:
			stored[n] = n.DType() == tensor.Float32 && before[n] && !whole[n]
		case constant[n]: // repeating is left to the operator that uses it
			half[n] = maps && !whole[n] && n.Op() == graph.OpBroadcast
		default:
			half[n] = maps && after[n] && n.Op() != graph.OpScan && n.Op() != graph.OpProject
		}
		for _, in := range n.Inputs() {
			before[in] = before[in] || before[n]
			whole[in] = whole[in] || !half[n] && (!constant[n] || whole[n])
		}
	}
	return half, stored
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
