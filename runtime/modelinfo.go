package runtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

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

// Field numbers of the ONNX messages that lead to a model's inputs and
// outputs (onnx.proto), and the element types there.
const (
	modelGraph       = 7
	graphInitializer = 5
	graphInput       = 11
	graphOutput      = 12
	graphSparse      = 15
	tensorName       = 8
	sparseValues     = 1
	valueName        = 1
	valueType        = 2
	typeTensor       = 1
	tensorElemType   = 1
	tensorShape      = 2
	shapeDim         = 1
	dimValue         = 1
	dimParam         = 2
)

var onnxTypes = map[uint64]tensor.DType{
	1: tensor.Float32, 2: tensor.Uint8, 3: tensor.Int8, 5: tensor.Int16,
	6: tensor.Int32, 7: tensor.Int64, 9: tensor.Bool, 10: tensor.Float16,
	11: tensor.Float64, 16: tensor.BFloat16,
}

// maxValueInfo bounds the bytes that are read for one input or output.
const maxValueInfo = 1 << 20

// scanModel reads the inputs and outputs of an ONNX model, in model order,
// without reading its weights: ONNX Runtime's binding tells shapes only of a
// second session made for the purpose, and no names of dimensions. An input
// that has an initialiser is a default value and not listed.
func scanModel(r io.ReaderAt, size int64) (inputs, outputs []ValueInfo, err error) {
	initialized := map[string]bool{}
	var all []ValueInfo
	value := func(start, end int64, into *[]ValueInfo) error {
		if end-start > maxValueInfo {
			return fmt.Errorf("value description of %d bytes, want at most %d", end-start, maxValueInfo)
		}
		buf := make([]byte, end-start)
		if _, err := r.ReadAt(buf, start); err != nil {
			return err
		}
		v, err := parseValueInfo(buf)
		if err != nil {
			return err
		}
		*into = append(*into, v)
		return nil
	}
	graphs := 0
	err = eachField(r, 0, size, func(num protowire.Number, start, end int64) error {
		if num != modelGraph {
			return nil
		}
		graphs++
		return eachField(r, start, end, func(num protowire.Number, start, end int64) error {
			switch num {
			case graphInput:
				return value(start, end, &all)
			case graphOutput:
				return value(start, end, &outputs)
			case graphInitializer:
				return addTensorName(r, start, end, initialized)
			case graphSparse:
				return eachField(r, start, end, func(num protowire.Number, start, end int64) error {
					if num != sparseValues {
						return nil
					}
					return addTensorName(r, start, end, initialized)
				})
			}
			return nil
		})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("not a readable ONNX model: %w", err)
	}
	if graphs == 0 || len(outputs) == 0 {
		return nil, nil, errors.New("not an ONNX model: no graph with outputs in it")
	}
	for _, v := range all {
		if !initialized[v.Name] {
			inputs = append(inputs, v)
		}
	}
	return inputs, outputs, nil
}

// eachField calls f with the number and the content's range of every
// length-delimited field in the message at [start, end), and passes over the
// others.
func eachField(r io.ReaderAt, start, end int64, f func(num protowire.Number, start, end int64) error) error {
	var head [2 * binary.MaxVarintLen64]byte
	for at := start; at < end; {
		n := min(int64(len(head)), end-at)
		if _, err := r.ReadAt(head[:n], at); err != nil {
			return fmt.Errorf("at byte %d: %w", at, err)
		}
		num, typ, tagLen := protowire.ConsumeTag(head[:n])
		if tagLen < 0 {
			return fmt.Errorf("at byte %d: %w", at, protowire.ParseError(tagLen))
		}
		if typ != protowire.BytesType {
			skip := protowire.ConsumeFieldValue(num, typ, head[tagLen:n])
			if skip < 0 {
				return fmt.Errorf("at byte %d: %w", at, protowire.ParseError(skip))
			}
			at += int64(tagLen + skip)
			continue
		}
		length, lenLen := protowire.ConsumeVarint(head[tagLen:n])
		if lenLen < 0 {
			return fmt.Errorf("at byte %d: %w", at, protowire.ParseError(lenLen))
		}
		at += int64(tagLen + lenLen)
		if length > uint64(end-at) {
			return fmt.Errorf("at byte %d: field of %d bytes, but only %d are left", at, length, end-at)
		}
		if err := f(num, at, at+int64(length)); err != nil {
			return err
		}
		at += int64(length)
	}
	return nil
}

func addTensorName(r io.ReaderAt, start, end int64, names map[string]bool) error {
	return eachField(r, start, end, func(num protowire.Number, start, end int64) error {
		if num != tensorName {
			return nil
		}
		if end-start > maxValueInfo {
			return fmt.Errorf("tensor name of %d bytes, want at most %d", end-start, maxValueInfo)
		}
		buf := make([]byte, end-start)
		if _, err := r.ReadAt(buf, start); err != nil {
			return err
		}
		names[string(buf)] = true
		return nil
	})
}

// parseValueInfo decodes a ValueInfoProto. The type stays Invalid when it is
// no tensor's or none that package tensor has.
func parseValueInfo(b []byte) (ValueInfo, error) {
	var v ValueInfo
	err := eachBytes(b, func(num protowire.Number, b []byte, _ uint64) error {
		switch num {
		case valueName:
			v.Name = string(b)
		case valueType:
			return eachBytes(b, func(num protowire.Number, b []byte, _ uint64) error {
				if num != typeTensor {
					return nil
				}
				return v.parseTensorType(b)
			})
		}
		return nil
	})
	return v, err
}

func (v *ValueInfo) parseTensorType(b []byte) error {
	return eachBytes(b, func(num protowire.Number, b []byte, n uint64) error {
		switch num {
		case tensorElemType:
			v.DType = onnxTypes[n]
		case tensorShape:
			v.Shape, v.Symbols = []int{}, []string{}
			return eachBytes(b, func(num protowire.Number, b []byte, _ uint64) error {
				if num != shapeDim {
					return nil
				}
				return v.parseDim(b)
			})
		}
		return nil
	})
}

func (v *ValueInfo) parseDim(b []byte) error {
	dim, symbol := -1, ""
	err := eachBytes(b, func(num protowire.Number, b []byte, n uint64) error {
		switch num {
		case dimValue:
			if int64(n) >= 0 { // some exporters write −1 for "not fixed"
				dim = int(n)
			}
		case dimParam:
			symbol = string(b)
		}
		return nil
	})
	v.Shape, v.Symbols = append(v.Shape, dim), append(v.Symbols, symbol)
	return err
}

// eachBytes calls f with every field of the message b: the content of a
// length-delimited field, or the value of a varint.
func eachBytes(b []byte, f func(num protowire.Number, content []byte, varint uint64) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var content []byte
		var varint uint64
		switch typ {
		case protowire.BytesType:
			content, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			varint, n = protowire.ConsumeVarint(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := f(num, content, varint); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
