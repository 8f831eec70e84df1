// Package onnxwire walks through ONNX models where they lie in a file, as
// protobuf messages, without reading their weights into memory: a model may be
// larger than memory, and hostile.
package onnxwire

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// MaxPiece bounds what is read of a model into memory at a time: a name, a
// Text or the description of one input.
const MaxPiece = 1 << 20

// Reader reads protobuf messages where they lie in a file.
type Reader struct {
	ctx    context.Context
	r      io.ReaderAt
	fields int
	block  []byte // the part of the file around the last read
	at     int64  // where block begins
}

// New returns a reader of r that stops when ctx does.
func New(ctx context.Context, r io.ReaderAt) *Reader {
	return &Reader{ctx: ctx, r: r, block: make([]byte, 0, 1<<16)}
}

// Span is the content of a length-delimited field, or the whole of a model.
type Span struct{ From, To int64 }

// Len returns the number of bytes in s.
func (s Span) Len() int64 { return s.To - s.From }

// Field is one field of a message: Content for a length-delimited one, Value
// for a varint.
type Field struct {
	At      int64 // where it begins
	Num     protowire.Number
	Type    protowire.Type
	Value   uint64
	Content Span
}

// Each calls f with every field of the message in s.
func (w *Reader) Each(s Span, f func(Field) error) error {
	for at := s.From; at < s.To; {
		if w.fields++; w.fields%4096 == 0 && w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		head, err := w.peek(at, min(2*binary.MaxVarintLen64, s.To-at))
		if err != nil {
			return fmt.Errorf("at byte %d: %w", at, err)
		}
		v := Field{At: at}
		var n int
		if v.Num, v.Type, n = protowire.ConsumeTag(head); n < 0 {
			return fmt.Errorf("at byte %d: not a field of a message: %w", at, protowire.ParseError(n))
		}
		size := 0 // of the value, or of a content's length
		switch v.Type {
		case protowire.VarintType, protowire.BytesType:
			v.Value, size = protowire.ConsumeVarint(head[n:])
		default:
			size = protowire.ConsumeFieldValue(v.Num, v.Type, head[n:])
		}
		if size < 0 {
			return fmt.Errorf("at byte %d: value of field %d: %w", at, v.Num, protowire.ParseError(size))
		}
		at += int64(n + size)
		if v.Type == protowire.BytesType {
			if v.Value > uint64(s.To-at) {
				return fmt.Errorf("at byte %d: field %d has %d bytes, but only %d are left", v.At, v.Num, v.Value, s.To-at)
			}
			v.Content = Span{at, at + int64(v.Value)}
			at = v.Content.To
		}
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

// Within calls g with every field of the message that f holds.
func (w *Reader) Within(f Field, g func(Field) error) error {
	if f.Type != protowire.BytesType {
		return fmt.Errorf("at byte %d: field %d has wire type %d, want a message", f.At, f.Num, f.Type)
	}
	return w.Each(f.Content, g)
}

// peek returns n bytes at a place, valid until the next call. n is small.
func (w *Reader) peek(at, n int64) ([]byte, error) {
	if at < w.at || at+n > w.at+int64(len(w.block)) {
		got, err := w.r.ReadAt(w.block[:cap(w.block)], at)
		if w.at, w.block = at, w.block[:got]; int64(got) < n {
			return nil, err
		}
	}
	return w.block[at-w.at:][:n], nil
}

// Bytes returns a copy of the content of a small length-delimited field.
func (w *Reader) Bytes(f Field) ([]byte, error) {
	n := f.Content.Len()
	if f.Type != protowire.BytesType || n > MaxPiece {
		return nil, fmt.Errorf("at byte %d: field %d has wire type %d and %d bytes, want a text or message of at most %d",
			f.At, f.Num, f.Type, n, MaxPiece)
	}
	b := make([]byte, n)
	if _, err := w.r.ReadAt(b, f.Content.From); err != nil && !(err == io.EOF && n == 0) {
		return nil, fmt.Errorf("at byte %d: %w", f.At, err)
	}
	return b, nil
}

// Text reads a string.
func (w *Reader) Text(f Field, to *string) error {
	b, err := w.Bytes(f)
	*to = string(b)
	return err
}

// Message reads a small message.
func (w *Reader) Message(f Field, to proto.Message) error {
	b, err := w.Bytes(f)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(b, to); err != nil {
		return fmt.Errorf("at byte %d: field %d: %w", f.At, f.Num, err)
	}
	return nil
}
