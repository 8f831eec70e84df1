package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"ebm/export/onnxpb"
	"ebm/internal/onnxwire"
)

// DataFile is a file beside a model that holds weights.
type DataFile struct {
	Location string `json:"location"` // relative to the model's folder
	Tensors  int    `json:"tensors"`
	Wanted   int64  `json:"wanted_bytes"` // the least size that holds them
	Bytes    int64  `json:"bytes"`        // what is there
	Problem  string `json:"problem,omitempty"`
}

// bitsOf has the size of the elements of ONNX's types; texts have none.
var bitsOf = map[onnxpb.TensorProto_DataType]uint64{
	onnxpb.TensorProto_FLOAT: 32, onnxpb.TensorProto_DOUBLE: 64, onnxpb.TensorProto_FLOAT16: 16, onnxpb.TensorProto_BFLOAT16: 16,
	onnxpb.TensorProto_INT8: 8, onnxpb.TensorProto_INT16: 16, onnxpb.TensorProto_INT32: 32, onnxpb.TensorProto_INT64: 64,
	onnxpb.TensorProto_UINT8: 8, onnxpb.TensorProto_UINT16: 16, onnxpb.TensorProto_UINT32: 32, onnxpb.TensorProto_UINT64: 64,
	onnxpb.TensorProto_BOOL: 8, onnxpb.TensorProto_STRING: 0,
	onnxpb.TensorProto_COMPLEX64: 64, onnxpb.TensorProto_COMPLEX128: 128,
	onnxpb.TensorProto_FLOAT8E4M3FN: 8, onnxpb.TensorProto_FLOAT8E4M3FNUZ: 8, onnxpb.TensorProto_FLOAT8E5M2: 8,
	onnxpb.TensorProto_FLOAT8E5M2FNUZ: 8, onnxpb.TensorProto_FLOAT8E8M0: 8,
	onnxpb.TensorProto_UINT4: 4, onnxpb.TensorProto_INT4: 4, onnxpb.TensorProto_FLOAT4E2M1: 4,
	onnxpb.TensorProto_UINT2: 2, onnxpb.TensorProto_INT2: 2,
	onnxpb.TensorProto_FLOAT6E2M3: 6, onnxpb.TensorProto_FLOAT6E3M2: 6,
}

// initialiser is what a TensorProto says of itself.
type initialiser struct {
	name     string
	dtype    onnxpb.TensorProto_DataType
	elements uint64 // the product of the dimensions
	strings  int64  // bytes of texts
	raw      int64  // bytes of raw data, −1 for none
	external bool
	entries  map[string]string // of external data
}

func (d *onnxReader) initialiser(f onnxwire.Field, depth int) error {
	t := initialiser{elements: 1, raw: -1}
	err := d.Within(f, func(f onnxwire.Field) error { return d.tensorField(f, &t) })
	if err != nil {
		return err
	}
	width, ok := bitsOf[t.dtype]
	if !ok {
		return fmt.Errorf("at byte %d: initialiser %q has the unknown type %d", f.At, t.name, t.dtype)
	}
	over, total := bits.Mul64(t.elements, width)
	if over > 0 || total > 1<<62 {
		return fmt.Errorf("at byte %d: initialiser %q has %d elements, which no file holds", f.At, t.name, t.elements)
	}
	size := int64((total + 7) / 8)
	if t.dtype == onnxpb.TensorProto_STRING {
		size = t.strings
	}
	if !t.external && t.raw >= 0 && t.raw != size {
		return fmt.Errorf("at byte %d: initialiser %q has %d bytes of data, want %d for its shape", f.At, t.name, t.raw, size)
	}
	// The sums of many hostile sizes must not overflow.
	w := &d.model.Weights
	if w.Bytes > 1<<62-size || w.Elements > 1<<62-int64(min(t.elements, 1<<62)) {
		return fmt.Errorf("at byte %d: initialisers hold more bytes than any file", f.At)
	}
	w.Tensors++
	w.Elements += int64(t.elements)
	w.Bytes += size
	if depth == 0 {
		d.initialised[t.name] = true
	}
	if t.external {
		return d.externalData(f, t, size)
	}
	return nil
}

func (d *onnxReader) tensorField(f onnxwire.Field, t *initialiser) error {
	switch f.Num {
	case onnxwire.TensorDims:
		if f.Type == protowire.VarintType {
			return t.dimension(f, f.Value)
		}
		b, err := d.Bytes(f) // packed
		for len(b) > 0 && err == nil {
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return fmt.Errorf("at byte %d: %w", f.At, protowire.ParseError(n))
			}
			b, err = b[n:], t.dimension(f, v)
		}
		return err
	case onnxwire.TensorType:
		t.dtype = onnxpb.TensorProto_DataType(f.Value)
	case onnxwire.TensorStrings:
		t.strings += f.Content.Len()
	case onnxwire.TensorName:
		return d.Text(f, &t.name)
	case onnxwire.TensorRaw:
		t.raw = f.Content.Len()
	case onnxwire.TensorLocation:
		t.external = onnxpb.TensorProto_DataLocation(f.Value) == onnxpb.TensorProto_EXTERNAL
	case onnxwire.TensorExternal:
		var kv onnxpb.StringStringEntryProto
		if err := d.Message(f, &kv); err != nil {
			return err
		}
		if t.entries == nil {
			t.entries = make(map[string]string)
		}
		if len(t.entries) < 16 { // the standard has five keys
			t.entries[kv.GetKey()] = kv.GetValue()
		}
	}
	return nil
}

