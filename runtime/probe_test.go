package runtime

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
)

var update = flag.Bool("update", false, "write golden files anew")

// TestProbe holds the models of files to those that are written here.
func TestProbe(t *testing.T) {
	for name, model := range map[string]*onnxpb.ModelProto{"probe.onnx": convolution(), "identity.onnx": bytesAsTheyAre()} {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(model)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(name, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(name); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s has %d bytes (%v), want the %d of the model here: go test ./runtime -run TestProbe -update", name, len(want), err, len(b))
		}
	}
}

// bytesAsTheyAre is y = x for a row of bytes.
func bytesAsTheyAre() *onnxpb.ModelProto {
	return &onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name:   proto.String("identity"),
			Node:   []*onnxpb.NodeProto{node("Identity", []string{"x"}, "y")},
			Input:  infos{val("x", onnxpb.TensorProto_UINT8, "N")},
			Output: infos{val("y", onnxpb.TensorProto_UINT8, "N")},
		},
	}
}

func convolution() *onnxpb.ModelProto {
	value := func(name string, dims ...int64) *onnxpb.ValueInfoProto {
		shape := &onnxpb.TensorShapeProto{}
		for _, d := range dims {
			shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{
				Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: d}})
		}
		return &onnxpb.ValueInfoProto{Name: proto.String(name), Type: &onnxpb.TypeProto{
			Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
				ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), Shape: shape}}}}
	}
	return &onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name:   proto.String("probe"),
			Node:   []*onnxpb.NodeProto{{OpType: proto.String("Conv"), Input: []string{"x", "w"}, Output: []string{"y"}}},
			Input:  []*onnxpb.ValueInfoProto{value("x", 1, 1, 8, 8), value("w", 1, 1, 3, 3)},
			Output: []*onnxpb.ValueInfoProto{value("y", 1, 1, 6, 6)},
		},
	}
}
