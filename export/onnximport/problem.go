package onnximport

import (
	"fmt"
	"slices"
	"strings"

	"ebm/export/onnxpb"
	"ebm/models/graph"
)

// Problem is one thing in a file that cannot be read.
type Problem struct {
	// Node is the name of the node, or of its first result where it has none;
	// "" for an input or an initialiser, which Reason names.
	Node string `json:"node,omitempty"`
	// Operator is the node's, with its domain unless that is the standard one,
	// and Version that of the standard operator set.
	Operator string `json:"operator,omitempty"`
	Version  int    `json:"version,omitempty"`
	// Reason says what is the matter, and Remedy what may help, "" for nothing.
	Reason string `json:"reason"`
	Remedy string `json:"remedy,omitempty"`

	place int    // index of the node in the file's graph, −1 if it is none
	value string // the input or initialiser
}

func (p Problem) String() string {
	s := p.Reason
	if p.Node != "" {
		s = fmt.Sprintf("node %q (%s) of operator set %d: %s", p.Node, p.Operator, p.Version, p.Reason)
	}
	if p.Remedy != "" {
		s += " (" + p.Remedy + ")"
	}
	return s
}

// Unreadable is the error of a model in which something that is wanted
// depends on what cannot be read: all of it, in the order of computation.
type Unreadable struct {
	Values   []string // that are wanted
	Problems []Problem
}

func (e *Unreadable) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	lines := []string{fmt.Sprintf("%d things stand in the way of %s:", len(e.Problems), strings.Join(e.Values, ", "))}
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n  ")
}

// Dropped is an output of the file that the graph lacks.
type Dropped struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// report adds a problem of a node of the graph at hand.
func (im *importer) report(n *onnxpb.NodeProto, err error, remedy string) {
	const most = 1 << 10
	if len(im.problems) >= most {
		return
	}
	name := n.GetName()
	if name == "" && len(n.Output) > 0 {
		name = n.Output[0]
	}
	im.problems = append(im.problems, Problem{
		Node: name, Operator: operatorName(n), Version: im.version, Reason: err.Error(), Remedy: remedy, place: im.place,
	})
}

// broken marks a value that cannot be read, for a reason that is reported.
func (im *importer) broken(name string, err error, remedy string) {
	im.values[name] = &value{absent: err.Error(), broken: true}
	im.problems = append(im.problems, Problem{Reason: err.Error(), Remedy: remedy, place: -1, value: name})
}

// unreadable returns the error of values that could not be computed.
func (im *importer) unreadable(g *onnxpb.GraphProto, values ...string) *Unreadable {
	nodes, names := neededFor(g, values)
	e := &Unreadable{Values: values}
	for _, p := range im.problems {
		if p.place >= 0 && nodes[p.place] || p.place < 0 && names[p.value] {
			e.Problems = append(e.Problems, p)
		}
	}
	if len(e.Problems) == 0 {
		e.Problems = []Problem{{Reason: fmt.Sprintf("output %q: %s", values[0], im.values[values[0]].absent)}}
	}
	return e
}

// remedyFor says what may help a node with operands that are too little known:
// sizes for their symbols, and values for the inputs of whole numbers that
// they, or those of their sizes that only values say, are computed from.
func (im *importer) remedyFor(operands []*value) string {
	var flags []string
	for _, v := range operands {
		if v == nil {
			continue
		}
		var dims []graph.Dim
		if v.sizes != nil {
			dims = v.sizes.elems
		}
		if v.node != nil {
			dims = append(slices.Clone(dims), v.node.Shape()...)
		}
		fixable, measured := im.sizeFlags(dims)
		flags = append(flags, fixable...)
		if v.node == nil || !measured && (v.node.DType().IsFloat() || v.node.Rank() > 1) {
			continue
		}
		for n := range ancestors(v.node) {
			if name := n.InputName(); name != "" && !n.DType().IsFloat() && n.Rank() <= 1 {
				flags = append(flags, fmt.Sprintf("--value %s=…", name))
			}
		}
	}
	slices.Sort(flags)
	return strings.Join(slices.Compact(flags), " ")
}

// sizeFlags returns flags for the symbols of dimensions, and whether there are symbols
// that only values say.
func (im *importer) sizeFlags(dims []graph.Dim) (flags []string, measured bool) {
	for _, d := range dims {
		for _, s := range d.Symbols() {
			if plain, known := im.plain[s]; known && !plain {
				measured = true
			} else {
				flags = append(flags, fmt.Sprintf("--size %s=…", s))
			}
		}
	}
	return flags, measured
}
