package graph

import (
	"fmt"
)

// ScanAttr is the attribute of Scan: the body, and how many of its leading
// inputs and outputs are the state that it carries.
type ScanAttr struct {
	Body    *Graph
	Carried int
}

func (a ScanAttr) String() string {
	return fmt.Sprintf("carried=%d body={\n%s}", a.Carried, a.Body)
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
	inputs := append(append([]*Node{}, state...), scanned...)
	n := apply(OpScan, ScanAttr{body, len(state)}, inputs...)
	results := make([]*Node, len(n.outputs))
	for i := range results {
		results[i] = apply(OpProject, ProjectAttr{i}, n)
	}
	return results
}

// ProjectAttr is the attribute of Project: which output is meant.
type ProjectAttr struct{ Index int }

func (a ProjectAttr) String() string { return fmt.Sprintf("output=%d", a.Index) }

func inferScan(op Op, in []*Node, attr Attr) []Type {
	a := attr.(ScanAttr)
	bodyIn, bodyOut := a.Body.Inputs(), a.Body.Outputs()
	if len(in) != len(bodyIn) || a.Carried >= len(in) || len(bodyOut) < a.Carried {
		fail(op, attr, in, "want operands for the body's %d inputs, one or more of them scanned", len(bodyIn))
	}
	if len(bodyOut) == 0 {
		fail(op, attr, in, "want a body with outputs")
	}
	length := Shape(nil)
	for i, x := range in {
		t := x.Type()
		if i >= a.Carried {
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
