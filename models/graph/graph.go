package graph

import (
	"fmt"
	"slices"

	"ebm/models/tensor"
)

// Type is the element type and shape of one value.
type Type struct {
	DType tensor.DType
	Shape Shape
}

// String returns the type as it is printed, such as "float32[N 1 32 32]".
func (t Type) String() string { return t.DType.String() + t.Shape.String() }

// Equal reports whether t and u are the same type.
func (t Type) Equal(u Type) bool { return t.DType == u.DType && t.Shape.Equal(u.Shape) }

// Attr is what an operator needs beside its operands. Two attributes of one
// operator mean the same exactly when their strings are equal, except for
// Constant's, whose string does not hold the elements.
type Attr interface{ String() string }

// Node applies an operator to earlier nodes of its graph. Nodes are
// immutable and belong to one graph.
type Node struct {
	graph   *Graph
	id      int
	op      Op
	inputs  []*Node
	attr    Attr
	outputs []Type // one, except for Scan, whose outputs Project takes out
}

// Graph returns the graph that n belongs to.
func (n *Node) Graph() *Graph { return n.graph }

// ID returns n's position in its graph, from 0.
func (n *Node) ID() int { return n.id }

// Op returns n's operator.
func (n *Node) Op() Op { return n.op }

// Inputs returns n's operands. The caller must not change them.
func (n *Node) Inputs() []*Node { return n.inputs }

// Attr returns n's attributes, nil if its operator has none.
func (n *Node) Attr() Attr { return n.attr }

// Type returns the type of n's output.
func (n *Node) Type() Type { return n.outputs[0] }

// DType returns the element type of n's output.
func (n *Node) DType() tensor.DType { return n.outputs[0].DType }

// Shape returns the shape of n's output. The caller must not change it.
func (n *Node) Shape() Shape { return n.outputs[0].Shape }

// Rank returns the number of dimensions of n's output.
func (n *Node) Rank() int { return len(n.outputs[0].Shape) }

// Types returns the types of all of n's outputs: one, except for Scan.
func (n *Node) Types() []Type { return n.outputs }

// Output is a named result of a graph.
type Output struct {
	Name string
	Node *Node
}

// Graph is a function under construction: nodes in topological order, of
// which some are inputs and some are named as outputs.
type Graph struct {
	name    string
	nodes   []*Node
	inputs  []*Node
	outputs []Output
}

// New returns an empty graph. The name is what an exported file calls it.
func New(name string) *Graph { return &Graph{name: name} }

// Name returns the graph's name.
func (g *Graph) Name() string { return g.name }

// Nodes returns all nodes in topological order.
func (g *Graph) Nodes() []*Node { return g.nodes }

// Inputs returns the Input nodes in the order in which they were made.
func (g *Graph) Inputs() []*Node { return g.inputs }

// Outputs returns the named results in the order in which they were named.
func (g *Graph) Outputs() []Output { return g.outputs }

// InputAttr is the attribute of Input nodes.
type InputAttr struct{ Name string }

func (a InputAttr) String() string { return a.Name }

// ConstantAttr is the attribute of Constant nodes. Weights have a name, by
// which an exported file calls them; other constants have none.
type ConstantAttr struct {
	Name  string
	Value *tensor.Tensor
}

func (a ConstantAttr) String() string {
	if a.Name != "" {
		return a.Name
	}
	if a.Value.Len() <= 8 {
		return fmt.Sprint(a.Value.Raw())
	}
	return "…"
}

// Input adds an input of the given type. Names must differ.
func (g *Graph) Input(name string, dtype tensor.DType, shape Shape) *Node {
	for _, in := range g.inputs {
		if in.InputName() == name {
			fail(OpInput, InputAttr{name}, nil, "an input of this name exists")
		}
	}
	n := g.append(OpInput, InputAttr{name}, nil, []Type{{dtype, slices.Clone(shape)}})
	g.inputs = append(g.inputs, n)
	return n
}

// InputName returns the name of an Input node and "" for any other.
func (n *Node) InputName() string {
	if a, ok := n.attr.(InputAttr); ok {
		return a.Name
	}
	return ""
}

