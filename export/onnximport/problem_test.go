package onnximport_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnximport"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// TestNodesInAnyOrder imports a chain of nodes that stand in reverse, one of
// which sees a value of the graph around it from inside a branch.
func TestNodesInAnyOrder(t *testing.T) {
	inner := &onnxpb.GraphProto{
		Node:   []*onnxpb.NodeProto{node("Neg", []string{"b"}, []string{"inner"}, nil)},
		Output: []*onnxpb.ValueInfoProto{{Name: proto.String("inner")}},
	}
	m, inputs := model(13, map[string]arg{"x": v(2, 3), "cond": truth()}, []string{"y"},
		node("Exp", []string{"c"}, []string{"y"}, nil),
		node("If", []string{"cond"}, []string{"c"}, attrs{"then_branch": inner, "else_branch": inner}),
		node("Tanh", []string{"a"}, []string{"b"}, nil),
		node("Sigmoid", []string{"x"}, []string{"a"}, nil))
	sorted := proto.Clone(m).(*onnxpb.ModelProto)
	slices.Reverse(sorted.Graph.Node)
	got, want := parse(t, m, onnximport.Options{}), parse(t, sorted, onnximport.Options{})
	if a, b := got.Graph.String(), want.Graph.String(); a != b {
		t.Errorf("nodes in reverse give\n%s\nwant\n%s", a, b)
	}
	if _, err := interp.Run(got.Graph, inputs); err != nil {
		t.Error(err)
	}

	m, _ = model(13, map[string]arg{"x": v(2)}, []string{"y"},
		node("Add", []string{"x", "b"}, []string{"a"}, nil),
		node("Neg", []string{"a"}, []string{"b"}, nil),
		node("Exp", []string{"b"}, []string{"y"}, nil))
	if _, err := onnximport.Parse(bytesOf(m), onnximport.Options{}); err == nil || !strings.Contains(err.Error(), "needs its own result") {
		t.Errorf("a circle of nodes: error %v", err)
	}
}

// TestInitialiserAsOutput imports a model that hands a weight out.
func TestInitialiserAsOutput(t *testing.T) {
	m, inputs := model(13, map[string]arg{"x": v(3), "w": weight(v(3))}, []string{"w", "y"},
		node("Mul", []string{"x", "w"}, []string{"y"}, nil))
	got := parse(t, m, onnximport.Options{})
	if _, err := got.Differentiate(onnximport.Derivatives{Of: []string{"y"}, Wrt: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	out := testkit.Interpret(t, got.Graph, inputs)
	close(t, "grad/x", out["grad/x"], out["w"], 0)
}

// problems is a model with two outputs: y, which can be read, and z, which
// needs two operators that cannot, one behind the other, and an operator of a
// later version.
func problems() *onnxpb.ModelProto {
	m, _ := model(13, map[string]arg{"x": v(2, 3)}, []string{"y", "z"},
		node("Exp", []string{"x"}, []string{"y"}, nil),
		node("Frobnicate", []string{"x"}, []string{"a"}, nil),
		node("Mish", []string{"a"}, []string{"b"}, nil),
		node("Relu", []string{"b"}, []string{"c"}, nil),
		node("Sideways", []string{"c"}, []string{"z"}, nil))
	return m
}

func TestProblemsAreAllListed(t *testing.T) {
	_, err := onnximport.Parse(bytesOf(problems()), onnximport.Options{})
	var e *onnximport.Unreadable
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want an Unreadable", err)
	}
	want := []onnximport.Problem{
		{Node: "Frobnicate_node", Operator: "Frobnicate", Version: 13, Reason: "the operator is not supported"},
		{Node: "Mish_node", Operator: "Mish", Version: 13, Reason: "the operator is read since version 18 of the operator set",
			Remedy: "export with operator set 18 or later"},
		{Node: "Sideways_node", Operator: "Sideways", Version: 13, Reason: "the operator is not supported"},
	}
	if len(e.Problems) != len(want) {
		t.Fatalf("%d problems, want %d: %v", len(e.Problems), len(want), err)
	}
	for i, p := range e.Problems {
		if p.String() != want[i].String() {
			t.Errorf("problem %d is %v, want %v", i, p, want[i])
		}
	}
	if !strings.Contains(err.Error(), "3 things stand in the way of z") {
		t.Errorf("the error is %v", err)
	}

	path := filepath.Join(t.TempDir(), "model.onnx")
	testkit.Write(t, path, bytesOf(problems()))
	for of, count := range map[string]int{"y": 0, "b": 2, "z": 3} {
		if got, err := onnximport.Check(path, onnximport.Options{Of: []string{of}}); err != nil || len(got) != count {
			t.Errorf("of %q: %v, %v, want %d problems", of, got, err, count)
		}
	}
}

// TestOtherOutputsAreDropped reads one output of a model whose other one
// cannot be read.
func TestOtherOutputsAreDropped(t *testing.T) {
	m := parse(t, problems(), onnximport.Options{Of: []string{"y"}})
	if out := m.Graph.Outputs(); len(out) != 1 || out[0].Name != "y" {
		t.Errorf("outputs %v, want y", out)
	}
	if len(m.Dropped) != 1 || m.Dropped[0].Name != "z" || !strings.Contains(m.Dropped[0].Reason, "Frobnicate") {
		t.Errorf("dropped %v, want z for Frobnicate", m.Dropped)
	}
	if _, err := m.Differentiate(onnximport.Derivatives{Of: []string{"y"}, Wrt: []string{"x"}}); err != nil {
		t.Error(err)
	}
	// What no output needs may be anything.
	dead, _ := model(13, map[string]arg{"x": v(2)}, []string{"y"},
		node("Exp", []string{"x"}, []string{"y"}, nil), node("Frobnicate", []string{"x"}, []string{"a"}, nil))
	dead.Graph.Initializer = append(dead.Graph.Initializer, protoOf("w", tensor.Of([]float32{1}, 1)))
	dead.Graph.Initializer[0].DataType = proto.Int32(int32(onnxpb.TensorProto_STRING))
	if got := parse(t, dead, onnximport.Options{}); len(got.Graph.Outputs()) != 1 {
		t.Errorf("outputs %v", got.Graph.Outputs())
	}
}

// TestRemedies has what is said to help.
func TestRemedies(t *testing.T) {
	symbolic, _ := r("ReduceProd", 13, v(2, 3)).file()
	symbolicInput(symbolic, "in0")
	shape, _ := r("Col2Im", 18, v(1, 4, 1), whole([]int{2}, 2, 2), ints(2, 2)).file()
	measured, _ := model(13, map[string]arg{"x": v(2, 1), "shape": whole([]int{2}, 2, 3)}, []string{"y"},
		node("Expand", []string{"x", "shape"}, []string{"e"}, nil), node("ReduceProd", []string{"e"}, []string{"y"}, nil))
	for _, test := range []struct {
		m    *onnxpb.ModelProto
		want string
	}{{symbolic, "--size N=…"}, {shape, "--value in1=…"}, {measured, "--value shape=…"}} {
		_, err := onnximport.Parse(bytesOf(test.m), onnximport.Options{})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "--size size") {
			t.Errorf("error %v, want one with %q", err, test.want)
		}
	}
}
