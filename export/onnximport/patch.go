package onnximport

import (
	bin "encoding/binary"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/models/tensor"
)

// Patch returns a model, the bytes of an ONNX file in the folder dir, in which
// floating-point initialisers have other values, in the element types that they
// had. All else is as it was, but that external data are in the file, and that
// batch normalisation and dropout are not in training mode, which runtimes of
// inference refuse. Values of another shape, or for names that it does not have, are
// errors, and so is a model that becomes larger than 2 GB.
func Patch(model []byte, dir string, values map[string]*tensor.Tensor) ([]byte, error) {
	p := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(model, p); err != nil || p.Graph == nil {
		return nil, fmt.Errorf("not an ONNX model: %w", err)
	}
	left := len(values)
	for _, t := range p.Graph.Initializer {
		v, kind := values[t.GetName()], onnxpb.TensorProto_DataType(t.GetDataType())
		if v == nil {
			if t.GetDataLocation() != onnxpb.TensorProto_EXTERNAL {
				continue
			}
			count := int64(elementSize(kind))
			for _, d := range t.Dims {
				count *= d
			}
			var err error
			if t.RawData, err = external(t, dir, count); err != nil {
				return nil, fmt.Errorf("initialiser %q: %w", t.GetName(), err)
			}
		} else {
			left--
			if has := v.Shape(); !sameDims(has, t.Dims) {
				return nil, fmt.Errorf("initialiser %q of shape %v, want %v", t.GetName(), has, t.Dims)
			}
			var err error
			if t.RawData, err = rawOf(v, kind); err != nil {
				return nil, fmt.Errorf("initialiser %q: %w", t.GetName(), err)
			}
			t.FloatData, t.DoubleData, t.Int32Data = nil, nil, nil
		}
		t.DataLocation, t.ExternalData = nil, nil
	}
	if left > 0 {
		return nil, fmt.Errorf("%d of %d values are of no initialiser of the model", left, len(values))
	}
	inUse(p.Graph)
	if n := proto.Size(p); n > math.MaxInt32 {
		return nil, fmt.Errorf("a model of %d bytes, want %d at most", n, math.MaxInt32)
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(p)
}

// inUse takes nodes out of training mode.
func inUse(g *onnxpb.GraphProto) {
	for _, n := range g.Node {
		switch n.GetOpType() {
		case "BatchNormalization":
			for _, a := range n.Attribute {
				if a.GetName() == "training_mode" && a.GetI() != 0 {
					a.I = proto.Int64(0)
					n.Output = n.Output[:1] // the others are of training alone
				}
			}
		case "Dropout":
			n.Input = n.Input[:min(2, len(n.Input))]
		}
	}
}

func sameDims(shape []int, dims []int64) bool {
	return slices.EqualFunc(shape, dims, func(a int, b int64) bool { return int64(a) == b })
}

// rawOf returns the elements of v as raw data of a floating-point type.
func rawOf(v *tensor.Tensor, kind onnxpb.TensorProto_DataType) ([]byte, error) {
	raw := make([]byte, 0, v.Len()*elementSize(kind))
	le := bin.LittleEndian
	for _, x := range v.Float64s() {
		switch kind {
		case onnxpb.TensorProto_FLOAT:
			raw = le.AppendUint32(raw, math.Float32bits(float32(x)))
		case onnxpb.TensorProto_DOUBLE:
			raw = le.AppendUint64(raw, math.Float64bits(x))
		case onnxpb.TensorProto_FLOAT16:
			raw = le.AppendUint16(raw, uint16(tensor.ToFloat16(float32(x))))
		case onnxpb.TensorProto_BFLOAT16:
			raw = le.AppendUint16(raw, toBFloat16(float32(x)))
		default:
			return nil, fmt.Errorf("elements of type %v, want floating-point numbers", kind)
		}
	}
	return raw, nil
}

// toBFloat16 returns the bits of the bfloat16 value nearest to v, the even one of
// two that are equally near.
func toBFloat16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40 // a NaN stays one
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
