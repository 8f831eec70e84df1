package weights

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"unicode/utf8"
)

// The values of a pickle are nil, bool, int64, *big.Int, float64, string,
// []byte, tuple, *list, *dict, global, *object, and what the interpreter's
// functions return.
type (
	tuple  []any
	list   struct{ items []any }
	dict   struct{ keys, values []any }
	global struct{ module, name string }
	// object is a value of a class that is not built: its class by name, and
	// what the file gives it.
	object struct {
		class string
		state any
		list
		dict
	}
	mark struct{}
)

func (g global) String() string { return g.module + "." + g.name }

// unpickler interprets pickles of the protocols 2 to 5. It executes nothing:
// the meaning of calls, states and persistent references is the caller's.
type unpickler struct {
	r    *bufio.Reader
	left int64 // bytes that r may still give

	call    func(g global, args tuple) (any, error) // REDUCE
	build   func(object, state any) error           // BUILD
	persist func(id any) (any, error)               // BINPERSID

	stack []any
	memo  map[uint32]any
	made  int // values so far, over all pickles
}

// maxValues bounds the values of a file's pickles, and so the memory and the
// time that a small file can take. A state dictionary takes less than a hundred for each tensor.
const maxValues = 2 << 20

// count says that n more values are made.
func (u *unpickler) count(n int) error {
	if u.made += n; u.made > maxValues {
		return fmt.Errorf("more than %d values beside the tensors' elements", maxValues)
	}
	return nil
}

var errUnderflow = errors.New("stack is empty")

// load interprets one pickle, which ends with its STOP.
func (u *unpickler) load() (any, error) {
	u.stack, u.memo = nil, map[uint32]any{}
	for {
		op, err := u.byte()
		if err != nil {
			return nil, err
		}
		if op == '.' {
			v, err := u.pop()
			if err == nil && len(u.stack) > 0 {
				err = fmt.Errorf("%d values left at the end", len(u.stack))
			}
			return v, err
		}
		err = u.count(1)
		if err == nil {
			err = u.step(op)
		}
		if err != nil {
			return nil, fmt.Errorf("operation %q: %w", op, err)
		}
	}
}

// step interprets one operation.
func (u *unpickler) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		version, err := u.byte()
		if err == nil && (version < 2 || version > 5) {
			err = fmt.Errorf("protocol %d, want 2 to 5", version)
		}
		return err
	case 0x95: // FRAME: only a hint for buffering
		_, err := u.number(8)
		return err
	case '(':
		u.push(mark{})
	case '0': // POP
		_, err := u.pop()
		return err
	case '1': // POP_MARK
		_, err := u.popMark()
		return err
	case 'N':
		u.push(nil)
	case 0x88:
		u.push(true)
	case 0x89:
		u.push(false)
	case 'J': // BININT
		n, err := u.number(4)
		u.push(int64(int32(n)))
		return err
	case 'K': // BININT1
		n, err := u.number(1)
		u.push(int64(n))
		return err
	case 'M': // BININT2
		n, err := u.number(2)
		u.push(int64(n))
		return err
	case 0x8a, 0x8b: // LONG1, LONG4
		return u.long(op)
	case 'G': // BINFLOAT
		b, err := u.bytes(8)
		if err == nil {
			u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}
		return err
	case 'X', 0x8c, 0x8d, 'U', 'T', 'B', 'C', 0x8e, 0x96:
		return u.text(op)
	case ')', 't', 0x85, 0x86, 0x87, ']', 'l', '}', 'd', 0x8f, 0x91:
		return u.container(op)
	case 'a', 'e', 's', 'u', 0x90:
		return u.fill(op)
	case 'q', 'r', 0x94, 'h', 'j':
		return u.remember(op)
	case 'c', 0x93:
		return u.global(op)
	case 'R', 0x81, 0x92, 'b', 'Q':
		return u.apply(op)
	default:
		return errors.New("not one that files of weights need")
	}
	return nil
}

// apply interprets the operations that need the caller's functions.
func (u *unpickler) apply(op byte) error {
	arg, err := u.pop()
	if err != nil {
		return err
	}
	switch op {
	case 'Q': // BINPERSID
		v, err := u.persist(arg)
		u.push(v)
		return err
	case 'b': // BUILD
		return u.build(u.top(), arg)
	case 0x92: // NEWOBJ_EX: the arguments by name are left out
		if arg, err = u.pop(); err != nil {
			return err
		}
	}
	function, err := u.pop() // REDUCE, NEWOBJ
	if err != nil {
		return err
	}
	args, ok := arg.(tuple)
	if !ok {
		return fmt.Errorf("arguments are a %s, want a tuple", kindOf(arg))
	}
	// A call may copy what it is given.
	if err := u.count(sizeOf(args)); err != nil {
		return err
	}
	g, ok := function.(global)
	if !ok { // an object that is called, such as a partial function
		u.push(&object{class: kindOf(function)})
		return nil
	}
	v, err := u.call(g, args)
	u.push(v)
	return err
}

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

func (u *unpickler) global(op byte) error {
	var g global
	if op == 'c' { // GLOBAL
		var err error
		if g.module, err = u.line(); err != nil {
			return err
		}
		if g.name, err = u.line(); err != nil {
			return err
		}
	} else { // STACK_GLOBAL
		name, err := u.pop()
		if err != nil {
			return err
		}
		module, err := u.pop()
		if err != nil {
			return err
		}
		var ok1, ok2 bool
		g.module, ok1 = module.(string)
		g.name, ok2 = name.(string)
		if !ok1 || !ok2 {
			return errors.New("name of a global is no text")
		}
	}
	u.push(g)
	return nil
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

func (u *unpickler) remember(op byte) error {
	var index uint64
	var err error
	switch op {
	case 'q', 'h':
		index, err = u.number(1)
	case 'r', 'j':
		index, err = u.number(4)
	case 0x94: // MEMOIZE
		index = uint64(len(u.memo))
	}
	if err != nil {
		return err
	}
	if op == 'h' || op == 'j' { // GET
		v, ok := u.memo[uint32(index)]
		if !ok {
			return fmt.Errorf("nothing was remembered as %d", index)
		}
		u.push(v)
		return nil
	}
	if len(u.stack) == 0 {
		return errUnderflow
	}
	u.memo[uint32(index)] = u.top()
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
