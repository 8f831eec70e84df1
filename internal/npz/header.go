package npz

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"ebm/internal/files"
	"ebm/models/tensor"
)

const (
	magic     = "\x93NUMPY"
	alignment = 64
	// maxHeader bounds a header. NumPy itself refuses headers over 10,000
	// bytes; longer ones occur only with record types.
	maxHeader = 1 << 16
)

// Header is what a .npy file says about its array.
type Header struct {
	DType   tensor.DType
	Shape   []int
	Fortran bool // elements are in column-major order
	// BigEndian is the byte order of the elements; they are turned round as they are read.
	BigEndian bool
}

// ParseType returns the element type that NumPy writes as descr, such as
// "<f4", and whether its bytes are big-endian.
func ParseType(descr string) (dtype tensor.DType, bigEndian bool, err error) {
	if len(descr) == 3 {
		little := "<" + descr[1:]
		if dtype = descrs["|"+descr[1:]]; dtype.Size() == 1 { // the order of single bytes is written in several ways
			return dtype, false, nil
		}
		if dtype = descrs[little]; dtype.Size() > 1 && strings.ContainsAny(descr[:1], "<>=") {
			return dtype, descr[0] == '>', nil
		}
	}
	return 0, false, fmt.Errorf("type %q is not supported, want bool, int8 to int64, uint8 or float16 to float64", descr)
}

var descrs = map[string]tensor.DType{
	"<f4": tensor.Float32, "<f8": tensor.Float64, "<f2": tensor.Float16,
	"|i1": tensor.Int8, "<i2": tensor.Int16, "<i4": tensor.Int32, "<i8": tensor.Int64,
	"|u1": tensor.Uint8, "|b1": tensor.Bool,
}

// FormatType returns the type as NumPy writes it, such as "<f4".
func FormatType(dtype tensor.DType) (string, error) {
	for descr, d := range descrs {
		if d == dtype {
			return descr, nil
		}
	}
	return "", fmt.Errorf("npy: NumPy has no type for %v", dtype)
}

// ReadHeader reads a .npy file up to its first element. The size of the array
// fits in an int.
func ReadHeader(r io.Reader) (Header, error) {
	var start [12]byte
	if _, err := io.ReadFull(r, start[:10]); err != nil {
		return Header{}, fmt.Errorf("npy: start of the file: %w", files.Early(err))
	}
	if string(start[:6]) != magic {
		return Header{}, fmt.Errorf("npy: file starts with %q, want %q", start[:6], magic)
	}
	length := int64(binary.LittleEndian.Uint16(start[8:]))
	switch start[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, start[10:]); err != nil {
			return Header{}, fmt.Errorf("npy: length of the header: %w", files.Early(err))
		}
		length = int64(binary.LittleEndian.Uint32(start[8:]))
	default:
		return Header{}, fmt.Errorf("npy: version %d.%d, want 1.0, 2.0 or 3.0", start[6], start[7])
	}
	if length > maxHeader {
		return Header{}, fmt.Errorf("npy: header of %d bytes, at most %d are possible", length, maxHeader)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return Header{}, fmt.Errorf("npy: header of %d bytes: %w", length, files.Early(err))
	}
	h, err := parseHeader(string(text))
	if err != nil {
		return Header{}, fmt.Errorf("npy: header %q: %w", strings.TrimRight(string(text), " \n"), err)
	}
	return h, nil
}

// appendHeader returns a version 1.0 header, everything before the elements.
// room is the number of bytes that it takes at least.
func appendHeader(h Header, room int) ([]byte, error) {
	descr, err := FormatType(h.DType)
	if err != nil {
		return nil, err
	}
	if _, err := ByteSize(h.DType, h.Shape); err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	order := "False"
	if h.Fortran {
		order = "True"
	}
	dims := make([]string, len(h.Shape))
	for i, d := range h.Shape {
		dims[i] = strconv.Itoa(d)
	}
	shape := strings.Join(dims, ", ")
	if len(dims) == 1 {
		shape += ","
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }", descr, order, shape)
	total := max(10+len(text)+1, room)
	total = (total + alignment - 1) / alignment * alignment
	out := append(make([]byte, 0, total), magic...)
	out = append(out, 1, 0)
	out = binary.LittleEndian.AppendUint16(out, uint16(total-10))
	out = append(out, text...)
	for len(out) < total-1 {
		out = append(out, ' ')
	}
	return append(out, '\n'), nil
}

