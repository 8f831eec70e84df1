package graph

import (
	"fmt"
	"slices"
)

// ScanAttr is the attribute of Scan: the body, how many of its leading inputs
// and outputs are the state that it carries, how many of its last inputs are the
// same at every step, and whether it begins at the last place.
type ScanAttr struct {
	Body            *Graph
	Carried, Shared int
	Reverse         bool
}

func (a ScanAttr) String() string {
	how := ""
	if a.Shared > 0 {
		how = fmt.Sprintf(" shared=%d", a.Shared)
	}
	if a.Reverse {
		how += " reverse"
	}
	return fmt.Sprintf("carried=%d%s body={\n%s}", a.Carried, how, a.Body)
}

// Scan repeats a body along the first axis, of length K, of the scanned
// operands:
//
//	for k = 0 … K−1:  state, slice[k] = body(state, scanned[k] …)
//
// The body's inputs are the carried state, then one slice of each scanned
// operand; its outputs are the next state, in types equal to the state's,
// then what is to be stacked along a new first axis. Scan returns the final
// state, then the stacks [K …].
func Scan(body *Graph, state, scanned []*Node) []*Node {
	return ScanShared(body, state, scanned, nil, false)
}

// ScanShared is Scan with operands that every step sees as they are, the last
// inputs of the body. In reverse, it goes from k = K−1 down to 0; the stacks have
// slice[k] at place k all the same.
func ScanShared(body *Graph, state, scanned, shared []*Node, reverse bool) []*Node {
	inputs := slices.Concat(state, scanned, shared)
	n := apply(OpScan, ScanAttr{Body: body, Carried: len(state), Shared: len(shared), Reverse: reverse}, inputs...)
	return Projections(n)
}

// Projections adds the outputs of a Scan as nodes.
func Projections(scan *Node) []*Node {
	results := make([]*Node, len(scan.outputs))
	for i := range results {
		results[i] = apply(OpProject, ProjectAttr{i}, scan)
	}
	return results
}

// ProjectAttr is the attribute of Project: which output is meant.
type ProjectAttr struct{ Index int }

func (a ProjectAttr) String() string { return fmt.Sprintf("output=%d", a.Index) }

func inferScan(op Op, in []*Node, attr Attr) []Type {
	a := attr.(ScanAttr)
	bodyIn, bodyOut := a.Body.Inputs(), a.Body.Outputs()
	first := len(in) - a.Shared // of the operands that are the same at every step
	if len(in) != len(bodyIn) || a.Shared < 0 || a.Carried >= first || len(bodyOut) < a.Carried {
		fail(op, attr, in, "want operands for the body's %d inputs, one or more of them scanned", len(bodyIn))
	}
	if len(bodyOut) == 0 {
		fail(op, attr, in, "want a body with outputs")
	}
	length := Shape(nil)
	for i, x := range in {
		t := x.Type()
		if i >= first {
			// as it is
		} else if i >= a.Carried {
			if x.Rank() == 0 || length != nil && length[0] != t.Shape[0] {
				fail(op, attr, in, "want scanned operands of one length")
			}
			length = t.Shape[:1]
			t.Shape = t.Shape[1:]
		} else if next := bodyOut[i].Node.Type(); !next.Equal(t) {
			fail(op, attr, in, "the body turns state %d of type %v into %v", i, t, next)
		}
		if !t.Equal(bodyIn[i].Type()) {
			fail(op, attr, in, "operand %d is %v for the body, which wants %v", i, t, bodyIn[i].Type())
		}
	}
	types := make([]Type, len(bodyOut))
	for i, out := range bodyOut {
		types[i] = out.Node.Type()
		if i >= a.Carried {
			types[i].Shape = append(Shape{length[0]}, types[i].Shape...)
		}
	}
	return types
}

func inferProject(op Op, in []*Node, attr Attr) []Type {
	i := attr.(ProjectAttr).Index
	if in[0].op != OpScan || i < 0 || i >= len(in[0].outputs) {
		fail(op, attr, in, "want an output of a Scan")
	}
	return in[0].outputs[i : i+1]
}
