package runtime

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/models/tensor"
)

// val describes an input or output of a test model: a dimension is an int or
// the name of a dimension that is not fixed.
func val(name string, typ onnxpb.TensorProto_DataType, dims ...any) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, d := range dims {
		dim := &onnxpb.TensorShapeProto_Dimension{}
		switch d := d.(type) {
		case int:
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}
		case string:
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d}
		}
		shape.Dim = append(shape.Dim, dim)
	}
	return &onnxpb.ValueInfoProto{Name: proto.String(name), Type: &onnxpb.TypeProto{
		Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
			ElemType: proto.Int32(int32(typ)), Shape: shape}}}}
}

const (
	f32 = onnxpb.TensorProto_FLOAT
	i64 = onnxpb.TensorProto_INT64
)

func node(op string, inputs []string, output string, attrs ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: proto.String(op), Input: inputs, Output: []string{output}, Attribute: attrs}
}

func weights(name string, dims []int64, data ...float32) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: proto.String(name), Dims: dims, DataType: proto.Int32(int32(f32)), FloatData: data}
}

// model puts a graph together and returns the bytes of its file.
func model(tb testing.TB, in, out []*onnxpb.ValueInfoProto, init []*onnxpb.TensorProto, nodes ...*onnxpb.NodeProto) []byte {
	tb.Helper()
	data, err := proto.Marshal(&onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}},
		Graph:       &onnxpb.GraphProto{Name: proto.String("test"), Node: nodes, Input: in, Output: out, Initializer: init},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

type infos = []*onnxpb.ValueInfoProto

// affine is y = x·w + b with x [N 2], w [2 3], b [3].
func affine(tb testing.TB) []byte {
	return model(tb, infos{val("x", f32, "N", 2)}, infos{val("y", f32, "N", 3)},
		[]*onnxpb.TensorProto{weights("w", []int64{2, 3}, 1, 2, 3, 4, 5, 6), weights("b", []int64{3}, 10, 20, 30)},
		node("MatMul", []string{"x", "w"}, "h"), node("Add", []string{"h", "b"}, "y"))
}

func open(tb testing.TB) *Runtime {
	tb.Helper()
	r, err := Open(tb.Context(), Config{Provider: CPU})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
	})
	return r
}

func load(tb testing.TB, r *Runtime, data []byte) *Session {
	tb.Helper()
	s, err := r.Load(data, SessionOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func wantData[T tensor.Element](tb testing.TB, t *tensor.Tensor, shape string, data ...T) {
	tb.Helper()
	if t == nil {
		tb.Fatal("no tensor")
	}
	if got := fmt.Sprint(t.Shape()); got != shape {
		tb.Errorf("shape %s, want %s", got, shape)
	}
	if got, want := fmt.Sprint(t.Raw()), fmt.Sprint(data); got != want {
		tb.Errorf("elements %s, want %s", got, want)
	}
}
