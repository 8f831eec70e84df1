package bundle

import (
	"context"
	"fmt"
	"strings"

	"ebm/export/onnxpb"
)

// tritonBatch is the largest batch that the server is told to form.
const tritonBatch = 128

// writeTriton writes NAME_KIND/config.pbtxt and NAME_KIND/1/model.onnx for each
// kind. The configuration comes last, without which the server sees no model.
func writeTriton(ctx context.Context, w *writer) error {
	for _, kind := range w.Kinds {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := w.model(kind)
		if err != nil {
			return err
		}
		name := w.Name + "_" + kind
		config, err := tritonConfig(name, m)
		if err != nil {
			return err
		}
		if err := w.putModel(name+"/1/model.onnx", m); err != nil {
			return err
		}
		if err := w.put(name+"/config.pbtxt", []byte(config)); err != nil {
			return err
		}
	}
	w.result.Use = "tritonserver --model-repository=" + w.dir
	return nil
}

// tritonTypes are the server's names for the types that files here have.
var tritonTypes = map[int32]string{
	int32(onnxpb.TensorProto_FLOAT): "TYPE_FP32", int32(onnxpb.TensorProto_INT64): "TYPE_INT64",
}

// tritonConfig describes a model in the text form of Triton's ModelConfig. The
// server forms batches of models whose inputs and outputs all begin with N;
// others it is told to leave as they are.
func tritonConfig(name string, m *onnxpb.ModelProto) (string, error) {
	values := append(append([]*onnxpb.ValueInfoProto{}, m.Graph.Input...), m.Graph.Output...)
	batched := true
	for _, v := range values {
		dims := dimsOf(v)
		batched = batched && len(dims) > 0 && dims[0].GetDimParam() == "N"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "name: %q\nbackend: \"onnxruntime\"\n", name)
	if batched {
		fmt.Fprintf(&b, "max_batch_size: %d\ndynamic_batching {\n  max_queue_delay_microseconds: 1000\n}\n", tritonBatch)
	} else {
		b.WriteString("max_batch_size: 0\n")
	}
	for _, v := range values[:len(m.Graph.Input)] {
		if err := tritonValue(&b, "input", v, batched); err != nil {
			return "", err
		}
	}
	for _, v := range m.Graph.Output {
		if err := tritonValue(&b, "output", v, batched); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func dimsOf(v *onnxpb.ValueInfoProto) []*onnxpb.TensorShapeProto_Dimension {
	return v.GetType().GetTensorType().GetShape().GetDim()
}

func tritonValue(b *strings.Builder, field string, v *onnxpb.ValueInfoProto, batched bool) error {
	dtype, ok := tritonTypes[v.GetType().GetTensorType().GetElemType()]
	if !ok {
		return fmt.Errorf("%s %s has element type %d, want float32 or int64", field, v.GetName(), v.GetType().GetTensorType().GetElemType())
	}
	dims := dimsOf(v)
	if batched {
		dims = dims[1:]
	}
	sizes := make([]string, len(dims))
	for i, d := range dims {
		sizes[i] = "-1"
		if d.GetDimParam() == "" {
			sizes[i] = fmt.Sprint(d.GetDimValue())
		}
	}
	reshape := ""
	if len(sizes) == 0 { // the server has no scalars: it sees [1], the model nothing
		sizes, reshape = []string{"1"}, "  reshape { shape: [ ] }\n"
	}
	fmt.Fprintf(b, "%s {\n  name: %q\n  data_type: %s\n  dims: [ %s ]\n%s}\n", field, v.GetName(), dtype, strings.Join(sizes, ", "), reshape)
	return nil
}
