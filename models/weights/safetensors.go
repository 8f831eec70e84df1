package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"ebm/internal/files"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

const (
	metadataKey = "__metadata__"
	// maxHeader is the limit of the reference implementation.
	maxHeader = 100_000_000
)

var safetensorsTypes = map[string]tensor.DType{
	"F32": tensor.Float32, "F64": tensor.Float64, "F16": tensor.Float16, "BF16": tensor.BFloat16,
	"I8": tensor.Int8, "I16": tensor.Int16, "I32": tensor.Int32, "I64": tensor.Int64,
	"U8": tensor.Uint8, "BOOL": tensor.Bool,
}

// otherSafetensors are the bits of an element of the types that cannot be held.
var otherSafetensors = map[string]int{
	"U16": 16, "U32": 32, "U64": 64, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
	"F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}

// slot is a tensor in the header; offsets count from the end of the header.
type slot struct {
	name       string
	kind       string
	dtype      tensor.DType // 0 where the kind cannot be held
	shape      []int
	begin, end int64
}

// bytes returns the size of the slot's elements.
func (s slot) bytes() (int64, error) {
	dtype, held := safetensorsTypes[s.kind]
	if held {
		n, err := npz.ByteSize(dtype, s.shape)
		return int64(n), err
	}
	n, err := npz.ByteSize(tensor.Float64, s.shape) // eight bytes, for what has at most as many
	return (int64(n)/8*int64(otherSafetensors[s.kind]) + 7) / 8, err
}

// ReadSafetensors reads a safetensors file of size bytes. The tensors come in
// the order of their elements. The tensors must fill the file without holes or
// overlap, and be of types that can be held.
func ReadSafetensors(r io.ReaderAt, size int64) (*Set, error) {
	f := &File{}
	err := f.readSafetensors(r, size)
	if err != nil {
		return nil, err
	}
	s := &Set{Metadata: f.Metadata}
	for _, c := range f.root.children {
		if c.tensor.why != "" {
			return nil, fmt.Errorf("safetensors: %q: type %q is not supported", c.key, c.tensor.why)
		}
		t, err := c.tensor.read()
		if err == nil {
			err = s.Add(c.key, t)
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// readSafetensors takes the tensors of a safetensors file, and the second names that
// its metadata give to tied ones, as safetensors' save_model writes them.
func (f *File) readSafetensors(r io.ReaderAt, size int64) error {
	slots, metadata, start, err := safetensorsSlots(r, size)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	f.root, f.Metadata = &node{}, metadata
	of := map[string]*source{}
	for _, e := range slots {
		s := &source{dtype: e.dtype, shape: e.shape, id: new(byte)}
		if _, held := safetensorsTypes[e.kind]; !held {
			s.why = e.kind
		}
		s.read = func() (*tensor.Tensor, error) {
			t, err := npz.ReadElements(io.NewSectionReader(r, start+e.begin, e.end-e.begin), e.dtype, e.shape, size)
			if err != nil {
				return nil, fmt.Errorf("safetensors: tensor %q: %w", e.name, err)
			}
			return t, nil
		}
		f.root.add(e.name, s)
		of[e.name] = s
	}
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		if s := of[metadata[name]]; s != nil && of[name] == nil {
			f.root.add(name, s)
		}
	}
	return nil
}

// safetensorsSlots reads and checks the header; start is where the elements begin.
func safetensorsSlots(r io.ReaderAt, size int64) (slots []slot, metadata map[string]string, start int64, err error) {
	var length [8]byte
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, nil, 0, fmt.Errorf("length of the header: %w", files.Early(err))
	}
	n := binary.LittleEndian.Uint64(length[:])
	if size < 8 || n > uint64(size-8) || n > maxHeader {
		return nil, nil, 0, fmt.Errorf("header of %d bytes in a file of %d bytes, at most %d are possible", n, size, maxHeader)
	}
	text := make([]byte, n)
	if _, err := r.ReadAt(text, 8); err != nil && n > 0 {
		return nil, nil, 0, fmt.Errorf("header: %w", files.Early(err))
	}
	if slots, metadata, err = parseHeader(text); err != nil {
		return nil, nil, 0, fmt.Errorf("header: %w", err)
	}
	start = 8 + int64(n)
	return slots, metadata, start, checkLayout(slots, size-start)
}

// checkLayout sorts the entries by offset and checks that they hold exactly
// their elements and follow each other from 0 to size.
func checkLayout(entries []slot, size int64) error {
	slices.SortStableFunc(entries, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	at := int64(0)
	for _, e := range entries {
		want, err := e.bytes()
		if err != nil {
			return fmt.Errorf("tensor %q: %w", e.name, err)
		}
		switch {
		case e.end-e.begin != want:
			return fmt.Errorf("tensor %q: bytes %d to %d for %v%v, want %d bytes", e.name, e.begin, e.end, e.kind, e.shape, want)
		case e.begin < at:
			return fmt.Errorf("tensor %q: bytes %d to %d overlap another tensor, which ends at %d", e.name, e.begin, e.end, at)
		case e.begin > at:
			return fmt.Errorf("tensor %q: bytes %d to %d belong to no tensor", e.name, at, e.begin)
		case e.end > size:
			return fmt.Errorf("tensor %q: bytes %d to %d of only %d: %w", e.name, e.begin, e.end, size, io.ErrUnexpectedEOF)
		}
		at = e.end
	}
	if at != size {
		return fmt.Errorf("%d bytes after the last tensor", size-at)
	}
	return nil
}

// parseHeader reads the header's JSON. It goes token by token because
// encoding/json would let the last of two equal keys win.
func parseHeader(text []byte) ([]slot, map[string]string, error) {
	if len(text) == 0 || text[0] != '{' {
		return nil, nil, errors.New("want a JSON object at its start")
	}
	if !utf8.Valid(text) {
		return nil, nil, errors.New("not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var entries []slot
	var metadata map[string]string
	err := jsonObject(dec, func(key string) error {
		if key == metadataKey {
			metadata = map[string]string{}
			return jsonObject(dec, func(key string) (err error) {
				metadata[key], err = token[string](dec)
				return err
			})
		}
		e, err := parseSlot(dec)
		e.name = key
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("text after the JSON object")
	}
	return entries, metadata, nil
}

func parseSlot(dec *json.Decoder) (slot, error) {
	var e slot
	found := 0
	err := jsonObject(dec, func(key string) error {
		found++
		switch key {
		case "dtype":
			var err error
			if e.kind, err = token[string](dec); err != nil {
				return err
			}
			e.dtype = safetensorsTypes[e.kind]
			if otherSafetensors[e.kind] == 0 && e.dtype.Size() == 0 {
				return fmt.Errorf("type %q is not supported", e.kind)
			}
			return nil
		case "shape":
			return numbers(dec, func(n int64) error {
				if int64(int(n)) != n {
					return fmt.Errorf("dimension %d is too large", n)
				}
				e.shape = append(e.shape, int(n))
				return nil
			})
		case "data_offsets":
			var offsets []int64
			if err := numbers(dec, func(n int64) error {
				offsets = append(offsets, n)
				return nil
			}); err != nil {
				return err
			}
			if len(offsets) != 2 || offsets[0] > offsets[1] {
				return fmt.Errorf("offsets %v, want a beginning and an end", offsets)
			}
			e.begin, e.end = offsets[0], offsets[1]
			return nil
		}
		return errors.New("key is not one of dtype, shape, data_offsets")
	})
	if err == nil && found != 3 {
		err = errors.New("want the keys dtype, shape and data_offsets")
	}
	return e, err
}

// jsonObject reads a JSON object and calls value at the start of each value. Two
// equal keys are an error.
func jsonObject(dec *json.Decoder, value func(key string) error) error {
	if err := delim(dec, '{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for dec.More() {
		key, err := token[string](dec)
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("key %q twice", key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	return delim(dec, '}')
}

// numbers reads a JSON array of whole numbers from 0.
func numbers(dec *json.Decoder, value func(int64) error) error {
	if err := delim(dec, '['); err != nil {
		return err
	}
	for dec.More() {
		text, err := token[json.Number](dec)
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(text.String(), 10, 63)
		if err != nil {
			return fmt.Errorf("%s is not a whole number from 0 to 2^63-1", text)
		}
		if err := value(int64(n)); err != nil {
			return err
		}
	}
	return delim(dec, ']')
}

func delim(dec *json.Decoder, want json.Delim) error {
	got, err := token[json.Delim](dec)
	if err == nil && got != want {
		err = fmt.Errorf("found %v, want %v", got, want)
	}
	return err
}

func token[T json.Delim | json.Number | string](dec *json.Decoder) (T, error) {
	found, err := dec.Token()
	if err != nil {
		var zero T
		return zero, files.Early(err)
	}
	value, ok := found.(T)
	if !ok {
		return value, fmt.Errorf("found %v, want a %T", found, value)
	}
	return value, nil
}