// Constant adds a value that is known when the graph is built. The graph
// keeps the tensor, which must not change any more.
func (g *Graph) Constant(value *tensor.Tensor) *Node { return g.Weight("", value) }

// Weight adds a constant with a name: a parameter whose value is part of the
// function.
func (g *Graph) Weight(name string, value *tensor.Tensor) *Node {
	return g.append(OpConstant, ConstantAttr{name, value}, nil,
		[]Type{{value.DType(), Dims(value.Shape()...)}})
}

// ConstantValue returns the value of a Constant node and nil for any other.
func (n *Node) ConstantValue() *tensor.Tensor {
	if a, ok := n.attr.(ConstantAttr); ok {
		return a.Value
	}
	return nil
}

// Repeats returns the number that n has everywhere, where it is a constant of one element
// without a name, or repeats or reshapes one.
func (n *Node) Repeats() (float64, bool) {
	for n.op == OpBroadcast || n.op == OpReshape {
		n = n.inputs[0]
	}
	v := n.ConstantValue()
	if v == nil || v.Len() != 1 || n.attr.(ConstantAttr).Name != "" {
		return 0, false
	}
	return v.Float64s()[0], true
}

// Scalar adds a constant of shape [] in the given floating-point type.
func (g *Graph) Scalar(dtype tensor.DType, v float64) *Node {
	switch dtype {
	case tensor.Float32:
		return g.Constant(tensor.Of([]float32{float32(v)}))
	case tensor.Float64:
		return g.Constant(tensor.Of([]float64{v}))
	case tensor.Int64:
		return g.Constant(tensor.Of([]int64{int64(v)}))
	}
	fail(OpConstant, nil, nil, "scalars are float32, float64 or int64, not %v", dtype)
	return nil
}

// Output names n as a result of the graph. Names must differ.
func (g *Graph) Output(name string, n *Node) {
	g.own(OpInput, n)
	for _, out := range g.outputs {
		if out.Name == name {
			fail(n.op, nil, []*Node{n}, "output %q exists", name)
		}
	}
	g.outputs = append(g.outputs, Output{name, n})
}

// apply adds a node after checking its operands by the operator table.
func apply(op Op, attr Attr, inputs ...*Node) *Node {
	if len(inputs) == 0 || inputs[0] == nil {
		fail(op, attr, nil, "want operands")
	}
	g := inputs[0].graph
	for _, in := range inputs {
		g.own(op, in)
	}
	info := &ops[op]
	if info.infer == nil {
		fail(op, attr, inputs, "want an operator that takes operands")
	}
	if info.arity >= 0 && len(inputs) != info.arity {
		fail(op, attr, inputs, "want %d operands", info.arity)
	}
	return g.append(op, attr, inputs, info.infer(op, inputs, attr))
}

// Apply adds a node of any operator with operands and attributes as they
// are, checked like any other. It is for rewriting; to build a function, use
// the functions named after the operators.
func Apply(op Op, attr Attr, inputs ...*Node) *Node { return apply(op, attr, inputs...) }

func (g *Graph) own(op Op, n *Node) {
	if n == nil {
		fail(op, nil, nil, "an operand is nil")
	}
	if n.graph != g {
		fail(op, nil, []*Node{n}, "want operands of one graph, this one is of graph %q, not %q", n.graph.name, g.name)
	}
}

func (g *Graph) append(op Op, attr Attr, inputs []*Node, outputs []Type) *Node {
	for _, t := range outputs {
		if t.DType == tensor.Invalid {
			fail(op, attr, inputs, "want an element type")
		}
		for _, d := range t.Shape {
			if n, _ := d.Factors(); n < 0 {
				fail(op, attr, inputs, "want dimensions of 0 or more, not %v", t.Shape)
			}
		}
	}
	n := &Node{graph: g, id: len(g.nodes), op: op, attr: attr, inputs: slices.Clone(inputs), outputs: outputs}
	g.nodes = append(g.nodes, n)
	return n
}
