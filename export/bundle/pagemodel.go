package bundle

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"ebm/export"
	"ebm/export/onnxpb"
	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Precisions are those that PageOptions takes: int8 is for the weights of
// convolutions, with a scale a channel, and float16 for all large ones.
func Precisions() []string { return []string{"int8", "float16", "float32"} }

// precision is the one that a model has on a page unless another is chosen.
func (w *writer) precision() string {
	if _, own := w.Network.(energy.Picture); own || w.Metadata["composition"] != "" {
		return "int8"
	}
	return "float32"
}

// pageModel returns the score's file with weights of a precision, and adds to
// info what its inputs and outputs say.
func (w *writer) pageModel(precision string, info *about) ([]byte, error) {
	b, err := w.Score()
	if err != nil {
		return nil, err
	}
	m := new(onnxpb.ModelProto)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("read the score's file: %w", err)
	}
	info.hash = sha256Of(b)
	for _, v := range m.Graph.Input {
		if dims := dimsOf(v); v.GetName() == "x" && len(dims) > 0 {
			info.Batch = int(dims[0].GetDimValue())
		}
	}
	info.Energy = slices.ContainsFunc(m.Graph.Output, func(v *onnxpb.ValueInfoProto) bool { return v.GetName() == "energy" })
	shareWeights(m.Graph)
	switch precision {
	case "float32":
	case "float16":
		halfWeights(m.Graph)
	case "int8":
		if opset, least := standardOpset(m), int64(13); opset < least {
			return nil, fmt.Errorf("precision int8 of a file of opset %d, want opset %d or later", opset, least)
		}
		if _, err := export.QuantiseWeights(m); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("precision %q, want one of %s", precision, strings.Join(Precisions(), ", "))
	}
	return export.Marshal(m)
}

// standardOpset is the version of the standard operators in a file.
func standardOpset(m *onnxpb.ModelProto) int64 {
	for _, o := range m.OpsetImport {
		if o.GetDomain() == "" || o.GetDomain() == "ai.onnx" {
			return o.GetVersion()
		}
	}
	return 0
}

// shareWeights keeps one initialiser of those that are equal, as compositions have
// when an energy is in them more than once. Bodies of Scans and branches have names of
// their own, and are left alone.
func shareWeights(g *onnxpb.GraphProto) {
	if slices.ContainsFunc(g.Node, func(n *onnxpb.NodeProto) bool {
		return slices.ContainsFunc(n.Attribute, func(a *onnxpb.AttributeProto) bool { return a.G != nil })
	}) {
		return
	}
	named := func(list []*onnxpb.ValueInfoProto, name string) bool {
		return slices.ContainsFunc(list, func(v *onnxpb.ValueInfoProto) bool { return v.GetName() == name })
	}
	first, other := map[string]string{}, map[string]string{}
	g.Initializer = slices.DeleteFunc(g.Initializer, func(t *onnxpb.TensorProto) bool {
		if len(t.RawData) == 0 || named(g.Input, t.GetName()) || named(g.Output, t.GetName()) {
			return false
		}
		key := fmt.Sprint(t.GetDataType(), t.Dims, sha256Of(t.RawData))
		if first[key] == "" {
			first[key] = t.GetName()
			return false
		}
		other[t.GetName()] = first[key]
		return true
	})
	for _, n := range g.Node {
		for i, name := range n.Input {
			n.Input[i] = cmp.Or(other[name], name)
		}
	}
}

// halfWeights keeps large float32 initialisers as float16, with a Cast before
// their use, which ONNX Runtime makes once when it loads the file.
func halfWeights(g *onnxpb.GraphProto) {
	const worth = 256 // elements
	var casts []*onnxpb.NodeProto
	for _, t := range g.Initializer {
		if t.GetDataType() != int32(onnxpb.TensorProto_FLOAT) || len(t.RawData) < 4*worth {
			continue
		}
		values := make([]float32, len(t.RawData)/4)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.RawData[4*i:]))
		}
		half := tensor.Of(values, len(values)).AsFloat16()
		raw := make([]byte, 0, 2*len(values))
		for _, v := range tensor.Data[tensor.Float16Bits](half) {
			raw = append(raw, byte(v), byte(v>>8))
		}
		name := t.GetName()
		t.Name, t.RawData, t.DataType = proto.String(name+".float16"), raw, proto.Int32(int32(onnxpb.TensorProto_FLOAT16))
		casts = append(casts, &onnxpb.NodeProto{
			OpType: proto.String("Cast"), Input: []string{t.GetName()}, Output: []string{name},
			Attribute: []*onnxpb.AttributeProto{{Name: proto.String("to"), Type: onnxpb.AttributeProto_INT.Enum(),
				I: proto.Int64(int64(onnxpb.TensorProto_FLOAT))}},
		})
	}
	g.Node = append(casts, g.Node...)
}

// labelModel returns the file of a classifier x [N …] → probabilities
// [N classes], for pictures of a shape with pad rows and columns around them
// that are no data.
func labelModel(shape []int, pad int, w energy.Weights) ([]byte, error) {
	n, err := classifier.Recognise(w)
	if err != nil {
		return nil, err
	}
	g := graph.New("classifier")
	err = graph.Catch(func() {
		x := g.Input("x", tensor.Float32, graph.Batch(shape...))
		pixels := graph.Scale(graph.Minimum(graph.Maximum(x, graph.Like(x, 0)), graph.Like(x, 1)), 255)
		pixels = graph.Floor(graph.Shift(pixels, 0.5))
		for axis := 2; axis < 4; axis++ {
			pixels = graph.Slice(pixels, axis, pad, shape[axis-1]-pad, 1)
		}
		seen, err := classifier.Preprocess(pixels)
		if err != nil {
			panic(&graph.Error{Op: x.Op(), Operands: []string{x.Type().String()}, Want: err.Error()})
		}
		logits := n.Build(seen, w.Constants(g, n, tensor.Float32)).Logits
		g.Output("probabilities", graph.Exp(graph.LogSoftmax(logits)))
	})
	if err != nil {
		return nil, err
	}
	return export.Bytes(g, export.Options{})
}
