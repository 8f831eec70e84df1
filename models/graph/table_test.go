package graph

import (
	"strings"
	"testing"

	"ebm/models/tensor"
)

func TestTableIsComplete(t *testing.T) {
	names := make(map[string]Op)
	for _, op := range Ops() {
		info := ops[op]
		if info.name == "" || op.String() != info.name {
			t.Errorf("operator %d has the name %q and prints %q", op, info.name, op)
		}
		if other, ok := names[info.name]; ok {
			t.Errorf("operators %d and %d have the name %q", op, other, info.name)
		}
		names[info.name] = op
		if leaf := op == OpInput || op == OpConstant; leaf != (info.infer == nil) || leaf != (info.arity == 0) {
			t.Errorf("operator %v has %d operands, and a type rule: %v", op, info.arity, info.infer != nil)
		}
	}
	if len(Ops()) != int(numOps)-1 || Op(0).String() != "no operator" || numOps.String() != "no operator" {
		t.Error("the list of operators has a wrong end")
	}
}

// Verify finds what the functions of the package never build.
func TestVerifyFinds(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(g *Graph, x, y, z *Node)
		want  string
	}{
		{"type", func(g *Graph, x, y, z *Node) { y.outputs = []Type{{tensor.Float32, Dims(3)}} }, "type float32[N] is inferred, not float32[3]"},
		{"order", func(g *Graph, x, y, z *Node) { y.inputs = []*Node{z} }, "operand %2 does not come before node %1"},
		{"position", func(g *Graph, x, y, z *Node) { z.id = 1 }, "node 1 is at position 2"},
		{"operand", func(g *Graph, x, y, z *Node) { y.inputs = []*Node{New("other").Input("x", tensor.Float32, Batch())} },
			"does not come before"},
		{"owner", func(g *Graph, x, y, z *Node) { z.graph = New("other") }, `node 2 is at position 2 of graph "verify"`},
		{"output", func(g *Graph, x, y, z *Node) { g.outputs[0].Node = New("other").Input("x", tensor.Float32, nil) }, "operands of one graph"},
	} {
		g := New("verify")
		x := g.Input("x", tensor.Float32, Batch())
		y := Exp(x)
		z := Log(y)
		g.Output("z", z)
		if err := g.Verify(); err != nil {
			t.Fatal(err)
		}
		test.spoil(g, x, y, z)
		if err := g.Verify(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
}

// Verify looks into the bodies of Scans.
func TestVerifyFindsInBody(t *testing.T) {
	body := New("body")
	s := body.Input("s", tensor.Float32, nil)
	body.Input("k", tensor.Float32, nil)
	inner := Exp(s)
	body.Output("s", Log(inner))
	g := New("verify")
	x := g.Input("x", tensor.Float32, nil)
	Scan(body, []*Node{x}, []*Node{g.Input("k", tensor.Float32, Dims(2))})
	if err := g.Verify(); err != nil {
		t.Fatal(err)
	}
	inner.outputs = []Type{{tensor.Float32, Dims(3)}}
	if err := g.Verify(); err == nil {
		t.Error("a wrong type in a body is not found")
	}
}