func (t *initialiser) dimension(f onnxwire.Field, v uint64) error {
	over, n := bits.Mul64(t.elements, v)
	if int64(v) < 0 || over > 0 || n > 1<<62 {
		return fmt.Errorf("at byte %d: initialiser %q: dimension %d, want one that a file can hold", f.At, t.name, int64(v))
	}
	t.elements = n
	return nil
}

// externalData notes which part of which file beside the model t wants.
func (d *onnxReader) externalData(f onnxwire.Field, t initialiser, size int64) error {
	location := t.entries["location"]
	file := d.external[location]
	if file == nil {
		if err := d.entry("files of external data"); err != nil {
			return err
		}
		file = &DataFile{Location: location}
		d.external[location] = file
	}
	number := func(key string, otherwise int64) (int64, error) {
		text, ok := t.entries[key]
		if !ok {
			return otherwise, nil
		}
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v < 0 || v > 1<<61 {
			return 0, fmt.Errorf("at byte %d: initialiser %q: %s of external data is %q, want a number of bytes", f.At, t.name, key, text)
		}
		return v, nil
	}
	offset, err := number("offset", 0)
	if err != nil {
		return err
	}
	length, err := number("length", size)
	if err != nil {
		return err
	}
	if length != size {
		return fmt.Errorf("at byte %d: initialiser %q has %d bytes of external data, want %d for its shape", f.At, t.name, length, size)
	}
	file.Tensors++
	file.Wanted = max(file.Wanted, offset+length)
	return nil
}

// look compares what is wanted of a file with what is in the model's folder.
func (e *DataFile) look(dir string) {
	name := filepath.FromSlash(e.Location)
	if !filepath.IsLocal(name) {
		e.Problem = "not a path inside the model's folder"
		return
	}
	info, err := os.Stat(filepath.Join(dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Problem = "missing"
	case err != nil:
		e.Problem = err.Error()
	case !info.Mode().IsRegular():
		e.Problem = "not a regular file"
	default:
		if e.Bytes = info.Size(); e.Bytes < e.Wanted {
			e.Problem = fmt.Sprintf("too short: %d bytes, want %d", e.Bytes, e.Wanted)
		}
	}
}

// typeText describes a type, such as float32[N 1 32 32]; "?" is a dimension
// without a name.
func typeText(t *onnxpb.TypeProto, depth int) string {
	if depth > 4 {
		return "…"
	}
	switch v := t.GetValue().(type) {
	case *onnxpb.TypeProto_TensorType:
		return elementText(v.TensorType.GetElemType()) + shapeText(v.TensorType.GetShape())
	case *onnxpb.TypeProto_SparseTensorType:
		return "sparse " + elementText(v.SparseTensorType.GetElemType()) + shapeText(v.SparseTensorType.GetShape())
	case *onnxpb.TypeProto_SequenceType:
		return "sequence of " + typeText(v.SequenceType.GetElemType(), depth+1)
	case *onnxpb.TypeProto_OptionalType:
		return "optional " + typeText(v.OptionalType.GetElemType(), depth+1)
	case *onnxpb.TypeProto_MapType:
		return "map of " + elementText(v.MapType.GetKeyType()) + " to " + typeText(v.MapType.GetValueType(), depth+1)
	}
	return "of no known type"
}

// elementText returns the usual name of one of ONNX's element types.
func elementText(t int32) string {
	switch e := onnxpb.TensorProto_DataType(t); e {
	case onnxpb.TensorProto_FLOAT:
		return "float32"
	case onnxpb.TensorProto_DOUBLE:
		return "float64"
	default:
		return strings.ToLower(e.String())
	}
}

func shapeText(s *onnxpb.TensorShapeProto) string {
	if s == nil {
		return " of any shape"
	}
	dims := make([]string, len(s.GetDim()))
	for i, d := range s.GetDim() {
		switch v := d.GetValue().(type) {
		case *onnxpb.TensorShapeProto_Dimension_DimValue:
			dims[i] = strconv.FormatInt(v.DimValue, 10)
		case *onnxpb.TensorShapeProto_Dimension_DimParam:
			dims[i] = v.DimParam
		}
		if dims[i] == "" {
			dims[i] = "?"
		}
	}
	return "[" + strings.Join(dims, " ") + "]"
}
