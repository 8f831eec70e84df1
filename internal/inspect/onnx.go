package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"ebm/export/onnxpb"
)

// ONNX describes an ONNX model.
type ONNX struct {
	Bytes           int64             `json:"bytes"` // of the file itself
	IRVersion       int64             `json:"ir_version"`
	Opsets          []Opset           `json:"opsets"`
	Producer        string            `json:"producer"`
	ProducerVersion string            `json:"producer_version,omitempty"`
	Doc             string            `json:"doc,omitempty"`
	Graph           string            `json:"graph,omitempty"`
	Metadata        map[string]string `json:"metadata"`
	Inputs          []Value           `json:"inputs"`
	Outputs         []Value           `json:"outputs"`
	// Nodes, Operators and Weights count those of subgraphs and functions too.
	Nodes     int         `json:"nodes"`
	Subgraphs int         `json:"subgraphs"`
	Functions int         `json:"functions"`
	Operators []Operator  `json:"operators"`
	Weights   WeightCount `json:"weights"`
	External  []DataFile  `json:"external_data,omitempty"`
}

// Opset is a set of operators that a model uses, at some version. The
// standard one has the domain "".
type Opset struct {
	Domain  string `json:"domain"`
	Version int64  `json:"version"`
}

// Value is an input or output of a model. An input with a default has an
// initialiser that is taken when the input is not given.
type Value struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // such as float32[N 1 32 32]
	Doc     string `json:"doc,omitempty"`
	Default bool   `json:"default,omitempty"`
}

// Operator is how often an operator occurs. Operators outside of the standard
// set are called domain.Name.
type Operator struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// WeightCount sums up a model's initialisers. Bytes are those of their
// elements, in the file or beside it.
type WeightCount struct {
	Tensors  int   `json:"tensors"`
	Elements int64 `json:"elements"`
	Bytes    int64 `json:"bytes"`
}

// The numbers of the fields of ONNX's messages that are walked through.
const (
	modelIRVersion       protowire.Number = 1
	modelProducer        protowire.Number = 2
	modelProducerVersion protowire.Number = 3
	modelDoc             protowire.Number = 6
	modelGraph           protowire.Number = 7
	modelOpset           protowire.Number = 8
	modelMetadata        protowire.Number = 14
	modelFunction        protowire.Number = 25

	graphNode        protowire.Number = 1
	graphName        protowire.Number = 2
	graphInitializer protowire.Number = 5
	graphInput       protowire.Number = 11
	graphOutput      protowire.Number = 12
	graphSparse      protowire.Number = 15

	nodeOp        protowire.Number = 4
	nodeAttribute protowire.Number = 5
	nodeDomain    protowire.Number = 7

	attributeGraph  protowire.Number = 6
	attributeGraphs protowire.Number = 11

	functionNode protowire.Number = 7
	sparseValues protowire.Number = 1
)

const (
	// maxEntries bounds the lists and tables that a description holds.
	maxEntries = 1 << 16
	// maxDepth bounds how deep subgraphs may nest.
	maxDepth = 64
)

// onnxReader gathers the description of one model.
type onnxReader struct {
	*wire
	model       *ONNX
	operators   map[string]int
	initialised map[string]bool // names in the main graph
	external    map[string]*DataFile
	entries     int
}

func describeONNXFile(ctx context.Context, path string) (*ONNX, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m, err := describeONNX(ctx, f, info.Size(), filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%s: not a readable ONNX model: %w", path, err)
	}
	return m, nil
}

