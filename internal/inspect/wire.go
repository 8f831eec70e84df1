package inspect

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// maxPiece bounds what is read of a model into memory at a time: a name, a
// text or the description of one input.
const maxPiece = 1 << 20

// wire reads protobuf messages where they lie in a file.
type wire struct {
	ctx    context.Context
	r      io.ReaderAt
	fields int
	block  []byte // the part of the file around the last read
	at     int64  // where block begins
}

func newWire(ctx context.Context, r io.ReaderAt) *wire {
	return &wire{ctx: ctx, r: r, block: make([]byte, 0, 1<<16)}
}

// span is the content of a length-delimited field.
type span struct{ from, to int64 }

func (s span) len() int64 { return s.to - s.from }

// field is one field of a message: content for a length-delimited one, value
// for a varint.
type field struct {
	at      int64
	num     protowire.Number
	typ     protowire.Type
	value   uint64
	content span
}

// each calls f with every field of the message in s.
func (w *wire) each(s span, f func(field) error) error {
	for at := s.from; at < s.to; {
		if w.fields++; w.fields%4096 == 0 && w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		head, err := w.peek(at, min(2*binary.MaxVarintLen64, s.to-at))
		if err != nil {
			return fmt.Errorf("at byte %d: %w", at, err)
		}
		v := field{at: at}
		var n int
		if v.num, v.typ, n = protowire.ConsumeTag(head); n < 0 {
			return fmt.Errorf("at byte %d: not a field of a message: %w", at, protowire.ParseError(n))
		}
		size := 0 // of the value, or of a content's length
		switch v.typ {
		case protowire.VarintType, protowire.BytesType:
			v.value, size = protowire.ConsumeVarint(head[n:])
		default:
			size = protowire.ConsumeFieldValue(v.num, v.typ, head[n:])
		}
		if size < 0 {
			return fmt.Errorf("at byte %d: value of field %d: %w", at, v.num, protowire.ParseError(size))
		}
		at += int64(n + size)
		if v.typ == protowire.BytesType {
			if v.value > uint64(s.to-at) {
				return fmt.Errorf("at byte %d: field %d has %d bytes, but only %d are left", v.at, v.num, v.value, s.to-at)
			}
			v.content = span{at, at + int64(v.value)}
			at = v.content.to
		}
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

// peek returns n bytes at a place, valid until the next call. n is small.
func (w *wire) peek(at, n int64) ([]byte, error) {
	if at < w.at || at+n > w.at+int64(len(w.block)) {
		got, err := w.r.ReadAt(w.block[:cap(w.block)], at)
		if w.at, w.block = at, w.block[:got]; int64(got) < n {
			return nil, err
		}
	}
	return w.block[at-w.at:][:n], nil
}

// bytes returns a copy of the content of a small length-delimited field.
func (w *wire) bytes(f field) ([]byte, error) {
	n := f.content.len()
	if f.typ != protowire.BytesType || n > maxPiece {
		return nil, fmt.Errorf("at byte %d: field %d has wire type %d and %d bytes, wanted a text or message of at most %d",
			f.at, f.num, f.typ, n, maxPiece)
	}
	b := make([]byte, n)
	if _, err := w.r.ReadAt(b, f.content.from); err != nil && !(err == io.EOF && n == 0) {
		return nil, fmt.Errorf("at byte %d: %w", f.at, err)
	}
	return b, nil
}

// text reads a string.
func (w *wire) text(f field, to *string) error {
	b, err := w.bytes(f)
	*to = string(b)
	return err
}

// message reads a small message.
func (w *wire) message(f field, to proto.Message) error {
	b, err := w.bytes(f)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(b, to); err != nil {
		return fmt.Errorf("at byte %d: field %d: %w", f.at, f.num, err)
	}
	return nil
}
