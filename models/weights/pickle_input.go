package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"ebm/internal/files"
)

// The interpreter's stack and input.

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

func (u *unpickler) top() any {
	if len(u.stack) == 0 {
		return mark{}
	}
	return u.stack[len(u.stack)-1]
}

func (u *unpickler) pop() (any, error) {
	v := u.top()
	if _, ok := v.(mark); ok {
		return nil, errUnderflow
	}
	u.stack = u.stack[:len(u.stack)-1]
	return v, nil
}

func (u *unpickler) popN(n int) ([]any, error) {
	items := make([]any, n)
	for i := n - 1; i >= 0; i-- {
		var err error
		if items[i], err = u.pop(); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// popMark returns what is above the topmost mark, which goes too.
func (u *unpickler) popMark() ([]any, error) {
	for i := len(u.stack) - 1; i >= 0; i-- {
		if _, ok := u.stack[i].(mark); ok {
			items := append([]any(nil), u.stack[i+1:]...)
			u.stack = u.stack[:i]
			return items, nil
		}
	}
	return nil, errors.New("no mark on the stack")
}

func (u *unpickler) byte() (byte, error) {
	b, err := u.bytes(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// number reads a little-endian number of 1 to 8 bytes.
func (u *unpickler) number(width int) (uint64, error) {
	var b [8]byte
	got, err := u.bytes(int64(width))
	copy(b[:], got)
	return binary.LittleEndian.Uint64(b[:]), err
}

// bytes reads n bytes. Memory grows with what really arrives.
func (u *unpickler) bytes(n int64) ([]byte, error) {
	if n > u.left {
		return nil, io.ErrUnexpectedEOF
	}
	u.left -= n
	if n <= 1<<12 {
		b := make([]byte, n)
		_, err := io.ReadFull(u.r, b)
		return b, files.Early(err)
	}
	var buf bytes.Buffer
	_, err := io.CopyN(&buf, u.r, n)
	return buf.Bytes(), files.Early(err)
}

// line reads a name that ends with a line feed.
func (u *unpickler) line() (string, error) {
	var name strings.Builder
	for name.Len() < 256 {
		b, err := u.byte()
		if err != nil {
			return "", err
		}
		if b == '\n' {
			return name.String(), nil
		}
		name.WriteByte(b)
	}
	return "", errors.New("name of more than 255 bytes")
}
