package inspect

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"ebm/export"
	"ebm/export/onnxpb"
	"ebm/internal/onnxwire"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
)

var tiny = energy.ResNet{Net: "res6", Channels: 1, Dim: 2, Size: 8}

func sampler(t testing.TB) []byte {
	t.Helper()
	b, err := export.Bytes(mdsm.SamplerGraph(tiny, energy.Init(tiny, rng.New(1))), export.Options{
		Doc: "a Langevin chain", Docs: map[string]string{"x": "pictures"}, Metadata: map[string]string{"preset": "tiny", "sigma0": "0.1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func describe(b []byte, dir string) (*ONNX, error) {
	return describeONNX(context.Background(), bytes.NewReader(b), int64(len(b)), dir)
}

// What is walked through agrees with the whole model decoded.
func TestONNXAgreesWithDecoding(t *testing.T) {
	b := sampler(t)
	m, err := describe(b, "")
	if err != nil {
		t.Fatal(err)
	}
	var whole onnxpb.ModelProto
	if err := proto.Unmarshal(b, &whole); err != nil {
		t.Fatal(err)
	}
	var want tally
	want.add(whole.Graph)
	got := tally{nodes: m.Nodes, subgraphs: m.Subgraphs, tensors: m.Weights.Tensors, elements: m.Weights.Elements,
		bytes: m.Weights.Bytes, ops: map[string]int{}}
	for _, o := range m.Operators {
		got.ops[o.Name] = o.Count
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	if want.subgraphs == 0 || want.tensors == 0 {
		t.Errorf("%v, want a model with subgraphs and weights for this test", want)
	}
	if !slices.IsSortedFunc(m.Operators, func(a, b Operator) int { return b.Count - a.Count }) {
		t.Errorf("operators %v, want the most frequent first", m.Operators)
	}
	if m.Bytes != int64(len(b)) || m.IRVersion != 8 || !slices.Equal(m.Opsets, []Opset{{"", 17}}) || m.Producer != "ebm" ||
		m.Doc != "a Langevin chain" {
		t.Errorf("head: %+v", m)
	}
	if !maps.Equal(m.Metadata, map[string]string{"preset": "tiny", "sigma0": "0.1"}) {
		t.Errorf("metadata %v", m.Metadata)
	}
	inputs := map[string]string{}
	for _, v := range m.Inputs {
		inputs[v.Name] = v.Type
	}
	if want := map[string]string{
		"x": "float32[N 1 8 8]", "noise": "float32[K N 1 8 8]", "temperature": "float32[K]", "step_size": "float32[1]",
	}; !maps.Equal(inputs, want) {
		t.Errorf("inputs %v, want %v", inputs, want)
	}
	if m.Inputs[0].Doc != "pictures" && !slices.ContainsFunc(m.Inputs, func(v Value) bool { return v.Doc == "pictures" }) {
		t.Errorf("inputs %v, want the doc of x", m.Inputs)
	}
	if len(m.Outputs) != 2 || m.Outputs[1].Type != "float32[K N]" {
		t.Errorf("outputs %v", m.Outputs)
	}
}

// tally counts what a graph and those inside it hold.
type tally struct {
	nodes, subgraphs, tensors int
	elements, bytes           int64
	ops                       map[string]int
}

func (c *tally) add(g *onnxpb.GraphProto) {
	if c.ops == nil {
		c.ops = make(map[string]int)
	}
	for _, t := range g.Initializer {
		n := int64(1)
		for _, d := range t.Dims {
			n *= d
		}
		c.tensors++
		c.elements += n
		c.bytes += int64(len(t.RawData))
	}
	for _, n := range g.Node {
		c.nodes++
		c.ops[n.GetOpType()]++
		for _, a := range n.Attribute {
			if a.G != nil {
				c.subgraphs++
				c.add(a.G)
			}
		}
	}
}

// model is a small model: y = Add(x, w) with what a test changes about it.
func model(change func(*onnxpb.ModelProto)) []byte {
	value := func(name string) *onnxpb.ValueInfoProto {
		return &onnxpb.ValueInfoProto{Name: proto.String(name), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
			TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(1)},
		}}}
	}
	m := &onnxpb.ModelProto{
		IrVersion: proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String("ai.onnx"), Version: proto.Int64(17)},
			{Domain: proto.String("com.example"), Version: proto.Int64(1)}},
		Graph: &onnxpb.GraphProto{
			Node: []*onnxpb.NodeProto{
				{OpType: proto.String("Add"), Input: []string{"x", "w"}, Output: []string{"y"}},
				{OpType: proto.String("Twist"), Domain: proto.String("com.example")},
			},
			Input: []*onnxpb.ValueInfoProto{value("x"), value("w")}, Output: []*onnxpb.ValueInfoProto{value("y")},
			Initializer: []*onnxpb.TensorProto{{Name: proto.String("w"), DataType: proto.Int32(1), Dims: []int64{2, 3}, RawData: make([]byte, 24)}},
		},
	}
	change(m)
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func TestONNXOfOthers(t *testing.T) {
	m, err := describe(model(func(*onnxpb.ModelProto) {}), "")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Opsets, []Opset{{"", 17}, {"com.example", 1}}) {
		t.Errorf("opsets %v", m.Opsets)
	}
	if !slices.Equal(m.Operators, []Operator{{"Add", 1}, {"com.example.Twist", 1}}) {
		t.Errorf("operators %v", m.Operators)
	}
	if m.Inputs[0].Default || !m.Inputs[1].Default || m.Inputs[0].Type != "float32 of any shape" {
		t.Errorf("inputs %v, want that w has a default", m.Inputs)
	}
	if m.Weights != (WeightCount{1, 6, 24}) {
		t.Errorf("weights %v", m.Weights)
	}
}

