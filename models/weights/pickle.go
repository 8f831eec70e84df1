package weights

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
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
