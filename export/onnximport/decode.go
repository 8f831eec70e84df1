package onnximport

import (
	"fmt"

	onnx "github.com/owulveryck/onnx-go"
	gonum "gonum.org/v1/gonum/graph"
	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
)

// operation is one node of a model as onnx-go decodes it.
type operation struct {
	kind            string
	attributes      map[string]any
	inputs, outputs []string // names of values, "" for an absent one
}

// operations decodes the nodes of g through onnx-go, in their order. The
// copy that it is given holds what it can express: tensors and subgraphs are
// left out, and so are types, which the caller reads from g itself.
func operations(g *onnxpb.GraphProto) ([]operation, error) {
	if len(g.Node) == 0 {
		return nil, nil
	}
	const mostEdges = 1 << 20 // of one node
	skeleton := &onnxpb.GraphProto{Output: []*onnxpb.ValueInfoProto{{Name: proto.String("")}}}
	for _, n := range g.Node {
		if len(n.Output) == 0 || len(n.Output)*len(n.Input) > mostEdges {
			return nil, fmt.Errorf("node %s has %d inputs and %d outputs", describe(n), len(n.Input), len(n.Output))
		}
		plain := &onnxpb.NodeProto{OpType: n.OpType, Name: n.Name, Input: n.Input, Output: n.Output}
		for _, a := range n.Attribute {
			if plainAttribute(a) {
				plain.Attribute = append(plain.Attribute, a)
			}
		}
		skeleton.Node = append(skeleton.Node, plain)
	}
	b, err := proto.Marshal(&onnxpb.ModelProto{IrVersion: proto.Int64(8), Graph: skeleton})
	if err != nil {
		return nil, err
	}
	r := &recorder{}
	if err := onnx.NewModel(r).UnmarshalBinary(b); err != nil {
		return nil, fmt.Errorf("decode nodes: %w", err)
	}
	if len(r.operations) != len(g.Node) {
		return nil, fmt.Errorf("%d operations decoded of %d nodes", len(r.operations), len(g.Node))
	}
	return r.operations, nil
}

// plainAttribute reports whether onnx-go decodes an attribute: numbers and
// strings, alone or as lists.
func plainAttribute(a *onnxpb.AttributeProto) bool {
	switch a.GetType() {
	case onnxpb.AttributeProto_FLOAT, onnxpb.AttributeProto_INT, onnxpb.AttributeProto_STRING,
		onnxpb.AttributeProto_FLOATS, onnxpb.AttributeProto_INTS, onnxpb.AttributeProto_STRINGS:
		return a.GetRefAttrName() == ""
	}
	return false
}

// recorder is the backend that onnx-go fills: a list of the operations as
// they come. onnx-go first sets an edge for each pair of an output and an
// input of a node, output by output, and then applies the operation.
type recorder struct {
	nodes      int64
	inputs     []string // of the edges set since the last operation
	operations []operation
}

// vertex is a node of onnx-go's graph: a named tensor. It carries no data.
type vertex struct {
	id   int64
	name string
}

func (v *vertex) ID() int64        { return v.id }
func (v *vertex) SetName(s string) { v.name = s }
func (v *vertex) GetName() string  { return v.name }

// link is an edge from an output of an operation to one of its inputs.
type link struct {
	from, to gonum.Node
	weight   float64
}

func (e link) From() gonum.Node                    { return e.from }
func (e link) To() gonum.Node                      { return e.to }
func (e link) Weight() float64                     { return e.weight }
func (e link) ReversedEdge() gonum.Edge            { return link{e.to, e.from, e.weight} }
func (r *recorder) AddNode(gonum.Node)             {}
func (r *recorder) Node(int64) gonum.Node          { return nil }
func (r *recorder) Nodes() gonum.Nodes             { return gonum.Empty }
func (r *recorder) From(int64) gonum.Nodes         { return gonum.Empty }
func (r *recorder) To(int64) gonum.Nodes           { return gonum.Empty }
func (r *recorder) HasEdgeBetween(_, _ int64) bool { return false }
func (r *recorder) HasEdgeFromTo(_, _ int64) bool  { return false }
func (r *recorder) Edge(_, _ int64) gonum.Edge     { return nil }

func (r *recorder) NewNode() gonum.Node {
	r.nodes++
	return &vertex{id: r.nodes}
}

func (r *recorder) NewWeightedEdge(from, to gonum.Node, weight float64) gonum.WeightedEdge {
	return link{from, to, weight}
}

func (r *recorder) SetWeightedEdge(e gonum.WeightedEdge) {
	r.inputs = append(r.inputs, e.To().(*vertex).name)
}

func (r *recorder) ApplyOperation(o onnx.Operation, outputs ...gonum.Node) error {
	op := operation{kind: o.Name, attributes: o.Attributes}
	for _, n := range outputs {
		op.outputs = append(op.outputs, n.(*vertex).name)
	}
	op.inputs = r.inputs[:len(r.inputs)/len(outputs)] // the same for each output
	r.inputs = nil
	r.operations = append(r.operations, op)
	return nil
}

// describe names a node in an error.
func describe(n *onnxpb.NodeProto) string {
	name := n.GetName()
	if name == "" && len(n.Output) > 0 {
		name = n.Output[0]
	}
	return fmt.Sprintf("%q (%s)", name, operatorName(n))
}

func operatorName(n *onnxpb.NodeProto) string {
	if d := n.GetDomain(); d != "" && d != "ai.onnx" {
		return d + "." + n.GetOpType()
	}
	return n.GetOpType()
}
