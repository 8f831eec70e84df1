package export

import (
	bin "encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// onnxTypes maps element types to those of ONNX.
var onnxTypes = map[tensor.DType]onnxpb.TensorProto_DataType{
	tensor.Float32: onnxpb.TensorProto_FLOAT, tensor.Float64: onnxpb.TensorProto_DOUBLE,
	tensor.Float16: onnxpb.TensorProto_FLOAT16, tensor.BFloat16: onnxpb.TensorProto_BFLOAT16,
	tensor.Int8: onnxpb.TensorProto_INT8, tensor.Int16: onnxpb.TensorProto_INT16,
	tensor.Int32: onnxpb.TensorProto_INT32, tensor.Int64: onnxpb.TensorProto_INT64,
	tensor.Uint8: onnxpb.TensorProto_UINT8, tensor.Bool: onnxpb.TensorProto_BOOL,
}

func valueInfo(name string, t graph.Type, doc string) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, d := range t.Shape {
		dim := &onnxpb.TensorShapeProto_Dimension{}
		if n, ok := d.Constant(); ok {
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(n)}
		} else {
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d.String()}
		}
		shape.Dim = append(shape.Dim, dim)
	}
	v := &onnxpb.ValueInfoProto{
		Name: proto.String(name),
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
			ElemType: proto.Int32(int32(onnxTypes[t.DType])), Shape: shape,
		}}},
	}
	if doc != "" {
		v.DocString = proto.String(doc)
	}
	return v
}

// tensorProto returns t as an initialiser with raw little-endian data.
func tensorProto(name string, t *tensor.Tensor) *onnxpb.TensorProto {
	p := &onnxpb.TensorProto{
		Name: proto.String(name), DataType: proto.Int32(int32(onnxTypes[t.DType()])), RawData: rawData(t),
	}
	for _, d := range t.Shape() {
		p.Dims = append(p.Dims, int64(d))
	}
	return p
}

func rawData(t *tensor.Tensor) []byte {
	b := make([]byte, 0, t.Len()*t.DType().Size())
	le := bin.LittleEndian
	switch data := t.Raw().(type) {
	case []float32:
		for _, v := range data {
			b = le.AppendUint32(b, math.Float32bits(v))
		}
	case []float64:
		for _, v := range data {
			b = le.AppendUint64(b, math.Float64bits(v))
		}
	case []int64:
		for _, v := range data {
			b = le.AppendUint64(b, uint64(v))
		}
	case []int32:
		for _, v := range data {
			b = le.AppendUint32(b, uint32(v))
		}
	case []int16:
		for _, v := range data {
			b = le.AppendUint16(b, uint16(v))
		}
	case []tensor.Float16Bits:
		for _, v := range data {
			b = le.AppendUint16(b, uint16(v))
		}
	case []tensor.BFloat16Bits:
		for _, v := range data {
			b = le.AppendUint16(b, uint16(v))
		}
	case []int8:
		for _, v := range data {
			b = append(b, byte(v))
		}
	case []uint8:
		b = append(b, data...)
	case []bool:
		for _, v := range data {
			if v {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
		}
	default:
		panic(fmt.Sprintf("export: elements of type %v", t.DType()))
	}
	return b
}

func intAttr(name string, v int) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(int64(v))}
}

func floatAttr(name string, v float32) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_FLOAT.Enum(), F: proto.Float32(v)}
}

func intsAttr(name string, v ...int) *onnxpb.AttributeProto {
	a := &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_INTS.Enum()}
	for _, n := range v {
		a.Ints = append(a.Ints, int64(n))
	}
	return a
}

func stringAttr(name, v string) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_STRING.Enum(), S: []byte(v)}
}

func graphAttr(name string, g *onnxpb.GraphProto) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: g}
}

func tensorAttr(name string, t *tensor.Tensor) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: tensorProto("", t)}
}
