package onnximport_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/models/tensor"
)

// arg is one operand of a test's node: an input, a constant, or absent.
type arg struct {
	value  *tensor.Tensor
	fixed  bool // an initialiser
	absent bool
}

var none = arg{absent: true}

// of returns an input of float32 elements that draw makes.
func of(draw func(rng *rand.Rand, i int) float64) func(shape ...int) arg {
	return func(shape ...int) arg {
		t := tensor.New(tensor.Float32, shape...)
		rng := rand.New(rand.NewPCG(uint64(len(shape)), uint64(t.Len())))
		for i := range tensor.Data[float32](t) {
			tensor.Data[float32](t)[i] = float32(draw(rng, i))
		}
		return arg{value: t}
	}
}

// The kinds of floating-point inputs: normal; between ½ and 2; ½ or more from 0
// and from other elements; and between −0.9 and 0.9.
func v(shape ...int) arg {
	return of(func(rng *rand.Rand, _ int) float64 { return rng.NormFloat64() })(shape...)
}

func positive(shape ...int) arg {
	return of(func(rng *rand.Rand, _ int) float64 { return 0.5 + 1.5*rng.Float64() })(shape...)
}

func apart(shape ...int) arg {
	n := tensor.Volume(shape)
	order := rand.New(rand.NewPCG(9, uint64(n))).Perm(n)
	return of(func(rng *rand.Rand, i int) float64 { return float64(order[i]-n/2) + 0.2 + 0.2*rng.Float64() })(shape...)
}

func small(shape ...int) arg {
	return of(func(rng *rand.Rand, _ int) float64 { return 1.8*rng.Float64() - 0.9 })(shape...)
}

func truth(shape ...int) arg {
	t := tensor.New(tensor.Bool, shape...)
	rng := rand.New(rand.NewPCG(3, uint64(t.Len())))
	for i := range tensor.Data[bool](t) {
		tensor.Data[bool](t)[i] = rng.IntN(2) == 1
	}
	return arg{value: t}
}

// whole is an input of int64 elements, row by row.
func whole(shape []int, values ...int64) arg { return arg{value: tensor.Of(values, shape...)} }

// ints and floats are constants; scalars have no axis.
func ints(values ...int64) arg { return arg{value: tensor.Of(values, len(values)), fixed: true} }

func floats(values ...float32) arg { return arg{value: tensor.Of(values, len(values)), fixed: true} }

func scalar(v float32) arg { return arg{value: tensor.Of([]float32{v}), fixed: true} }

func scalarInt(v int64) arg { return arg{value: tensor.Of([]int64{v}), fixed: true} }

func weight(a arg) arg {
	a.fixed = true
	return a
}

// attrs are attributes by name: int, []int, float64, []float64, string,
// []string, *tensor.Tensor or *onnxpb.GraphProto.
type attrs map[string]any

func attribute(name string, v any) *onnxpb.AttributeProto {
	a := &onnxpb.AttributeProto{Name: proto.String(name)}
	switch v := v.(type) {
	case int:
		a.Type, a.I = onnxpb.AttributeProto_INT.Enum(), proto.Int64(int64(v))
	case []int:
		a.Type = onnxpb.AttributeProto_INTS.Enum()
		for _, n := range v {
			a.Ints = append(a.Ints, int64(n))
		}
	case float64:
		a.Type, a.F = onnxpb.AttributeProto_FLOAT.Enum(), proto.Float32(float32(v))
	case []float64:
		a.Type = onnxpb.AttributeProto_FLOATS.Enum()
		for _, f := range v {
			a.Floats = append(a.Floats, float32(f))
		}
	case string:
		a.Type, a.S = onnxpb.AttributeProto_STRING.Enum(), []byte(v)
	case []string:
		a.Type = onnxpb.AttributeProto_STRINGS.Enum()
		for _, s := range v {
			a.Strings = append(a.Strings, []byte(s))
		}
	case *tensor.Tensor:
		a.Type, a.T = onnxpb.AttributeProto_TENSOR.Enum(), protoOf("", v)
	case *onnxpb.GraphProto:
		a.Type, a.G = onnxpb.AttributeProto_GRAPH.Enum(), v
	default:
		panic(fmt.Sprintf("attribute %s of type %T", name, v))
	}
	return a
}

