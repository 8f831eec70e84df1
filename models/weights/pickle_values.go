package weights

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"unicode/utf8"
)

// sizeOf returns the number of items in a call's arguments and one level
// below.
func sizeOf(args tuple) int {
	n := len(args)
	for _, arg := range args {
		switch arg := arg.(type) {
		case tuple:
			n += len(arg)
		case *list:
			n += len(arg.items)
		}
	}
	return n
}

func (u *unpickler) container(op byte) error {
	var items []any
	var err error
	switch op {
	case 't', 'l', 'd', 0x91:
		items, err = u.popMark()
	case 0x85, 0x86, 0x87:
		items, err = u.popN(int(op - 0x84))
	}
	if err != nil {
		return err
	}
	switch op {
	case ']', 'l':
		u.push(&list{items})
	case '}', 'd':
		d := &dict{}
		u.push(d)
		return d.set(items)
	case 0x8f, 0x91: // EMPTY_SET, FROZENSET
		u.push(&object{class: "set", list: list{items}})
	default:
		u.push(tuple(items))
	}
	return nil
}

// fill puts values into the container below them.
func (u *unpickler) fill(op byte) error {
	var items []any
	var err error
	switch op {
	case 'a':
		items, err = u.popN(1)
	case 's':
		items, err = u.popN(2)
	default:
		items, err = u.popMark()
	}
	if err != nil {
		return err
	}
	switch c := u.top().(type) {
	case *list:
		if op == 'a' || op == 'e' {
			c.items = append(c.items, items...)
			return nil
		}
	case *dict:
		if op == 's' || op == 'u' {
			return c.set(items)
		}
	case *object:
		if op == 's' || op == 'u' {
			return c.set(items)
		}
		c.items = append(c.items, items...) // of a set, a deque, …
		return nil
	}
	return fmt.Errorf("items for a %s", kindOf(u.top()))
}

// set appends the pairs of keys and values.
func (d *dict) set(items []any) error {
	if len(items)%2 != 0 {
		return errors.New("a key without a value")
	}
	for i := 0; i < len(items); i += 2 {
		d.keys = append(d.keys, items[i])
		d.values = append(d.values, items[i+1])
	}
	return nil
}

func (u *unpickler) long(op byte) error {
	length, err := u.number(map[byte]int{0x8a: 1, 0x8b: 4}[op])
	if err != nil {
		return err
	}
	if length > 1<<10 {
		return fmt.Errorf("number of %d bytes", length)
	}
	b, err := u.bytes(int64(length))
	if err != nil {
		return err
	}
	// Little-endian two's complement.
	n := new(big.Int)
	for i := len(b) - 1; i >= 0; i-- {
		n.Lsh(n, 8).Or(n, big.NewInt(int64(b[i])))
	}
	if len(b) > 0 && b[len(b)-1]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	if n.IsInt64() {
		u.push(n.Int64())
	} else {
		u.push(n)
	}
	return nil
}

func (u *unpickler) text(op byte) error {
	width := 4 // X BINUNICODE, T BINSTRING, B BINBYTES
	switch op {
	case 0x8c, 'U', 'C': // SHORT_BINUNICODE, SHORT_BINSTRING, SHORT_BINBYTES
		width = 1
	case 0x8d, 0x8e, 0x96: // BINUNICODE8, BINBYTES8, BYTEARRAY8
		width = 8
	}
	length, err := u.number(width)
	if err != nil {
		return err
	}
	if length > uint64(max(u.left, 0)) {
		return fmt.Errorf("text of %d bytes with %d left: %w", length, u.left, io.ErrUnexpectedEOF)
	}
	b, err := u.bytes(int64(length))
	if err != nil {
		return err
	}
	switch op {
	case 'B', 'C', 0x8e, 0x96:
		u.push(b)
		return nil
	}
	switch {
	case utf8.Valid(b):
		u.push(string(b))
	case op == 'U' || op == 'T': // a text of Python 2, which may be bytes
		u.push(b)
	default:
		return errors.New("text is not valid UTF-8")
	}
	return nil
}

// kindOf names the kind of a value for messages.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case mark:
		return "mark"
	case tuple:
		return "tuple"
	case *list:
		return "list"
	case *dict:
		return "dict"
	case global:
		return v.String()
	case *object:
		return v.class
	case *view:
		return "tensor"
	case *storage:
		return "storage"
	case *array:
		return "NumPy array"
	}
	return fmt.Sprintf("%T", v)
}
