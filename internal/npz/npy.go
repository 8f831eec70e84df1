package npz

import (
	"fmt"
	"io"
	"os"

	"ebm/models/tensor"
)

// ReadNpy reads one array. It does not read beyond its last element. Memory
// grows with what r really gives, whatever the header says.
func ReadNpy(r io.Reader) (*tensor.Tensor, error) { return readNpy(r, 0) }

// ReadNpyFile reads a .npy file, which must end with the last element.
func ReadNpyFile(path string) (*tensor.Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	t, err := readNpy(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if n, _ := f.Read(make([]byte, 1)); n > 0 {
		return nil, fmt.Errorf("%s: npy: bytes after the last element of %v", path, t)
	}
	return t, nil
}

// readNpy reads an array from an input of which size bytes are known to be
// there, header included.
func readNpy(r io.Reader, size int64) (*tensor.Tensor, error) {
	h, err := ReadHeader(r)
	if err != nil {
		return nil, err
	}
	if !h.Fortran {
		t, err := ReadElements(r, h.DType, h.Shape, size)
		if err != nil {
			return nil, fmt.Errorf("npy: array %v%v: %w", h.DType, h.Shape, err)
		}
		return t, nil
	}
	reversed := make([]int, len(h.Shape))
	for i, d := range h.Shape {
		reversed[len(reversed)-1-i] = d
	}
	t, err := ReadElements(r, h.DType, reversed, size)
	if err != nil {
		return nil, fmt.Errorf("npy: array %v%v: %w", h.DType, h.Shape, err)
	}
	return transpose(t, h.Shape), nil
}

// transpose reverses the order of t's axes; shape is the result's.
func transpose(t *tensor.Tensor, shape []int) *tensor.Tensor {
	switch data := t.Raw().(type) {
	case []float32:
		return tensor.Of(transposed(data, shape), shape...)
	case []float64:
		return tensor.Of(transposed(data, shape), shape...)
	case []tensor.Float16Bits:
		return tensor.Of(transposed(data, shape), shape...)
	case []tensor.BFloat16Bits:
		return tensor.Of(transposed(data, shape), shape...)
	case []int8:
		return tensor.Of(transposed(data, shape), shape...)
	case []int16:
		return tensor.Of(transposed(data, shape), shape...)
	case []int32:
		return tensor.Of(transposed(data, shape), shape...)
	case []int64:
		return tensor.Of(transposed(data, shape), shape...)
	case []uint8:
		return tensor.Of(transposed(data, shape), shape...)
	default:
		return tensor.Of(transposed(data.([]bool), shape), shape...)
	}
}

// transposed puts column-major data of a shape into row-major order.
func transposed[T tensor.Element](data []T, shape []int) []T {
	out := make([]T, len(data))
	index := make([]int, len(shape))
	stride := make([]int, len(shape)) // of the column-major data
	next := 1
	for axis, d := range shape {
		stride[axis] = next
		next *= d
	}
	from := 0
	for to := range out {
		out[to] = data[from]
		for axis := len(shape) - 1; axis >= 0; axis-- {
			index[axis]++
			from += stride[axis]
			if index[axis] < shape[axis] {
				break
			}
			from -= stride[axis] * shape[axis]
			index[axis] = 0
		}
	}
	return out
}

// WriteNpy writes t in row-major order. BFloat16 tensors are an error, as NumPy
// has no such type, and so are more than 64 dimensions.
func WriteNpy(w io.Writer, t *tensor.Tensor) error {
	header, err := appendHeader(Header{DType: t.DType(), Shape: t.Shape()}, 0)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	return WriteElements(w, t)
}