func elementType(t *tensor.Tensor) onnxpb.TensorProto_DataType {
	switch t.DType() {
	case tensor.Float32:
		return onnxpb.TensorProto_FLOAT
	case tensor.Float64:
		return onnxpb.TensorProto_DOUBLE
	case tensor.Float16:
		return onnxpb.TensorProto_FLOAT16
	case tensor.BFloat16:
		return onnxpb.TensorProto_BFLOAT16
	case tensor.Int64:
		return onnxpb.TensorProto_INT64
	case tensor.Int32:
		return onnxpb.TensorProto_INT32
	case tensor.Int8:
		return onnxpb.TensorProto_INT8
	case tensor.Uint8:
		return onnxpb.TensorProto_UINT8
	case tensor.Bool:
		return onnxpb.TensorProto_BOOL
	}
	panic(fmt.Sprintf("elements of %v", t))
}

// protoOf holds elements in the lists of their type.
func protoOf(name string, t *tensor.Tensor) *onnxpb.TensorProto {
	p := &onnxpb.TensorProto{Name: proto.String(name), DataType: proto.Int32(int32(elementType(t)))}
	for _, d := range t.Shape() {
		p.Dims = append(p.Dims, int64(d))
	}
	switch data := t.Raw().(type) {
	case []float32:
		p.FloatData = data
	case []float64:
		p.DoubleData = data
	case []int64:
		p.Int64Data = data
	case []int32:
		p.Int32Data = data
	case []tensor.Float16Bits:
		for _, h := range data {
			p.Int32Data = append(p.Int32Data, int32(h))
		}
	case []tensor.BFloat16Bits:
		for _, h := range data {
			p.Int32Data = append(p.Int32Data, int32(h))
		}
	case []int8:
		for _, n := range data {
			p.Int32Data = append(p.Int32Data, int32(n))
		}
	case []uint8:
		for _, n := range data {
			p.Int32Data = append(p.Int32Data, int32(n))
		}
	case []bool:
		for _, b := range data {
			p.Int32Data = append(p.Int32Data, map[bool]int32{true: 1}[b])
		}
	}
	return p
}

func inputInfo(name string, t *tensor.Tensor) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, d := range t.Shape() {
		shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{
			Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}})
	}
	return &onnxpb.ValueInfoProto{Name: proto.String(name), Type: &onnxpb.TypeProto{
		Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
			ElemType: proto.Int32(int32(elementType(t))), Shape: shape}}}}
}

// node returns a node; values are separated names, "" for an absent one.
func node(op string, in, out []string, a attrs) *onnxpb.NodeProto {
	n := &onnxpb.NodeProto{OpType: proto.String(op), Name: proto.String(op + "_node"), Input: in, Output: out}
	if at := strings.LastIndex(op, "."); at >= 0 {
		n.Domain, n.OpType = proto.String(op[:at]), proto.String(op[at+1:])
	}
	for name, v := range a {
		n.Attribute = append(n.Attribute, attribute(name, v))
	}
	return n
}

// model returns a model of nodes, and the values of its inputs.
func model(version int, args map[string]arg, outputs []string, nodes ...*onnxpb.NodeProto) (*onnxpb.ModelProto, map[string]*tensor.Tensor) {
	g := &onnxpb.GraphProto{Name: proto.String("test"), Node: nodes}
	inputs := make(map[string]*tensor.Tensor)
	for name, a := range args {
		switch {
		case a.absent:
		case a.fixed:
			g.Initializer = append(g.Initializer, protoOf(name, a.value))
		default:
			g.Input = append(g.Input, inputInfo(name, a.value))
			inputs[name] = a.value
		}
	}
	for _, name := range outputs {
		g.Output = append(g.Output, &onnxpb.ValueInfoProto{Name: proto.String(name)})
	}
	return &onnxpb.ModelProto{
		IrVersion: proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{
			{Domain: proto.String(""), Version: proto.Int64(int64(version))}, {Domain: proto.String("com.microsoft"), Version: proto.Int64(1)},
			{Domain: proto.String("ai.onnx.ml"), Version: proto.Int64(3)},
		},
		Graph: g,
	}, inputs
}

func bytesOf(m *onnxpb.ModelProto) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}
