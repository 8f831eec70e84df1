package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"ebm/export/onnxpb"
	"ebm/internal/files"
	"ebm/internal/onnxwire"
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

	sealed bool // whether its content was compared with a hash
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

const (
	// maxEntries bounds the lists and tables that a description holds.
	maxEntries = 1 << 16
	// maxDepth bounds how deep subgraphs may nest.
	maxDepth = 64
)

// onnxReader gathers the description of one model.
type onnxReader struct {
	*onnxwire.Reader
	model       *ONNX
	operators   map[string]int
	initialised map[string]bool // names in the main graph
	external    map[string]*DataFile
	entries     int
}

func describeONNXFile(ctx context.Context, path string) (*ONNX, error) {
	f, err := files.Open(path)
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
	if m.sealed, err = onnxwire.CheckSeal(f, info.Size()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := onnxwire.CheckData(filepath.Dir(path), m.Metadata); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// describeONNX reads a model of size bytes. Its external data are looked for
// in dir.
func describeONNX(ctx context.Context, r io.ReaderAt, size int64, dir string) (*ONNX, error) {
	d := &onnxReader{
		Reader: onnxwire.New(ctx, r),
		model: &ONNX{
			Bytes: size, Opsets: []Opset{}, Metadata: map[string]string{},
			Inputs: []Value{}, Outputs: []Value{}, Operators: []Operator{},
		},
		operators: map[string]int{}, initialised: map[string]bool{}, external: map[string]*DataFile{},
	}
	graphs := 0
	err := d.Each(onnxwire.Span{To: size}, func(f onnxwire.Field) error {
		if f.Num == onnxwire.ModelGraph {
			graphs++
		}
		return d.modelField(f)
	})
	switch {
	case err != nil:
		return nil, err
	case graphs != 1:
		return nil, fmt.Errorf("%d graphs in it, want 1", graphs)
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

func (d *onnxReader) modelField(f onnxwire.Field) error {
	m := d.model
	switch f.Num {
	case onnxwire.ModelIRVersion:
		m.IRVersion = int64(f.Value)
	case onnxwire.ModelProducer:
		return d.Text(f, &m.Producer)
	case onnxwire.ModelProducerVersion:
		return d.Text(f, &m.ProducerVersion)
	case onnxwire.ModelDoc:
		return d.Text(f, &m.Doc)
	case onnxwire.ModelOpset:
		var o onnxpb.OperatorSetIdProto
		if err := d.Message(f, &o); err != nil {
			return err
		}
		m.Opsets = append(m.Opsets, Opset{standardDomain(o.GetDomain()), o.GetVersion()})
		return d.entry("opsets")
	case onnxwire.ModelMetadata:
		var kv onnxpb.StringStringEntryProto
		if err := d.Message(f, &kv); err != nil {
			return err
		}
		m.Metadata[kv.GetKey()] = kv.GetValue()
		return d.entry("metadata")
	case onnxwire.ModelGraph:
		return d.graph(f, 0)
	case onnxwire.ModelFunction:
		m.Functions++
		return d.Within(f, func(f onnxwire.Field) error {
			if f.Num == onnxwire.FunctionNode {
				return d.node(f, 0)
			}
			return nil
		})
	}
	return nil
}

// graph reads the main graph, at depth 0, or one inside an attribute.
func (d *onnxReader) graph(f onnxwire.Field, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("at byte %d: subgraphs nest more than %d deep", f.At, maxDepth)
	}
	return d.Within(f, func(f onnxwire.Field) error {
		switch f.Num {
		case onnxwire.GraphNode:
			return d.node(f, depth)
		case onnxwire.GraphInitializer:
			return d.initialiser(f, depth)
		case onnxwire.GraphSparse:
			return d.Within(f, func(f onnxwire.Field) error {
				if f.Num == onnxwire.SparseValues {
					return d.initialiser(f, depth)
				}
				return nil
			})
		}
		if depth > 0 {
			return nil
		}
		switch f.Num {
		case onnxwire.GraphName:
			return d.Text(f, &d.model.Graph)
		case onnxwire.GraphInput:
			return d.valueInfo(f, &d.model.Inputs)
		case onnxwire.GraphOutput:
			return d.valueInfo(f, &d.model.Outputs)
		}
		return nil
	})
}

func (d *onnxReader) node(f onnxwire.Field, depth int) error {
	var op, domain string
	err := d.Within(f, func(f onnxwire.Field) error {
		switch f.Num {
		case onnxwire.NodeOp:
			return d.Text(f, &op)
		case onnxwire.NodeDomain:
			return d.Text(f, &domain)
		case onnxwire.NodeAttribute:
			return d.Within(f, func(f onnxwire.Field) error {
				if f.Num != onnxwire.AttributeGraph && f.Num != onnxwire.AttributeGraphs {
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
		return fmt.Errorf("at byte %d: a node without an operator", f.At)
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

func (d *onnxReader) valueInfo(f onnxwire.Field, list *[]Value) error {
	var v onnxpb.ValueInfoProto
	if err := d.Message(f, &v); err != nil {
		return err
	}
	*list = append(*list, Value{Name: v.GetName(), Type: typeText(v.GetType(), 0), Doc: v.GetDocString()})
	return d.entry("inputs and outputs")
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