func TestExternalData(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"all.bin": 124, "short.bin": 123} {
		testkit.Write(t, filepath.Join(dir, name), make([]byte, size))
	}
	testkit.Mkdir(t, dir, "sub")
	for _, test := range []struct{ location, problem string }{
		{"all.bin", ""},
		{"short.bin", "too short: 123 bytes, want 124"},
		{"none.bin", "missing"},
		{"sub", "not a regular file"},
		{"../all.bin", "not a path inside the model's folder"},
		{filepath.Join(dir, "all.bin"), "not a path inside the model's folder"},
		{"", "not a path inside the model's folder"},
	} {
		m, err := describe(model(external("location", test.location, "offset", "100", "length", "24")), dir)
		if err != nil {
			t.Errorf("%q: %v", test.location, err)
			continue
		}
		if e := m.External[0]; len(m.External) != 1 || e.Tensors != 1 || e.Wanted != 124 || e.Problem != test.problem {
			t.Errorf("%q: %+v, want the problem %q", test.location, m.External, test.problem)
		}
	}
	for _, bad := range [][]string{{"offset", "-1"}, {"offset", "1e3"}, {"length", "23"}, {"length", "9223372036854775807"}} {
		if _, err := describe(model(external(append(bad, "location", "all.bin")...)), dir); err == nil {
			t.Errorf("external data with %v: no error", bad)
		}
	}
}

// external moves w's data out of the model.
func external(pairs ...string) func(*onnxpb.ModelProto) {
	return func(m *onnxpb.ModelProto) {
		w := m.Graph.Initializer[0]
		w.RawData, w.DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum()
		for i := 0; i < len(pairs); i += 2 {
			w.ExternalData = append(w.ExternalData, &onnxpb.StringStringEntryProto{Key: proto.String(pairs[i]), Value: proto.String(pairs[i+1])})
		}
	}
}

