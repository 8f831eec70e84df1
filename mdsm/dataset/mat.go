package dataset

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The parts of MATLAB's "level 5" MAT-file format that SVHN's files use: a
// header of 128 bytes, then elements, each a type and a size of 32 bits and
// that many bytes. A compressed element is a zlib stream with one element in
// it. A matrix element is a sequence of elements itself: flags, dimensions,
// name, numbers.
const (
	miInt8       = 1
	miUint8      = 2
	miInt16      = 3
	miUint16     = 4
	miInt32      = 5
	miUint32     = 6
	miSingle     = 7
	miDouble     = 9
	miMatrix     = 14
	miCompressed = 15

	mxUint8        = 9 // the first and last class of numeric arrays are
	mxFirstNumeric = 6 // double
	mxLastNumeric  = 15

	matComplex = 0x0800
)

// matArray is one numeric array of a MAT-file, whose numbers are still to be
// read. They are stored with the first dimension varying fastest.
type matArray struct {
	name  string
	class byte // type that the array has in MATLAB
	dims  []int
	kind  uint32 // type that its numbers are stored in
	size  int64  // of the numbers, in bytes
	data  io.Reader
	order binary.ByteOrder
}

// eachMATArray calls visit with every real numeric array of a MAT-file in
// turn. It holds no more than the arrays' headers itself.
func eachMATArray(r io.Reader, visit func(*matArray) error) error {
	var head [128]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("MAT-file header: %w", short(err))
	}
	var order binary.ByteOrder
	switch string(head[126:]) {
	case "IM":
		order = binary.LittleEndian
	case "MI":
		order = binary.BigEndian
	default:
		return fmt.Errorf("is not a MAT-file: has % x at byte 126, want the letters IM or MI", head[126:])
	}
	if version := order.Uint16(head[124:]); version>>8 != 1 {
		return fmt.Errorf("is a MAT-file of version %#x, want level 5 (0x100); version 7.3 files are HDF5", version)
	}
	for {
		tag, err := readTag(r, order)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := visitElement(r, tag, order, visit); err != nil {
			return err
		}
	}
}

// visitElement handles one element of the file, and reads past it.
func visitElement(r io.Reader, tag matTag, order binary.ByteOrder, visit func(*matArray) error) error {
	body := &io.LimitedReader{R: tag.body(r), N: int64(tag.size)}
	switch tag.kind {
	case miMatrix:
		if err := visitMatrix(body, order, visit); err != nil {
			return err
		}
	case miCompressed:
		inner, err := zlib.NewReader(body)
		if err != nil {
			return fmt.Errorf("compressed element: %w", short(err))
		}
		tag, err := readTag(inner, order)
		if err != nil {
			return fmt.Errorf("compressed element: %w", short(err))
		}
		if tag.kind == miMatrix {
			if err := visitMatrix(&io.LimitedReader{R: inner, N: int64(tag.size)}, order, visit); err != nil {
				return err
			}
		}
		// Reading to the end has zlib compare its checksum.
		if _, err := io.Copy(io.Discard, inner); err != nil {
			return fmt.Errorf("compressed element: %w", short(err))
		}
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	if body.N > 0 {
		return fmt.Errorf("ends %d bytes before the end of an element of %d bytes", body.N, tag.size)
	}
	return nil
}

// visitMatrix reads an array's flags, dimensions and name and calls visit. Of
// arrays that are not real and numeric it reads no more than the flags.
func visitMatrix(r io.Reader, order binary.ByteOrder, visit func(*matArray) error) error {
	flags, err := readSmall(r, order, miUint32, 8, 8)
	if err != nil {
		return fmt.Errorf("array flags: %w", err)
	}
	word := order.Uint32(flags)
	a := &matArray{class: byte(word), order: order}
	if a.class < mxFirstNumeric || a.class > mxLastNumeric || word&matComplex != 0 {
		return nil
	}
	const maxDims, maxName = 32, 1024
	dims, err := readSmall(r, order, miInt32, 8, 4*maxDims)
	if err != nil {
		return fmt.Errorf("array dimensions: %w", err)
	}
	for ; len(dims) >= 4; dims = dims[4:] {
		d := int32(order.Uint32(dims))
		if d < 0 {
			return fmt.Errorf("array dimension %d is %d", len(a.dims), d)
		}
		a.dims = append(a.dims, int(d))
	}
	name, err := readSmall(r, order, miInt8, 0, maxName)
	if err != nil {
		return fmt.Errorf("array name: %w", err)
	}
	a.name = string(name)
	tag, err := readTag(r, order)
	if err != nil {
		return fmt.Errorf("array %q: %w", a.name, short(err))
	}
	a.kind, a.size = tag.kind, int64(tag.size)
	a.data = io.LimitReader(tag.body(r), a.size)
	if err := visit(a); err != nil {
		return fmt.Errorf("array %q: %w", a.name, err)
	}
	return nil
}

// matTag is the head of an element: its type, its size, and its bytes when
// there are at most four of them and they are in the head.
type matTag struct {
	kind, size uint32
	inline     []byte
}

// readTag returns io.EOF when r has ended before the tag.
func readTag(r io.Reader, order binary.ByteOrder) (matTag, error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return matTag{}, err
		}
		return matTag{}, fmt.Errorf("element head: %w", short(err))
	}
	word := order.Uint32(b[:])
	if n := word >> 16; n != 0 {
		if n > 4 {
			return matTag{}, fmt.Errorf("element of type %d says that its head holds %d bytes, at most 4 fit", word&0xffff, n)
		}
		return matTag{kind: word & 0xffff, size: n, inline: b[4 : 4+n]}, nil
	}
	return matTag{kind: word, size: order.Uint32(b[4:])}, nil
}

