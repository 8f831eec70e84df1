package graph

import (
	"fmt"
	"strings"
)

// Error says that a node could not be built: the operator, its operands, and
// what it wanted.
type Error struct {
	Op       Op
	Operands []string // the operands' types, such as "float32[N 3]"
	Attr     string   // the attributes as printed, "" if there are none
	Want     string   // what was wanted, "want …", or what is wrong
	Err      error    // the reason in place of all these, where it is none of a node's
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Error returns the error as one line.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	s := fmt.Sprintf("graph: %v(%s)", e.Op, strings.Join(e.Operands, ", "))
	if e.Attr != "" {
		s += " " + e.Attr
	}
	if strings.HasPrefix(e.Want, "want ") {
		return s + ", " + e.Want
	}
	return s + ": " + e.Want
}

// Catch runs build and returns the *Error it panicked with, if any. Other
// panics pass through. It belongs at public boundaries, where a graph is
// built from what a user gave.
func Catch(build func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			err = r
		default:
			panic(r)
		}
	}()
	build()
	return nil
}

func fail(op Op, attr Attr, inputs []*Node, format string, args ...any) {
	e := &Error{Op: op, Want: fmt.Sprintf(format, args...)}
	for _, in := range inputs {
		e.Operands = append(e.Operands, in.Type().String())
	}
	if attr != nil {
		e.Attr = attr.String()
	}
	panic(e)
}