func TestONNXErrors(t *testing.T) {
	weight := func(f func(w *onnxpb.TensorProto)) []byte {
		return model(func(m *onnxpb.ModelProto) { f(m.Graph.Initializer[0]) })
	}
	nested := []byte(nil)
	for range maxDepth + 2 {
		// A node with an operator and an attribute that holds a graph.
		node := protowire.AppendBytes(protowire.AppendTag(protowire.AppendString(protowire.AppendTag(nil, onnxwire.NodeOp,
			protowire.BytesType), "If"),
			onnxwire.NodeAttribute, protowire.BytesType), protowire.AppendBytes(protowire.AppendTag(nil, onnxwire.AttributeGraph,
			protowire.BytesType), nested))
		nested = protowire.AppendBytes(protowire.AppendTag(nil, onnxwire.GraphNode, protowire.BytesType), node)
	}
	many := protowire.AppendBytes(protowire.AppendTag(nil, onnxwire.ModelGraph, protowire.BytesType),
		bytes.Repeat([]byte{byte(onnxwire.GraphInput<<3 | 2), 0}, maxEntries+1))
	for _, test := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, "0 graphs in it, want 1"},
		{"text", []byte("A small text, not a model.\n"), "at byte"},
		{"no graph", model(func(m *onnxpb.ModelProto) { m.Graph = nil }), "0 graphs"},
		{"no outputs", model(func(m *onnxpb.ModelProto) { m.Graph.Output = nil }), "no outputs"},
		{"no operator", model(func(m *onnxpb.ModelProto) { m.Graph.Node[0].OpType = nil }), "a node without an operator"},
		{"graph is a number", []byte{byte(onnxwire.ModelGraph << 3), 1}, "want a message"},
		{"text is a number", []byte{byte(onnxwire.ModelDoc << 3), 1}, "want a text"},
		{"past the end", []byte{byte(onnxwire.ModelGraph<<3 | 2), 200, 1, 0}, "has 200 bytes, but only 1 are left"},
		{"short data", weight(func(w *onnxpb.TensorProto) { w.RawData = w.RawData[:20] }), `"w" has 20 bytes of data, want 24`},
		{"negative dimension", weight(func(w *onnxpb.TensorProto) { w.Dims = []int64{-1, 3} }), "dimension -1"},
		{"huge dimensions", weight(func(w *onnxpb.TensorProto) { w.Dims = []int64{1 << 40, 1 << 40} }), "dimension 1099511627776"},
		{"huge tensor", weight(func(w *onnxpb.TensorProto) { w.Dims = []int64{1 << 61} }), "which no file holds"},
		{"unknown type", weight(func(w *onnxpb.TensorProto) { w.DataType = proto.Int32(99) }), "unknown type 99"},
		{"long text", model(func(m *onnxpb.ModelProto) {
			m.DocString = proto.String(strings.Repeat("x",
				onnxwire.MaxPiece+1))
		}), "1048577 bytes"},
		{"deep", protowire.AppendBytes(protowire.AppendTag(nil, onnxwire.ModelGraph, protowire.BytesType), nested), "nest more than 64 deep"},
		{"many inputs", many, "too many inputs and outputs"},
	} {
		if _, err := describe(test.b, ""); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
}

func TestONNXStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b := bytes.Repeat([]byte{8, 8}, 10000)
	if _, err := describeONNX(ctx, bytes.NewReader(b), int64(len(b)), ""); err != context.Canceled {
		t.Errorf("error %v, want that it was cancelled", err)
	}
}

func TestTypeText(t *testing.T) {
	tensor := func(dims ...*onnxpb.TensorShapeProto_Dimension) *onnxpb.TypeProto {
		return &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
			ElemType: proto.Int32(int32(onnxpb.TensorProto_INT64)), Shape: &onnxpb.TensorShapeProto{Dim: dims},
		}}}
	}
	pictures := tensor(
		&onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "N"}},
		&onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: 3}},
		&onnxpb.TensorShapeProto_Dimension{},
	)
	for _, test := range []struct {
		t    *onnxpb.TypeProto
		want string
	}{
		{nil, "of no known type"},
		{tensor(), "int64[]"},
		{pictures, "int64[N 3 ?]"},
		{&onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{SequenceType: &onnxpb.TypeProto_Sequence{ElemType: pictures}}},
			"sequence of int64[N 3 ?]"},
		{&onnxpb.TypeProto{Value: &onnxpb.TypeProto_MapType{MapType: &onnxpb.TypeProto_Map{KeyType: proto.Int32(8), ValueType: tensor()}}},
			"map of string to int64[]"},
	} {
		if got := typeText(test.t, 0); got != test.want {
			t.Errorf("type %v: %q, want %q", test.t, got, test.want)
		}
	}
}

func FuzzONNX(f *testing.F) {
	f.Add(model(func(*onnxpb.ModelProto) {}))
	f.Add(model(external("location", "a.bin", "offset", "1")))
	f.Add(model(func(m *onnxpb.ModelProto) {
		m.Functions = []*onnxpb.FunctionProto{{Node: []*onnxpb.NodeProto{{OpType: proto.String("Mul")}}}}
		m.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{{Values: m.Graph.Initializer[0]}}
		m.Graph.Node[0].Attribute = []*onnxpb.AttributeProto{{Name: proto.String("body"), G: &onnxpb.GraphProto{Node: m.Graph.Node[1:]}}}
	}))
	g := graph.New("square")
	x := g.Input("x", 1, graph.Batch(3))
	g.Output("y", graph.Mul(x, x))
	if b, err := export.Bytes(g, export.Options{}); err == nil {
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := describe(b, ".")
		if err != nil {
			return
		}
		if m.Nodes < 0 || m.Weights.Bytes < 0 || m.Weights.Elements < 0 || len(m.Outputs) == 0 {
			t.Errorf("description %+v", m)
		}
		var page bytes.Buffer
		if err := (&Description{Ref: "x.onnx", ONNX: m}).WriteText(&page); err != nil || strings.ContainsRune(page.String(), '\x1b') {
			t.Errorf("text %q, %v", page.String(), err)
		}
	})
}
