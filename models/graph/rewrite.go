package graph

// Rewriter builds a new graph from an old one, node by node.
type Rewriter struct {
	Graph *Graph          // the new graph
	image map[*Node]*Node // old node → new node
}

// Rewrite returns a new graph with g's inputs and outputs, in which every
// node that an output needs is what rule made of it. The rule gets the old
// node and its new operands, and returns a node of the new graph; r.Keep does
// what the old node did. Nodes that no output needs are left out, so a rule
// that always keeps removes dead code.
func Rewrite(g *Graph, rule func(r *Rewriter, old *Node, inputs []*Node) *Node) *Graph {
	r := &Rewriter{Graph: New(g.name), image: make(map[*Node]*Node)}
	for _, in := range g.inputs {
		r.image[in] = r.Graph.Input(in.InputName(), in.DType(), in.Shape())
	}
	live := g.live()
	for _, n := range g.nodes {
		if !live[n.id] || n.op == OpInput {
			continue
		}
		inputs := make([]*Node, len(n.inputs))
		for i, in := range n.inputs {
			inputs[i] = r.image[in]
		}
		r.image[n] = rule(r, n, inputs)
	}
	for _, out := range g.outputs {
		r.Graph.Output(out.Name, r.image[out.Node])
	}
	return r.Graph
}

// Keep adds to the new graph what old did, on new operands.
func (r *Rewriter) Keep(old *Node, inputs []*Node) *Node {
	if old.op == OpConstant {
		a := old.attr.(ConstantAttr)
		return r.Graph.Weight(a.Name, a.Value)
	}
	return apply(old.op, old.attr, inputs...)
}

// live marks, by ID, the nodes that an output needs.
func (g *Graph) live() []bool {
	wanted := make([]*Node, len(g.outputs))
	for i, out := range g.outputs {
		wanted[i] = out.Node
	}
	return g.Needed(wanted...)
}

// Uses returns how many operands and outputs each node is.
func (g *Graph) Uses() map[*Node]int {
	uses := make(map[*Node]int)
	for _, n := range g.nodes {
		for _, in := range n.inputs {
			uses[in]++
		}
	}
	for _, out := range g.outputs {
		uses[out.Node]++
	}
	return uses
}

// Call adds fn's nodes to the graph of the arguments, which stand for fn's
// inputs in order, and returns fn's outputs in order.
func Call(fn *Graph, args ...*Node) []*Node {
	if len(args) != len(fn.inputs) || len(args) == 0 {
		fail(OpInput, nil, args, "want %d arguments for %q", len(fn.inputs), fn.name)
	}
	r := &Rewriter{Graph: args[0].graph, image: make(map[*Node]*Node)}
	for i, in := range fn.inputs {
		if !args[i].Type().Equal(in.Type()) {
			fail(OpInput, in.attr, args, "argument %d of %q is %v, want %v", i, fn.name, args[i].Type(), in.Type())
		}
		r.image[in] = args[i]
	}
	for _, n := range fn.nodes {
		if n.op == OpInput {
			continue
		}
		inputs := make([]*Node, len(n.inputs))
		for i, in := range n.inputs {
			inputs[i] = r.image[in]
		}
		r.image[n] = r.Keep(n, inputs)
	}
	results := make([]*Node, len(fn.outputs))
	for i, out := range fn.outputs {
		results[i] = r.image[out.Node]
	}
	return results
}

// Retype returns g with every shape, of inputs and of attributes, replaced by
// bind's answer, such as one that turns the symbol N into a number.
func Retype(g *Graph, bind func(Shape) Shape) *Graph {
	bound := func(s Shape) Shape { // none stays none
		if s == nil {
			return nil
		}
		return bind(s)
	}
	r := &Rewriter{Graph: New(g.name), image: make(map[*Node]*Node)}
	for _, n := range g.nodes {
		inputs := make([]*Node, len(n.inputs))
		for i, in := range n.inputs {
			inputs[i] = r.image[in]
		}
		switch a := n.attr.(type) {
		case InputAttr:
			r.image[n] = r.Graph.Input(a.Name, n.DType(), bind(n.Shape()))
		case ShapeAttr:
			r.image[n] = apply(n.op, ShapeAttr{bind(a.Shape)}, inputs...)
		case SliceAttr:
			a.Starts, a.Limits = bind(a.Starts), bind(a.Limits)
			r.image[n] = apply(n.op, a, inputs...)
		case PadAttr:
			a.Lo, a.Hi = bind(a.Lo), bind(a.Hi)
			r.image[n] = apply(n.op, a, inputs...)
		case GatherAttr:
			a.Size = bind(Shape{a.Size})[0]
			r.image[n] = apply(n.op, a, inputs...)
		case TopKAttr:
			a.K = bind(Shape{a.K})[0]
			r.image[n] = apply(n.op, a, inputs...)
		case ConvAttr:
			a.Size = bound(a.Size)
			r.image[n] = apply(n.op, a, inputs...)
		case PoolAttr:
			a.Size = bound(a.Size)
			r.image[n] = apply(n.op, a, inputs...)
		case ScanAttr:
			a.Body = Retype(a.Body, bind)
			r.image[n] = apply(n.op, a, inputs...)
		default:
			r.image[n] = r.Keep(n, inputs)
		}
	}
	for _, out := range g.outputs {
		r.Graph.Output(out.Name, r.image[out.Node])
	}
	return r.Graph
}