// body is where the element's bytes come from, given where its head came
// from.
func (t matTag) body(r io.Reader) io.Reader {
	if t.inline != nil {
		return bytes.NewReader(t.inline)
	}
	return r
}

// readSmall reads a whole element of the given type and least…most bytes, and
// what fills it up to a multiple of eight.
func readSmall(r io.Reader, order binary.ByteOrder, kind uint32, least, most int) ([]byte, error) {
	tag, err := readTag(r, order)
	if err != nil {
		return nil, short(err)
	}
	if tag.kind != kind || int64(tag.size) < int64(least) || int64(tag.size) > int64(most) {
		return nil, fmt.Errorf("element of type %d with %d bytes, want type %d with %d…%d", tag.kind, tag.size, kind, least, most)
	}
	if tag.inline != nil {
		return tag.inline, nil
	}
	padded := make([]byte, (int(tag.size)+7)/8*8)
	if _, err := io.ReadFull(r, padded); err != nil {
		return nil, short(err)
	}
	return padded[:tag.size], nil
}

// numbers reads all of an array's numbers, whatever they are stored in.
func (a *matArray) numbers() ([]float64, error) {
	width := map[uint32]int{miInt8: 1, miUint8: 1, miInt16: 2, miUint16: 2, miInt32: 4, miUint32: 4, miSingle: 4, miDouble: 8}[a.kind]
	if width == 0 {
		return nil, fmt.Errorf("numbers are of type %d, want integers of up to 32 bits or floats", a.kind)
	}
	count := int64(1)
	for _, d := range a.dims {
		if d > 0 && count > math.MaxInt32/int64(d) {
			return nil, fmt.Errorf("dimensions %v are too large", a.dims)
		}
		count *= int64(d)
	}
	if a.size != count*int64(width) {
		return nil, fmt.Errorf("holds %d bytes, want %d for dimensions %v of %d bytes each", a.size, count*int64(width), a.dims, width)
	}
	raw, err := io.ReadAll(a.data)
	if err != nil {
		return nil, short(err)
	}
	if int64(len(raw)) != a.size {
		return nil, fmt.Errorf("ends after %d of %d bytes", len(raw), a.size)
	}
	out := make([]float64, count)
	for i := range out {
		b := raw[i*width:]
		switch a.kind {
		case miInt8:
			out[i] = float64(int8(b[0]))
		case miUint8:
			out[i] = float64(b[0])
		case miInt16:
			out[i] = float64(int16(a.order.Uint16(b)))
		case miUint16:
			out[i] = float64(a.order.Uint16(b))
		case miInt32:
			out[i] = float64(int32(a.order.Uint32(b)))
		case miUint32:
			out[i] = float64(a.order.Uint32(b))
		case miSingle:
			out[i] = float64(math.Float32frombits(a.order.Uint32(b)))
		case miDouble:
			out[i] = math.Float64frombits(a.order.Uint64(b))
		}
	}
	return out, nil
}
