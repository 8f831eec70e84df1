package npz

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"ebm/internal/files"
	"ebm/models/tensor"
)

// ReadNpyFile reads a .npy file, which must end with the last element.
func ReadNpyFile(path string) (*tensor.Tensor, error) {
	f, err := files.Open(path)
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
// there, header included, and not beyond its last element. Memory grows with what r
// really gives, whatever the header says.
func readNpy(r io.Reader, size int64) (*tensor.Tensor, error) {
	h, err := ReadHeader(r)
	if err != nil {
		return nil, err
	}
	return ReadArray(r, h, size)
}

// ReadArray reads the array that a header describes. When r is known to hold
// at least size bytes, memory is taken at once.
func ReadArray(r io.Reader, h Header, size int64) (*tensor.Tensor, error) {
	stored := slices.Clone(h.Shape)
	if h.Fortran {
		slices.Reverse(stored)
	}
	t, err := ReadElements(h.order(r), h.DType, stored, size)
	if err != nil {
		return nil, fmt.Errorf("npy: array %v%v: %w", h.DType, h.Shape, err)
	}
	if h.Fortran {
		return transpose(t, h.Shape), nil
	}
	return t, nil
}

// order returns r with its elements little-endian.
func (h Header) order(r io.Reader) io.Reader {
	if !h.BigEndian {
		return r
	}
	return turned{r, h.DType.Size()}
}

// turned reverses the bytes of each element. It is read in whole elements.
type turned struct {
	r    io.Reader
	size int
}

func (t turned) Read(p []byte) (int, error) {
	n, err := io.ReadFull(t.r, p[:len(p)/t.size*t.size])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	n = n / t.size * t.size
	for i := 0; i < n; i += t.size {
		slices.Reverse(p[i : i+t.size])
	}
	return n, err
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
