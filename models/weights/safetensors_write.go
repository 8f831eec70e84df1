package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"ebm/internal/npz"
	"ebm/models/tensor"
)

// WriteSafetensors writes a set. Equal sets give equal bytes, whatever their order.
// A tensor named "__metadata__", and metadata that is not valid UTF-8, are
// errors.
func WriteSafetensors(w io.Writer, s *Set) error {
	names := s.Names()
	slices.SortFunc(names, func(a, b string) int {
		sizeA, sizeB := s.tensors[a].DType().Size(), s.tensors[b].DType().Size()
		return cmp.Or(cmp.Compare(sizeB, sizeA), cmp.Compare(a, b))
	})
	header, err := safetensorsHeader(s, names)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	for _, name := range names {
		if err := npz.WriteElements(w, s.tensors[name]); err != nil {
			return fmt.Errorf("safetensors: tensor %q: %w", name, err)
		}
	}
	return nil
}

// safetensorsHeader returns the bytes before the elements.
func safetensorsHeader(s *Set, names []string) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 8))
	out.WriteByte('{')
	comma := ""
	if len(s.Metadata) > 0 {
		out.WriteString(quote(metadataKey) + ":{")
		for _, key := range slices.Sorted(maps.Keys(s.Metadata)) {
			value := s.Metadata[key]
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return nil, fmt.Errorf("metadata %q: %q is not valid UTF-8", key, value)
			}
			out.WriteString(comma + quote(key) + ":" + quote(value))
			comma = ","
		}
		out.WriteByte('}')
		comma = ","
	}
	at := 0
	for _, name := range names {
		if name == metadataKey {
			return nil, fmt.Errorf("a tensor cannot have the name %q", name)
		}
		t := s.tensors[name]
		size, err := npz.ByteSize(t.DType(), t.Shape())
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		shape, err := json.Marshal(append([]int{}, t.Shape()...))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(out, `%s%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, comma, quote(name),
			safetensorsType(t.DType()), shape, at, at+size)
		comma = ","
		at += size
	}
	out.WriteByte('}')
	for out.Len()%8 != 0 {
		out.WriteByte(' ')
	}
	header := out.Bytes()
	if len(header)-8 > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, at most %d are possible", len(header)-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(header, uint64(len(header)-8))
	return header, nil
}

func safetensorsType(dtype tensor.DType) string {
	for name, d := range safetensorsTypes {
		if d == dtype {
			return name
		}
	}
	return ""
}

// quote returns a text as a JSON string, which cannot fail.
func quote(text string) string {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text)
	return string(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
}
