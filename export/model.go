package export

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

const (
	opset     = 17 // of the default domain
	irVersion = 8

	// Producer is the name that exported files carry.
	Producer = "ebm"
)

// Options say what an exported file carries beside the function.
type Options struct {
	// Doc describes the model, and Docs its inputs and outputs by name.
	Doc  string
	Docs map[string]string
	// Metadata become the file's metadata_props, sorted by key.
	Metadata map[string]string
	// Sizes fixes symbolic dimensions, such as {"N": 128}; others stay dynamic.
	Sizes map[string]int
	// Unroll replaces Scans of a fixed number of steps by these steps, for devices,
	// whose providers have none.
	Unroll bool
	// Passes replace the list of Passes when they are not nil.
	Passes []Pass
	// Version of the producer.
	Version string
	// Captured is for a model that is loaded at once on CUDA, whose products and joins then find
	// all that they need on the device: ONNX Runtime sends the places of operands from the host at
	// each run where one matrix meets many, or where more than 32 values or values of unequal sizes
	// are joined. A CUDA graph, which repeats a run, wants a model without.
	Captured bool
	// Elu has ELU, and its slope of that, as a node each: fewer passes over memory on a device.
	// Otherwise both are written by parts and share an exponential.
	Elu bool
	// Count, when not nil, has the model draw one of its inputs from counters. See CountNoise.
	Count *Counted
	// Arithmetic says how convolutions and products of matrices compute, for a model that is
	// loaded at once; the zero value is float32, and for files.
	Arithmetic Arithmetic
	// Block is the number of channels in a block of ONNX Runtime's own layout
	// on the processor at hand, for a model that is loaded at once and never
	// leaves as a file: it is no standard ONNX. 0 is for files.
	Block int
}

// Counted says which input a model draws from counters, and under which key, such as
// [rng.SquaresKey] makes; 0 makes the key an input too.
type Counted struct {
	Input  string
	Key    uint64
	Single bool // the input is [N …], of one step, and not [K N …]
	// Halves makes all integers of 32 bits, for devices that have no others. A key is
	// two, the lower bits first.
	Halves bool
}

// Integers returns numbers in the type of the inputs of such a model.
func (o Counted) Integers(v ...int64) *tensor.Tensor {
	if !o.Halves {
		return tensor.Of(v, len(v))
	}
	t := tensor.New(tensor.Int32, len(v))
	for i, n := range v {
		tensor.Data[int32](t)[i] = int32(n)
	}
	return t
}

// KeyBits returns a key as such a model takes it.
func (o Counted) KeyBits(key uint64) *tensor.Tensor {
	if o.Halves {
		return o.Integers(int64(key&math.MaxUint32), int64(key>>32))
	}
	return o.Integers(int64(key))
}

// Model returns the ONNX model of g. The error is a *graph.Error when an
// operator cannot be expressed.
func Model(g *graph.Graph, o Options) (*onnxpb.ModelProto, error) {
	var m *onnxpb.ModelProto
	var wrongOrder error
	err := graph.Catch(func() {
		if len(o.Sizes) > 0 {
			g = fixSizes(g, o.Sizes)
		}
		if o.Unroll {
			g = unroll(g)
		}
		passes := o.Passes
		if passes == nil {
			passes = Passes()
		}
		optimised, err := Optimise(g, passes, nil)
		if err != nil {
			wrongOrder = err
			return
		}
		l := newLowering(optimised, nil, o.Block, o.Arithmetic)
		l.captured, l.elu = o.Captured, o.Elu
		version, ir := o.Arithmetic.opset()
		m = &onnxpb.ModelProto{
			IrVersion:       proto.Int64(ir),
			ProducerName:    proto.String(Producer),
			ProducerVersion: proto.String(o.Version),
			OpsetImport:     []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(version)}},
			Graph:           l.graphProto(o.Docs),
		}
		if o.Block > 0 {
			m.OpsetImport = append(m.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String(blockedDomain), Version: proto.Int64(1)})
		}
	})
	if err = cmp.Or(err, wrongOrder); err != nil {
		return nil, fmt.Errorf("export %s: %w", g.Name(), err)
	}
	if o.Count != nil {
		if err := CountNoise(m, *o.Count); err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
	}
	if o.Doc != "" {
		m.DocString = proto.String(o.Doc)
		m.Graph.DocString = proto.String(o.Doc)
	}
	for _, key := range slices.Sorted(maps.Keys(o.Metadata)) {
		m.MetadataProps = append(m.MetadataProps, &onnxpb.StringStringEntryProto{
			Key: proto.String(key), Value: proto.String(o.Metadata[key]),
		})
	}
	return m, nil
}

// Bytes returns the serialised ONNX model of g, which must stay below 2 GB;
// WriteFile has no such limit.
func Bytes(g *graph.Graph, o Options) ([]byte, error) {
	m, err := Model(g, o)
	if err != nil {
		return nil, err
	}
	return Marshal(m)
}

// Marshal serialises a model, which must stay below 2 GB. Equal models give
// equal bytes.
func Marshal(m *onnxpb.ModelProto) ([]byte, error) {
	if n := proto.Size(m); n > maxProto {
		return nil, fmt.Errorf("export %s: %d bytes are more than the %d that one ONNX message may have", m.Graph.GetName(), n, maxProto)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("serialise ONNX model: %w", err)
	}
	return b, nil
}