// parseHeader reads the header's dictionary: three keys in any order, and
// Python literals of the kinds that NumPy writes.
func parseHeader(text string) (Header, error) {
	var h Header
	s := scanner{text}
	seen := map[string]bool{}
	if !s.take("{") {
		return h, errors.New("want a dictionary")
	}
	for !s.take("}") {
		key, err := s.quoted()
		if err != nil {
			return h, err
		}
		if seen[key] {
			return h, fmt.Errorf("key %q twice", key)
		}
		seen[key] = true
		if !s.take(":") {
			return h, fmt.Errorf("want ':' after key %q", key)
		}
		switch key {
		case "descr":
			h.DType, h.BigEndian, err = s.descr()
		case "fortran_order":
			h.Fortran, err = s.boolean()
		case "shape":
			h.Shape, err = s.shape()
		default:
			err = errors.New("key is not one of descr, fortran_order, shape")
		}
		if err != nil {
			return h, fmt.Errorf("%s: %w", key, err)
		}
		if !s.take(",") && s.peek() != "}" {
			return h, fmt.Errorf("want ',' or '}' after the value of %q", key)
		}
	}
	if len(seen) != 3 {
		return h, errors.New("want the keys descr, fortran_order and shape")
	}
	if s.peek() != "" {
		return h, errors.New("text after the dictionary")
	}
	if _, err := ByteSize(h.DType, h.Shape); err != nil {
		return h, err
	}
	return h, nil
}

// scanner reads Python literals from the start of the rest of a text.
type scanner struct{ rest string }

func (s *scanner) skip() { s.rest = strings.TrimLeft(s.rest, " \t\r\n\x00") }

// peek returns the next byte after white space, "" at the end.
func (s *scanner) peek() string {
	s.skip()
	return s.rest[:min(1, len(s.rest))]
}

func (s *scanner) take(token string) bool {
	s.skip()
	rest, ok := strings.CutPrefix(s.rest, token)
	if ok {
		s.rest = rest
	}
	return ok
}

func (s *scanner) quoted() (string, error) {
	quote := s.peek()
	if quote != "'" && quote != `"` {
		return "", errors.New("want a string")
	}
	value, rest, ok := strings.Cut(s.rest[1:], quote)
	if !ok || strings.ContainsRune(value, '\\') {
		return "", errors.New("want a string without escapes that ends")
	}
	s.rest = rest
	return value, nil
}

func (s *scanner) descr() (tensor.DType, bool, error) {
	if s.peek() == "[" {
		return 0, false, errors.New("record types are not supported")
	}
	name, err := s.quoted()
	if err != nil {
		return 0, false, err
	}
	return ParseType(name)
}

func (s *scanner) boolean() (bool, error) {
	switch {
	case s.take("True"):
		return true, nil
	case s.take("False"):
		return false, nil
	}
	return false, errors.New("want True or False")
}

func (s *scanner) shape() ([]int, error) {
	if !s.take("(") {
		return nil, errors.New("want a tuple")
	}
	var shape []int
	for !s.take(")") {
		s.skip()
		end := strings.IndexFunc(s.rest, func(r rune) bool { return r < '0' || r > '9' })
		if end <= 0 {
			return nil, errors.New("want a tuple of numbers from 0")
		}
		d, err := strconv.Atoi(s.rest[:end])
		if err != nil {
			return nil, fmt.Errorf("dimension %s is too large", s.rest[:end])
		}
		s.rest = s.rest[end:]
		s.take("L") // long integers of Python 2
		if shape = append(shape, d); len(shape) > maxRank {
			return nil, fmt.Errorf("more than %d dimensions", maxRank)
		}
		if !s.take(",") && (s.peek() != ")" || len(shape) == 1) {
			return nil, errors.New("want ',' after a dimension")
		}
	}
	return shape, nil
}
