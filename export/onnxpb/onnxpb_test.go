package onnxpb_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	onnx "github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend/simple"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ebm/export/onnxpb"
	"ebm/internal/testkit"
)

// TestReadsFileOfOnnxPackage reads a file that the onnx package wrote
// (testdata/make_golden.py) and finds in it what was put there.
func TestReadsFileOfOnnxPackage(t *testing.T) {
	m := readGolden(t)
	if got := m.GetIrVersion(); got != 8 {
		t.Errorf("ir_version = %d, want 8", got)
	}
	if got := m.GetDocString(); got != "an affine map" {
		t.Errorf("doc_string = %q", got)
	}
	if ops := m.GetOpsetImport(); len(ops) != 1 || ops[0].GetDomain() != "" || ops[0].GetVersion() != 17 {
		t.Errorf("opset_import = %v, want the standard domain at 17", ops)
	}
	if p := m.GetMetadataProps(); len(p) != 1 || p[0].GetKey() != "origin" || p[0].GetValue() != "the onnx package" {
		t.Errorf("metadata_props = %v", p)
	}
	g := m.GetGraph()
	var ops []string
	for _, n := range g.GetNode() {
		ops = append(ops, n.GetOpType())
	}
	if want := []string{"MatMul", "Add", "ReduceSum", "If"}; !slices.Equal(ops, want) {
		t.Fatalf("operators = %v, want %v", ops, want)
	}
	keepDims := g.GetNode()[2].GetAttribute()[0]
	if keepDims.GetName() != "keepdims" || keepDims.GetType() != onnxpb.AttributeProto_INT || keepDims.I == nil || *keepDims.I != 0 {
		t.Errorf("attribute = %v, want keepdims = 0, set", keepDims)
	}
	for _, a := range g.GetNode()[3].GetAttribute() {
		want := map[string]string{"then_branch": "Neg", "else_branch": "Identity"}[a.GetName()]
		if got := a.GetG().GetNode()[0].GetOpType(); got != want {
			t.Errorf("%s computes %s, want %s", a.GetName(), got, want)
		}
	}
	x := g.GetInput()[0].GetType().GetTensorType()
	if d := x.GetShape().GetDim(); len(d) != 2 || d[0].GetDimParam() != "N" || d[1].GetDimValue() != 3 {
		t.Errorf("shape of x = %v, want [N 3]", d)
	}
	init := g.GetInitializer()
	if got, want := floats(init[0].GetRawData()), []float32{1, -2, 0.5, 3, 0, 0.25}; !slices.Equal(got, want) {
		t.Errorf("w = %v, want %v", got, want)
	}
	if got, want := init[1].GetFloatData(), []float32{0.125, -1}; !slices.Equal(got, want) {
		t.Errorf("b = %v, want %v", got, want)
	}
	if got, want := init[2].GetInt64Data(), []int64{-1}; !slices.Equal(got, want) {
		t.Errorf("axes = %v, want %v", got, want)
	}
	requireKnown(t, m.ProtoReflect())
}

// TestRoundTrip writes that file again and reads it back.
func TestRoundTrip(t *testing.T) {
	want := readGolden(t)
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := new(onnxpb.ModelProto)
	if err := proto.Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, want) {
		t.Errorf("read back %v, want %v", got, want)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again, data) {
		t.Error("the same model was written as different bytes")
	}
}

// TestFieldNumbers holds the numbers of the fields that every ONNX file has;
// they are what the format is made of.
func TestFieldNumbers(t *testing.T) {
	for _, f := range []struct {
		message proto.Message
		field   protoreflect.Name
		number  protowire.Number
	}{
		{&onnxpb.ModelProto{}, "ir_version", 1},
		{&onnxpb.ModelProto{}, "graph", 7},
		{&onnxpb.ModelProto{}, "opset_import", 8},
		{&onnxpb.ModelProto{}, "metadata_props", 14},
		{&onnxpb.GraphProto{}, "node", 1},
		{&onnxpb.GraphProto{}, "initializer", 5},
		{&onnxpb.GraphProto{}, "input", 11},
		{&onnxpb.GraphProto{}, "output", 12},
		{&onnxpb.NodeProto{}, "op_type", 4},
		{&onnxpb.NodeProto{}, "attribute", 5},
		{&onnxpb.AttributeProto{}, "type", 20},
		{&onnxpb.TensorProto{}, "raw_data", 9},
		{&onnxpb.TensorProto{}, "external_data", 13},
	} {
		d := f.message.ProtoReflect().Descriptor()
		if d.ParentFile().Package() != "ebm.onnx" {
			t.Errorf("%s is in package %s, want ebm.onnx", d.Name(), d.ParentFile().Package())
		}
		fd := d.Fields().ByName(f.field)
		if fd == nil || fd.Number() != f.number {
			t.Errorf("%s.%s = %v, want field %d", d.Name(), f.field, fd, f.number)
		}
	}
}

// TestBesideOnnxGo gives a model written here to onnx-go, whose own copy of the
// messages is linked into this test. That the test starts at all shows that the
// two copies are registered under different names.
func TestBesideOnnxGo(t *testing.T) {
	float := func(name string, dims ...int64) *onnxpb.ValueInfoProto {
		shape := new(onnxpb.TensorShapeProto)
		for _, d := range dims {
			shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{
				Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: d}})
		}
		return &onnxpb.ValueInfoProto{Name: proto.String(name), Type: &onnxpb.TypeProto{
			Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
				ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), Shape: shape}}}}
	}
	data, err := proto.Marshal(&onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name:   proto.String("sum"),
			Input:  []*onnxpb.ValueInfoProto{float("a", 2), float("b", 2)},
			Output: []*onnxpb.ValueInfoProto{float("c", 2)},
			Node: []*onnxpb.NodeProto{{
				OpType: proto.String("Add"), Input: []string{"a", "b"}, Output: []string{"c"}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	model := onnx.NewModel(simple.NewSimpleGraph())
	if err := model.UnmarshalBinary(data); err != nil {
		t.Fatalf("onnx-go: %v", err)
	}
	if len(model.Input) != 2 || len(model.Output) != 1 {
		t.Errorf("onnx-go saw %d inputs and %d outputs, want 2 and 1", len(model.Input), len(model.Output))
	}
	if _, ok := model.GetNodeByName("c"); !ok {
		t.Error("onnx-go saw no value named c")
	}
}

func readGolden(t *testing.T) *onnxpb.ModelProto {
	t.Helper()
	data := testkit.Read(t, "testdata/affine.onnx.bin")
	m := new(onnxpb.ModelProto)
	if err := proto.Unmarshal(data, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// requireKnown fails when m, or a message inside it, has bytes that the schema
// does not name.
func requireKnown(t *testing.T, m protoreflect.Message) {
	t.Helper()
	if u := m.GetUnknown(); len(u) > 0 {
		t.Errorf("%s has %d bytes of unknown fields", m.Descriptor().Name(), len(u))
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				requireKnown(t, v.List().Get(i).Message())
			}
		default:
			requireKnown(t, v.Message())
		}
		return true
	})
}

func floats(raw []byte) []float32 {
	var f []float32
	for ; len(raw) >= 4; raw = raw[4:] {
		f = append(f, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	return f
}
