package npz

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"

	"ebm/models/tensor"
)

const (
	chunkBytes = 1 << 16
	maxRank    = 64 // NumPy's own limit
)

// ByteSize returns the number of bytes of the elements of a tensor. It is an
// error when a dimension is negative, there are more than 64 of them, or the
// size does not fit in an int. Dimensions of 0 do not hide others that are too large.
func ByteSize(dtype tensor.DType, shape []int) (int, error) {
	if len(shape) > maxRank {
		return 0, fmt.Errorf("shape has %d dimensions, at most %d are possible", len(shape), maxRank)
	}
	size, empty := uint64(dtype.Size()), false
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("negative dimension in shape %v", shape)
		}
		if d == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul64(size, uint64(d))
		if hi != 0 || lo > math.MaxInt {
			return 0, fmt.Errorf("shape %v of %v is too large", shape, dtype)
		}
		size = lo
	}
	if empty {
		return 0, nil
	}
	return int(size), nil
}

// ReadElements reads the little-endian elements of a row-major tensor. When r
// is known to hold at least available bytes, the tensor is allocated at once,
// if it fits in them; otherwise memory grows with what arrives. Bool elements
// are true when their byte is not 0. An input that ends early is
// io.ErrUnexpectedEOF.
func ReadElements(r io.Reader, dtype tensor.DType, shape []int, available int64) (*tensor.Tensor, error) {
	size, err := ByteSize(dtype, shape)
	if err != nil {
		return nil, err
	}
	in := elementReader{r: r, shape: shape, known: int64(size) <= available}
	le := binary.LittleEndian
	switch dtype {
	case tensor.Float32:
		return read(in, func(dst []float32, src []byte) {
			for i := range dst {
				dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
			}
		})
	case tensor.Float64:
		return read(in, func(dst []float64, src []byte) {
			for i := range dst {
				dst[i] = math.Float64frombits(le.Uint64(src[8*i:]))
			}
		})
	case tensor.Float16:
		return read(in, func(dst []tensor.Float16Bits, src []byte) {
			for i := range dst {
				dst[i] = tensor.Float16Bits(le.Uint16(src[2*i:]))
			}
		})
	case tensor.BFloat16:
		return read(in, func(dst []tensor.BFloat16Bits, src []byte) {
			for i := range dst {
				dst[i] = tensor.BFloat16Bits(le.Uint16(src[2*i:]))
			}
		})
	case tensor.Int8:
		return read(in, func(dst []int8, src []byte) {
			for i := range dst {
				dst[i] = int8(src[i])
			}
		})
	case tensor.Int16:
		return read(in, func(dst []int16, src []byte) {
			for i := range dst {
				dst[i] = int16(le.Uint16(src[2*i:]))
			}
		})
	case tensor.Int32:
		return read(in, func(dst []int32, src []byte) {
			for i := range dst {
				dst[i] = int32(le.Uint32(src[4*i:]))
			}
		})
	case tensor.Int64:
		return read(in, func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(le.Uint64(src[8*i:]))
			}
		})
	case tensor.Uint8:
		return read(in, func(dst []uint8, src []byte) { copy(dst, src) })
	case tensor.Bool:
		return read(in, func(dst []bool, src []byte) {
			for i := range dst {
				dst[i] = src[i] != 0
			}
		})
	}
	return nil, fmt.Errorf("no elements of type %v", dtype)
}

type elementReader struct {
	r     io.Reader
	shape []int
	known bool // r holds all that the shape needs
}

// read reads the elements of in's shape, whose size was checked.
func read[T tensor.Element](in elementReader, decode func(dst []T, src []byte)) (*tensor.Tensor, error) {
	n, size := tensor.Volume(in.shape), tensor.DTypeOf[T]().Size()
	buf := make([]byte, min(n*size, chunkBytes))
	capacity := len(buf) / size
	if in.known {
		capacity = n
	}
	data := make([]T, 0, capacity)
	for len(data) < n {
		count := min(n-len(data), len(buf)/size)
		if _, err := io.ReadFull(in.r, buf[:count*size]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("elements %d to %d of %d: %w", len(data), len(data)+count-1, n, err)
		}
		start := len(data)
		data = slices.Grow(data, count)[:start+count]
		decode(data[start:], buf)
	}
	return tensor.Of(data, in.shape...), nil
}

// WriteElements writes the elements of a tensor in row-major order and
// little-endian bytes.
func WriteElements(w io.Writer, t *tensor.Tensor) error {
	le := binary.LittleEndian
	switch data := t.Raw().(type) {
	case []float32:
		return write(w, data, func(dst []byte, src []float32) {
			for i, v := range src {
				le.PutUint32(dst[4*i:], math.Float32bits(v))
			}
		})
	case []float64:
		return write(w, data, func(dst []byte, src []float64) {
			for i, v := range src {
				le.PutUint64(dst[8*i:], math.Float64bits(v))
			}
		})
	case []tensor.Float16Bits:
		return write(w, data, func(dst []byte, src []tensor.Float16Bits) {
			for i, v := range src {
				le.PutUint16(dst[2*i:], uint16(v))
			}
		})
	case []tensor.BFloat16Bits:
		return write(w, data, func(dst []byte, src []tensor.BFloat16Bits) {
			for i, v := range src {
				le.PutUint16(dst[2*i:], uint16(v))
			}
		})
	case []int8:
		return write(w, data, func(dst []byte, src []int8) {
			for i, v := range src {
				dst[i] = uint8(v)
			}
		})
	case []int16:
		return write(w, data, func(dst []byte, src []int16) {
			for i, v := range src {
				le.PutUint16(dst[2*i:], uint16(v))
			}
		})
	case []int32:
		return write(w, data, func(dst []byte, src []int32) {
			for i, v := range src {
				le.PutUint32(dst[4*i:], uint32(v))
			}
		})
	case []int64:
		return write(w, data, func(dst []byte, src []int64) {
			for i, v := range src {
				le.PutUint64(dst[8*i:], uint64(v))
			}
		})
	case []uint8:
		_, err := w.Write(data)
		return err
	case []bool:
		return write(w, data, func(dst []byte, src []bool) {
			for i, v := range src {
				dst[i] = 0
				if v {
					dst[i] = 1
				}
			}
		})
	}
	return fmt.Errorf("no elements of type %v", t.DType())
}

func write[T tensor.Element](w io.Writer, data []T, encode func(dst []byte, src []T)) error {
	size := tensor.DTypeOf[T]().Size()
	buf := make([]byte, min(len(data)*size, chunkBytes))
	for len(data) > 0 {
		count := min(len(data), len(buf)/size)
		encode(buf, data[:count])
		if _, err := w.Write(buf[:count*size]); err != nil {
			return err
		}
		data = data[count:]
	}
	return nil
}
