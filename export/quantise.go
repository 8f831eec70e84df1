package export

import (
	bin "encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
)

// quantisable is the number of elements from which a weight is worth storing
// as integers.
const quantisable = 64

// QuantiseWeights stores the weights of a model's convolutions, initialisers
// of type float32 with three axes or more, as int8, those inside of Scans too.
// Each output channel c (the first axis) has a scale of its own,
//
//	w = s[c]·q,  s[c] = max|w[c …]|/127,  q in −127 … 127,
//
// and a DequantizeLinear gives the weight back under its old name, so that all
// arithmetic stays in float32. It returns the number of weights that were
// changed, and an error for a weight that is not finite.
func QuantiseWeights(m *onnxpb.ModelProto) (int, error) { return quantiseGraph(m.Graph) }

func quantiseGraph(g *onnxpb.GraphProto) (int, error) {
	count := 0
	var kept, added []*onnxpb.TensorProto
	var nodes []*onnxpb.NodeProto
	for _, t := range g.Initializer {
		if t.GetDataType() != int32(onnxpb.TensorProto_FLOAT) || len(t.Dims) < 3 || len(t.RawData) < 4*quantisable {
			kept = append(kept, t)
			continue
		}
		q, scale, zero, err := quantise(t)
		if err != nil {
			return 0, err
		}
		added = append(added, q, scale, zero)
		nodes = append(nodes, &onnxpb.NodeProto{
			OpType: proto.String("DequantizeLinear"), Name: proto.String("DequantizeLinear_" + t.GetName()),
			Input: []string{q.GetName(), scale.GetName(), zero.GetName()}, Output: []string{t.GetName()},
			Attribute: []*onnxpb.AttributeProto{intAttr("axis", 0)},
		})
		count++
	}
	g.Initializer = append(kept, added...)
	g.Node = append(nodes, g.Node...)
	for _, n := range g.Node {
		for _, a := range n.Attribute {
			if a.G == nil {
				continue
			}
			inner, err := quantiseGraph(a.G)
			if err != nil {
				return 0, err
			}
			count += inner
		}
	}
	return count, nil
}

// quantise returns a weight as integers, the scale of each output channel, and
// the zero points, which are 0.
func quantise(t *onnxpb.TensorProto) (q, scale, zero *onnxpb.TensorProto, err error) {
	channels := int(t.Dims[0])
	if channels < 1 || len(t.RawData)%(4*channels) != 0 {
		return nil, nil, nil, fmt.Errorf("weight %s: %d bytes for %v float32 elements", t.GetName(), len(t.RawData), t.Dims)
	}
	each := len(t.RawData) / 4 / channels
	value := func(i int) float64 { return float64(math.Float32frombits(bin.LittleEndian.Uint32(t.RawData[4*i:]))) }
	ints := make([]byte, channels*each)
	var scales []byte
	for c := range channels {
		largest := 0.0
		for i := c * each; i < (c+1)*each; i++ {
			v := value(i)
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, nil, nil, fmt.Errorf("weight %s: element %d is %g, want finite numbers", t.GetName(), i, v)
			}
			largest = math.Max(largest, math.Abs(v))
		}
		s := float32(largest / 127)
		if s == 0 {
			s = 1
		}
		scales = bin.LittleEndian.AppendUint32(scales, math.Float32bits(s))
		for i := c * each; i < (c+1)*each; i++ {
			ints[i] = byte(int8(math.RoundToEven(max(-127, min(127, value(i)/float64(s))))))
		}
	}
	part := func(suffix string, dtype onnxpb.TensorProto_DataType, dims []int64, raw []byte) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: proto.String(t.GetName() + suffix), DataType: proto.Int32(int32(dtype)), Dims: dims, RawData: raw}
	}
	q = part(".int8", onnxpb.TensorProto_INT8, t.Dims, ints)
	scale = part(".scale", onnxpb.TensorProto_FLOAT, t.Dims[:1], scales)
	zero = part(".zero_point", onnxpb.TensorProto_INT8, t.Dims[:1], make([]byte, channels))
	return q, scale, zero, nil
}
