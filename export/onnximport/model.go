package onnximport

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/internal/files"
	"ebm/internal/onnxwire"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Model is an imported ONNX model.
type Model struct {
	// Graph computes the model's outputs from its inputs, under the names that
	// the file gives them.
	Graph *graph.Graph
	// Opset is the version of the standard operator set that the file uses.
	Opset int
	// Values are the values of the file by name: inputs, initialisers, and
	// what its nodes compute.
	Values map[string]*graph.Node
	// Parameters are the floating-point initialisers in the order of the file.
	Parameters []string
	// Producer, Doc and Metadata are what the file says of itself; Docs
	// describe its inputs and outputs by name.
	Producer, Doc  string
	Docs, Metadata map[string]string
	// Assumes are the conditions on symbolic sizes under which Graph computes
	// what the file does, such as "T ≤ 512", beside that all are 1 or more.
	Assumes []string
	// Warnings are what Differentiate found that a user may not expect.
	Warnings []string
	uses     map[string]*use // of values, by name
	held     []string        // inputs of types that nodes lack, as warnings say it
	// Dropped are outputs that Graph lacks, and why.
	Dropped []Dropped
	// Initial has the values of initialisers that are inputs of Graph.
	Initial map[string]*tensor.Tensor
	// Statistics are the running means and variances of a model that is read for
	// training, inputs of Graph, and Renewed has what they become.
	Statistics []string
	Renewed    map[string]*graph.Node
}

// Options say how to read a model.
type Options struct {
	// Dir is the folder of the file, where external data are; "" for none.
	Dir string
	// Sizes fixes symbolic dimensions by name, such as {"N": 1}. Dimensions
	// that the file leaves without a name are called INPUT.AXIS, as "x.0".
	Sizes map[string]int
	// Values makes inputs constants, such as one that holds a shape, by name.
	// An element type may be another one of the same kind.
	Values map[string]*tensor.Tensor
	// StraightThrough gives quantisation and Round the derivative 1 (0 where
	// numbers are clipped), in the place of 0.
	StraightThrough bool
	// Free chooses initialisers that become inputs under their names, float32, so
	// that they can be trained. What a node needs to know beforehand cannot be.
	Free func(name string) bool
	// Training reads batch normalisation with the statistics of the batch, and
	// dropout with elements dropped, whatever the file was exported for; InUse reads
	// both as they are without training. With neither, what a file has for training
	// is an error.
	Training, InUse bool
	// Of are the values that are wanted. Outputs that cannot be read are
	// dropped then, unless they are among them. None wants all outputs.
	Of []string
}

// newestOpset is the last version of the standard operator set whose operators
// were compared with the table.
const newestOpset = 28

// Read imports the ONNX file at path. Its external data are read from the
// same folder.
func Read(path string, o Options) (*Model, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > 1<<31 {
		return nil, fmt.Errorf("%s, want a file of at most 2 GB", path)
	}
	b, err := files.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if _, err := onnxwire.CheckSeal(bytes.NewReader(b), int64(len(b))); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if o.Dir == "" {
		o.Dir = filepath.Dir(path)
	}
	m, err := Parse(b, o)
	if err == nil {
		_, err = onnxwire.CheckData(o.Dir, m.Metadata)
		delete(m.Metadata, onnxwire.DataKey)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Parse imports an ONNX model from its bytes.
//
// What stands in the way of the wanted values is one error, an [*Unreadable],
// that names every node, its operator and version, and what was wanted:
// operators that the table lacks, attributes that an entry does not know,
// element types that nodes do not have, and shapes that depend on values.
// Nodes that no wanted value depends on may hold anything.
func Parse(b []byte, o Options) (*Model, error) {
	im, p, err := newImporter(b, o)
	if err != nil {
		return nil, err
	}
	if err := im.run(p.Graph); err != nil {
		return nil, err
	}
	return im.model, nil
}

// Check returns all that stands in the way of reading a model, in the order of
// computation: of the values o.Of and what they depend on, or without any of all
// outputs.
func Check(path string, o Options) ([]Problem, error) {
	_, err := Read(path, o)
	if e := new(Unreadable); errors.As(err, &e) {
		return e.Problems, nil
	}
	return nil, err
}

// newImporter decodes a model and prepares to read its graph.
func newImporter(b []byte, o Options) (*importer, *onnxpb.ModelProto, error) {
	p := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(b, p); err != nil {
		return nil, nil, fmt.Errorf("not an ONNX model: %w", err)
	}
	if p.Graph == nil {
		return nil, nil, fmt.Errorf("not an ONNX model: it has no graph")
	}
	opset, err := standardOpset(p)
	if err != nil {
		return nil, nil, err
	}
	m := &Model{
		Graph: graph.New(p.Graph.GetName()), Opset: opset, Values: make(map[string]*graph.Node), uses: make(map[string]*use),
		Producer: p.GetProducerName(), Doc: p.GetDocString(), Docs: make(map[string]string), Metadata: make(map[string]string),
		Initial: make(map[string]*tensor.Tensor), Renewed: make(map[string]*graph.Node),
	}
	for _, e := range p.MetadataProps {
		if e.GetKey() != onnxwire.SealKey { // which is about the file
			m.Metadata[e.GetKey()] = e.GetValue()
		}
	}
	return &importer{
		model: m, graph: m.Graph, options: o, values: make(map[string]*value), plain: make(map[string]bool), defined: make(map[string]bool),
		statistics: make(map[string]bool),
		table:      table(), version: m.Opset, functions: functionsOf(p), counts: make(map[graph.Dim]*graph.Node),
		folder: &folder{known: make(map[*graph.Node]*tensor.Tensor)},
	}, p, nil
}

func standardOpset(p *onnxpb.ModelProto) (int, error) {
	for _, s := range p.OpsetImport {
		if d := s.GetDomain(); d == "" || d == "ai.onnx" {
			v := s.GetVersion()
			if v < 1 || v > newestOpset {
				return 0, fmt.Errorf("operator set %d is not supported, want 1 to %d", v, newestOpset)
			}
			return int(v), nil
		}
	}
	return 1, nil // files of IR version 2 and before, and those of other domains alone
}