// describeONNX reads a model of size bytes. Its external data are looked for
// in dir.
func describeONNX(ctx context.Context, r io.ReaderAt, size int64, dir string) (*ONNX, error) {
	d := &onnxReader{
		wire: newWire(ctx, r),
		model: &ONNX{
			Bytes: size, Opsets: []Opset{}, Metadata: map[string]string{},
			Inputs: []Value{}, Outputs: []Value{}, Operators: []Operator{},
		},
		operators: map[string]int{}, initialised: map[string]bool{}, external: map[string]*DataFile{},
	}
	graphs := 0
	err := d.each(span{0, size}, func(f field) error {
		if f.num == modelGraph {
			graphs++
		}
		return d.modelField(f)
	})
	switch {
	case err != nil:
		return nil, err
	case graphs != 1:
		return nil, fmt.Errorf("%d graphs in it, wanted 1", graphs)
	case len(d.model.Outputs) == 0:
		return nil, errors.New("its graph has no outputs")
	}
	for i, v := range d.model.Inputs {
		d.model.Inputs[i].Default = d.initialised[v.Name]
	}
	for name, n := range d.operators {
		d.model.Operators = append(d.model.Operators, Operator{name, n})
	}
	slices.SortFunc(d.model.Operators, func(a, b Operator) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	for _, location := range slices.Sorted(maps.Keys(d.external)) {
		file := d.external[location]
		file.look(dir)
		d.model.External = append(d.model.External, *file)
	}
	return d.model, nil
}

func (d *onnxReader) modelField(f field) error {
	m := d.model
	switch f.num {
	case modelIRVersion:
		m.IRVersion = int64(f.value)
	case modelProducer:
		return d.text(f, &m.Producer)
	case modelProducerVersion:
		return d.text(f, &m.ProducerVersion)
	case modelDoc:
		return d.text(f, &m.Doc)
	case modelOpset:
		var o onnxpb.OperatorSetIdProto
		if err := d.message(f, &o); err != nil {
			return err
		}
		m.Opsets = append(m.Opsets, Opset{standardDomain(o.GetDomain()), o.GetVersion()})
		return d.entry("opsets")
	case modelMetadata:
		var kv onnxpb.StringStringEntryProto
		if err := d.message(f, &kv); err != nil {
			return err
		}
		m.Metadata[kv.GetKey()] = kv.GetValue()
		return d.entry("metadata")
	case modelGraph:
		return d.graph(f, 0)
	case modelFunction:
		m.Functions++
		return d.within(f, func(f field) error {
			if f.num == functionNode {
				return d.node(f, 0)
			}
			return nil
		})
	}
	return nil
}

// graph reads the main graph, at depth 0, or one inside an attribute.
func (d *onnxReader) graph(f field, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("at byte %d: subgraphs nest more than %d deep", f.at, maxDepth)
	}
	return d.within(f, func(f field) error {
		switch f.num {
		case graphNode:
			return d.node(f, depth)
		case graphInitializer:
			return d.initialiser(f, depth)
		case graphSparse:
			return d.within(f, func(f field) error {
				if f.num == sparseValues {
					return d.initialiser(f, depth)
				}
				return nil
			})
		}
		if depth > 0 {
			return nil
		}
		switch f.num {
		case graphName:
			return d.text(f, &d.model.Graph)
		case graphInput:
			return d.valueInfo(f, &d.model.Inputs)
		case graphOutput:
			return d.valueInfo(f, &d.model.Outputs)
		}
		return nil
	})
}

func (d *onnxReader) node(f field, depth int) error {
	var op, domain string
	err := d.within(f, func(f field) error {
		switch f.num {
		case nodeOp:
			return d.text(f, &op)
		case nodeDomain:
			return d.text(f, &domain)
		case nodeAttribute:
			return d.within(f, func(f field) error {
				if f.num != attributeGraph && f.num != attributeGraphs {
					return nil
				}
				d.model.Subgraphs++
				return d.graph(f, depth+1)
			})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if op == "" {
		return fmt.Errorf("at byte %d: a node without an operator", f.at)
	}
	if domain = standardDomain(domain); domain != "" {
		op = domain + "." + op
	}
	d.model.Nodes++
	d.operators[op]++
	if d.operators[op] == 1 {
		return d.entry("operators")
	}
	return nil
}

func (d *onnxReader) valueInfo(f field, list *[]Value) error {
	var v onnxpb.ValueInfoProto
	if err := d.message(f, &v); err != nil {
		return err
	}
	*list = append(*list, Value{Name: v.GetName(), Type: typeText(v.GetType(), 0), Doc: v.GetDocString()})
	return d.entry("inputs and outputs")
}

// within calls g with every field of the message that f holds.
func (d *onnxReader) within(f field, g func(field) error) error {
	if f.typ != protowire.BytesType {
		return fmt.Errorf("at byte %d: field %d has wire type %d, wanted a message", f.at, f.num, f.typ)
	}
	return d.each(f.content, g)
}

// entry counts what the description holds, so that a small file cannot make a
// large one.
func (d *onnxReader) entry(what string) error {
	if d.entries++; d.entries > maxEntries {
		return fmt.Errorf("too many %s: more than %d entries in all", what, maxEntries)
	}
	return nil
}

// standardDomain gives the standard operators' domain one name.
func standardDomain(domain string) string {
	if domain == "ai.onnx" {
		return ""
	}
	return domain
}
