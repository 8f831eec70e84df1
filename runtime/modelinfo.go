package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"ebm/internal/files"
	"ebm/internal/onnxwire"
	"ebm/models/tensor"
)

// ValueInfo describes an input or output of a model.
type ValueInfo struct {
	Name  string
	DType tensor.DType
	// Shape has −1 for a dimension that is not fixed. It is nil when the model
	// says nothing about the shape, and empty but not nil for a scalar.
	Shape []int
	// Symbols has, for every dimension of Shape, the name that the model gives
	// to a dimension that is not fixed, or "".
	Symbols []string
}

// String describes v without its name, such as "float32[N 1 32 32]"; "?" is a
// dimension without a name.
func (v ValueInfo) String() string {
	if v.Shape == nil {
		return fmt.Sprintf("%v of any shape", v.DType)
	}
	dims := make([]string, len(v.Shape))
	for i, d := range v.Shape {
		switch {
		case d >= 0:
			dims[i] = fmt.Sprint(d)
		case v.Symbols[i] != "":
			dims[i] = v.Symbols[i]
		default:
			dims[i] = "?"
		}
	}
	return fmt.Sprintf("%v[%s]", v.DType, strings.Join(dims, " "))
}

// onnxTypes are the element types of onnx.proto.
var onnxTypes = map[uint64]tensor.DType{
	1: tensor.Float32, 2: tensor.Uint8, 3: tensor.Int8, 5: tensor.Int16,
	6: tensor.Int32, 7: tensor.Int64, 9: tensor.Bool, 10: tensor.Float16,
	11: tensor.Float64, 16: tensor.BFloat16,
}

// ModelInfo is what an ONNX model says of itself outside of its nodes and
// weights.
type ModelInfo struct {
	Inputs, Outputs []ValueInfo // in the model's order; an input with an initialiser has a default value and is not listed
	Metadata        map[string]string

	operators map[string]bool // of the nodes, without those of bodies
}

// Describe reads the inputs, outputs and metadata of an ONNX file, without its
// weights and without ONNX Runtime. A file that differs from its seal
// ([onnxwire.Seal]) is an error.
func Describe(ctx context.Context, path string) (ModelInfo, error) {
	f, err := files.Open(path)
	if err != nil {
		return ModelInfo{}, err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return ModelInfo{}, err
	}
	m, err := scanModel(ctx, f, stat.Size())
	if err == nil {
		_, err = onnxwire.CheckSeal(f, stat.Size())
		delete(m.Metadata, onnxwire.SealKey) // which is about the file
		delete(m.Metadata, onnxwire.DataKey)
	}
	if err != nil {
		return ModelInfo{}, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// scanModel reads what an ONNX model says of itself: ONNX Runtime's binding
// tells shapes only of a second session made for the purpose, and no names of
// dimensions.
func scanModel(ctx context.Context, r io.ReaderAt, size int64) (ModelInfo, error) {
	s := &scanner{Reader: onnxwire.New(ctx, r), initialised: map[string]bool{},
		model: ModelInfo{Metadata: map[string]string{}, operators: map[string]bool{}}}
	if err := s.Each(onnxwire.Span{To: size}, s.modelField); err != nil {
		return ModelInfo{}, fmt.Errorf("not a readable ONNX model: %w", err)
	}
	m := s.model
	if s.graphs == 0 || len(m.Outputs) == 0 {
		return ModelInfo{}, errors.New("not an ONNX model: no graph with outputs in it")
	}
	m.Inputs = slices.DeleteFunc(m.Inputs, func(v ValueInfo) bool { return s.initialised[v.Name] })
	return m, nil
}

// scanner gathers what a model says.
type scanner struct {
	*onnxwire.Reader
	model       ModelInfo
	graphs      int
	initialised map[string]bool
}

func (s *scanner) modelField(f onnxwire.Field) error {
	switch f.Num {
	case onnxwire.ModelGraph:
		s.graphs++
		return s.Within(f, s.graphField)
	case onnxwire.ModelMetadata:
		var key, value string
		err := s.Within(f, func(f onnxwire.Field) error {
			switch f.Num {
			case onnxwire.EntryKey:
				return s.Text(f, &key)
			case onnxwire.EntryValue:
				return s.Text(f, &value)
			}
			return nil
		})
		s.model.Metadata[key] = value
		return err
	}
	return nil
}

func (s *scanner) graphField(f onnxwire.Field) error {
	switch f.Num {
	case onnxwire.GraphNode:
		return s.Within(f, func(f onnxwire.Field) error {
			if f.Num != onnxwire.NodeOp {
				return nil
			}
			var op string
			err := s.Text(f, &op)
			s.model.operators[op] = true
			return err
		})
	case onnxwire.GraphInput:
		return s.value(f, &s.model.Inputs)
	case onnxwire.GraphOutput:
		return s.value(f, &s.model.Outputs)
	case onnxwire.GraphInitializer:
		return s.Within(f, s.initialiserField)
	case onnxwire.GraphSparse:
		return s.Within(f, func(f onnxwire.Field) error {
			if f.Num != onnxwire.SparseValues {
				return nil
			}
			return s.Within(f, s.initialiserField)
		})
	}
	return nil
}

func (s *scanner) initialiserField(f onnxwire.Field) error {
	if f.Num != onnxwire.TensorName {
		return nil
	}
	var name string
	err := s.Text(f, &name)
	s.initialised[name] = true
	return err
}

// value reads a ValueInfoProto. The type stays Invalid when it is no tensor's
// or none that package tensor has.
func (s *scanner) value(f onnxwire.Field, to *[]ValueInfo) error {
	var v ValueInfo
	err := s.Within(f, func(f onnxwire.Field) error {
		switch f.Num {
		case onnxwire.ValueName:
			return s.Text(f, &v.Name)
		case onnxwire.ValueType:
			return s.Within(f, func(f onnxwire.Field) error {
				if f.Num != onnxwire.TypeTensor {
					return nil
				}
				return s.Within(f, func(f onnxwire.Field) error { return s.tensorType(f, &v) })
			})
		}
		return nil
	})
	*to = append(*to, v)
	return err
}

func (s *scanner) tensorType(f onnxwire.Field, v *ValueInfo) error {
	switch f.Num {
	case onnxwire.TensorElemType:
		v.DType = onnxTypes[f.Value]
	case onnxwire.TensorShape:
		v.Shape, v.Symbols = []int{}, []string{}
		return s.Within(f, func(f onnxwire.Field) error {
			if f.Num != onnxwire.ShapeDim {
				return nil
			}
			return s.dimension(f, v)
		})
	}
	return nil
}

func (s *scanner) dimension(f onnxwire.Field, v *ValueInfo) error {
	dim, symbol := -1, ""
	err := s.Within(f, func(f onnxwire.Field) error {
		switch f.Num {
		case onnxwire.DimValue:
			if int64(f.Value) >= 0 { // some exporters write −1 for "not fixed"
				dim = int(f.Value)
			}
		case onnxwire.DimParam:
			return s.Text(f, &symbol)
		}
		return nil
	})
	v.Shape, v.Symbols = append(v.Shape, dim), append(v.Symbols, symbol)
	return err
}
