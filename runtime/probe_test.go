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

// TestProbe holds probe.onnx to the model that is written here.
func TestProbe(t *testing.T) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(convolution())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("probe.onnx", b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile("probe.onnx"); err != nil || !bytes.Equal(b, want) {
		t.Errorf("probe.onnx has %d bytes (%v), want the %d of the model here: go test ./runtime -run TestProbe -update", len(want), err, len(b))
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
