package onnximport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"ebm/export/onnxpb"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// dtypes maps element types of ONNX to those of nodes. Half precision is
// computed in float32.
func dtypeOf(t onnxpb.TensorProto_DataType) (tensor.DType, error) {
	switch t {
	case onnxpb.TensorProto_FLOAT, onnxpb.TensorProto_FLOAT16, onnxpb.TensorProto_BFLOAT16:
		return tensor.Float32, nil
	case onnxpb.TensorProto_DOUBLE:
		return tensor.Float64, nil
	case onnxpb.TensorProto_INT8:
		return tensor.Int8, nil
	case onnxpb.TensorProto_INT16:
		return tensor.Int16, nil
	case onnxpb.TensorProto_INT32:
		return tensor.Int32, nil
	case onnxpb.TensorProto_INT64:
		return tensor.Int64, nil
	case onnxpb.TensorProto_UINT8:
		return tensor.Uint8, nil
	case onnxpb.TensorProto_BOOL:
		return tensor.Bool, nil
	}
	if n, ok := narrowTypeOf(t); ok {
		return n.held, nil
	}
	return tensor.Invalid, fmt.Errorf("elements of type %v are not supported", t)
}

// storedType is dtypeOf for elements as they are in a file, also of half precision.
func storedType(t onnxpb.TensorProto_DataType) (tensor.DType, error) {
	switch t {
	case onnxpb.TensorProto_FLOAT16:
		return tensor.Float16, nil
	case onnxpb.TensorProto_BFLOAT16:
		return tensor.BFloat16, nil
	}
	return dtypeOf(t)
}

// elementSize returns the bytes of an element in raw data, of a type that is supported.
func elementSize(t onnxpb.TensorProto_DataType) int {
	stored, _ := storedType(t)
	return stored.Size()
}

// readTensor returns the elements of p. External data are looked for in dir,
// and nowhere if it is "".
func readTensor(p *onnxpb.TensorProto, dir string) (*tensor.Tensor, error) {
	kind := onnxpb.TensorProto_DataType(p.GetDataType())
	dtype, err := dtypeOf(kind)
	if err != nil {
		return nil, err
	}
	if p.Segment != nil {
		return nil, errors.New("a tensor in segments is not supported")
	}
	shape := make([]int, len(p.Dims))
	count := 1
	for i, d := range p.Dims {
		if d < 0 || d > math.MaxInt32 || d > 0 && count > math.MaxInt64/8/int(d) {
			return nil, fmt.Errorf("shape %v is not that of a tensor", p.Dims)
		}
		shape[i] = int(d)
		count *= int(d)
	}
	raw := p.RawData
	held, narrow := narrowTypeOf(kind)
	if p.GetDataLocation() == onnxpb.TensorProto_EXTERNAL {
		if raw, err = external(p, dir, int64(rawSize(kind, count))); err != nil {
			return nil, err
		}
	}
	// Elements are counted before memory is taken for them.
	if raw != nil || count == 0 {
		if want := rawSize(kind, count); len(raw) != want {
			return nil, fmt.Errorf("%d bytes of data for shape %v of %v, want %d", len(raw), p.Dims, kind, want)
		}
		if narrow {
			return widen(held, shape, raw), nil
		}
		stored, _ := storedType(kind) // dtypeOf had no error
		t, err := npz.ReadElements(bytes.NewReader(raw), stored, shape, int64(len(raw)))
		if err == nil && stored != dtype {
			t = t.AsFloat32()
		}
		return t, err
	}
	if narrow {
		return widenList(p, held, shape, count)
	}
	if have := listed(p, kind); have != count {
		return nil, fmt.Errorf("%d elements for shape %v of %v, want %d", have, p.Dims, kind, count)
	}
	out := tensor.New(dtype, shape...)
	fromLists(out, p, kind)
	return out, nil
}

// listed returns the number of elements in the list of p that has those of a
// type.
func listed(p *onnxpb.TensorProto, kind onnxpb.TensorProto_DataType) int {
	switch kind {
	case onnxpb.TensorProto_FLOAT:
		return len(p.FloatData)
	case onnxpb.TensorProto_DOUBLE:
		return len(p.DoubleData)
	case onnxpb.TensorProto_INT64:
		return len(p.Int64Data)
	}
	return len(p.Int32Data)
}

func fromLists(out *tensor.Tensor, p *onnxpb.TensorProto, kind onnxpb.TensorProto_DataType) {
	switch d := out.Raw().(type) {
	case []float32:
		switch kind {
		case onnxpb.TensorProto_FLOAT16:
			for i, v := range p.Int32Data {
				d[i] = tensor.Float16Bits(v).Float32()
			}
		case onnxpb.TensorProto_BFLOAT16:
			for i, v := range p.Int32Data {
				d[i] = tensor.BFloat16Bits(v).Float32()
			}
		default:
			copy(d, p.FloatData)
		}
	case []float64:
		copy(d, p.DoubleData)
	case []int64:
		copy(d, p.Int64Data)
	case []int32:
		copy(d, p.Int32Data)
	case []int16:
		narrow(d, p.Int32Data)
	case []int8:
		narrow(d, p.Int32Data)
	case []uint8:
		narrow(d, p.Int32Data)
	case []bool:
		for i, v := range p.Int32Data {
			d[i] = v != 0
		}
	}
}

func narrow[D int8 | int16 | uint8](dst []D, src []int32) {
	for i, v := range src {
		dst[i] = D(v)
	}
}

// external reads want bytes of a file that p names, which must lie in dir.
func external(p *onnxpb.TensorProto, dir string, want int64) ([]byte, error) {
	location, offset, length := "", int64(0), want
	for _, e := range p.ExternalData {
		var err error
		switch e.GetKey() {
		case "location":
			location = e.GetValue()
		case "offset":
			offset, err = strconv.ParseInt(e.GetValue(), 10, 64)
		case "length":
			length, err = strconv.ParseInt(e.GetValue(), 10, 64)
		}
		if err != nil {
			return nil, fmt.Errorf("external data: %s %q is not a number", e.GetKey(), e.GetValue())
		}
	}
	switch {
	case dir == "":
		return nil, fmt.Errorf("external data in %q: the model's folder is not known", location)
	case !filepath.IsLocal(location):
		return nil, fmt.Errorf("external data in %q, want a file in the model's folder", location)
	case length != want:
		return nil, fmt.Errorf("external data: %d bytes, want %d", length, want)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("external data: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(location) // before it is opened: a FIFO would wait
	if err != nil {
		return nil, fmt.Errorf("external data: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("external data in %q, want a file", location)
	}
	f, err := root.Open(location)
	if err != nil {
		return nil, fmt.Errorf("external data: %w", err)
	}
	defer f.Close()
	if offset < 0 || offset > info.Size() || info.Size()-offset < length {
		return nil, fmt.Errorf("external data: bytes %d to %d of %s, which has %d", offset, offset+length, location, info.Size())
	}
	b := make([]byte, length)
	if _, err := f.ReadAt(b, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("external data: %s: %w", location, err)
	}
	return b, nil
}

// Tensor returns the elements of a tensor that is a file of its own. Half
// precision becomes float32.
func Tensor(p *onnxpb.TensorProto) (*tensor.Tensor, error) { return readTensor(p, "") }
