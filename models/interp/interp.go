package interp

import (
	"fmt"
	"slices"
	"strings"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// Run evaluates g and returns its outputs by name: float64, int64 or bool
// tensors that share nothing with the inputs.
//
// Inputs are given by name, exactly those of the graph. A floating-point
// input takes a tensor of any floating-point type, an integer one of any
// integer type. Symbolic dimensions take their sizes from the inputs' shapes.
// Missing, unknown and unfitting inputs are errors that name the input.
func Run(g *graph.Graph, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	var nodes []*graph.Node
	for _, out := range g.Outputs() {
		nodes = append(nodes, out.Node)
	}
	values, err := Eval(g, inputs, nodes...)
	if err != nil {
		return nil, err
	}
	results := make(map[string]*tensor.Tensor, len(nodes))
	for i, out := range g.Outputs() {
		results[out.Name] = values[i]
	}
	return results, nil
}

// Eval is Run for any nodes of g in place of its outputs: it returns their
// values in the given order. Of a Scan, which has several outputs, a
// projection is wanted.
func Eval(g *graph.Graph, inputs map[string]*tensor.Tensor, nodes ...*graph.Node) ([]*tensor.Tensor, error) {
	for _, n := range nodes {
		if n.Graph() != g {
			return nil, fmt.Errorf("interp: node %s is not of graph %q", label(n), g.Name())
		}
	}
	args, err := arguments(g, inputs)
	if err != nil {
		return nil, fmt.Errorf("interp: graph %q: %w", g.Name(), err)
	}
	sizes, err := bind(g, args)
	if err != nil {
		return nil, fmt.Errorf("interp: graph %q: %w", g.Name(), err)
	}
	values, err := evaluate(g, args, sizes, nodes)
	if err != nil {
		return nil, fmt.Errorf("interp: graph %q: %w", g.Name(), err)
	}
	for i, v := range values {
		values[i] = v.Clone() // it may be an input, a constant, or a reshape of one
	}
	return values, nil
}

// arguments returns the widened inputs in the order of the graph's.
func arguments(g *graph.Graph, inputs map[string]*tensor.Tensor) ([]*tensor.Tensor, error) {
	args := make([]*tensor.Tensor, len(g.Inputs()))
	var names []string
	for i, in := range g.Inputs() {
		name := in.InputName()
		names = append(names, name)
		t := inputs[name]
		if t == nil {
			return nil, fmt.Errorf("input %q of type %v is missing", name, in.Type())
		}
		args[i] = widen(t)
		if want := widened(in.DType()); args[i].DType() != want {
			return nil, fmt.Errorf("input %q is %v, want %v", name, t, in.Type())
		}
	}
	for name := range inputs {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("input %q is not known, the inputs are %s", name, strings.Join(names, ", "))
		}
	}
	return args, nil
}

// evaluate returns the values of the wanted nodes. It computes only what they
// need, and drops a value once its last user is done.
func evaluate(g *graph.Graph, args []*tensor.Tensor, sizes map[string]int, wanted []*graph.Node) ([]*tensor.Tensor, error) {
	uses := countUses(g, wanted)
	values := make([][]*tensor.Tensor, len(g.Nodes()))
	for i, in := range g.Inputs() {
		values[in.ID()] = args[i : i+1]
	}
	run := func(body *graph.Graph, args []*tensor.Tensor) ([]*tensor.Tensor, error) {
		var nodes []*graph.Node
		for _, out := range body.Outputs() {
			nodes = append(nodes, out.Node)
		}
		return evaluate(body, args, sizes, nodes)
	}
	for id, n := range g.Nodes() {
		if uses[id] == 0 {
			values[id] = nil
			continue
		}
		c := &call{node: n, run: run, arg: values[id], sizes: sizes}
		for _, in := range n.Inputs() {
			if n.Op() == graph.OpProject {
				c.in = values[in.ID()] // all outputs of the Scan
				continue
			}
			c.in = append(c.in, values[in.ID()][0])
		}
		if len(c.in) > 0 {
			if err := count(n, c.in[0], sizes); err != nil {
				return nil, fmt.Errorf("node %s: %w", label(n), err)
			}
		}
		for _, t := range n.Types() {
			shape, err := t.Shape.Bind(sizes)
			if err != nil {
				return nil, fmt.Errorf("node %s: %w", label(n), err)
			}
			c.shapes = append(c.shapes, shape)
		}
		if !Has(n.Op()) {
			return nil, fmt.Errorf("node %s: the operator has no evaluation", label(n))
		}
		out, err := kernels[n.Op()](c)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", label(n), err)
		}
		values[id] = out
		for _, in := range n.Inputs() {
			if uses[in.ID()]--; uses[in.ID()] == 0 {
				values[in.ID()] = nil
			}
		}
	}
	results := make([]*tensor.Tensor, len(wanted))
	for i, n := range wanted {
		if len(n.Types()) != 1 {
			return nil, fmt.Errorf("node %s has %d outputs, want a projection of one", label(n), len(n.Types()))
		}
		results[i] = values[n.ID()][0]
	}
	return results, nil
}

// label names a node in an error. A Scan's own text would hold its body.
func label(n *graph.Node) string { return fmt.Sprintf("%%%d = %v", n.ID(), n.Op()) }

// countUses returns, by ID, how often a node that is needed for the wanted
// ones is used, 0 for those that are not needed.
func countUses(g *graph.Graph, wanted []*graph.Node) []int {
	uses := make([]int, len(g.Nodes()))
	for _, n := range wanted {
		uses[n.ID()]++
	}
	needed := g.Needed(wanted...)
	for id, n := range g.Nodes() {
		if needed[id] {
			for _, in := range n.Inputs() {
				uses[in.ID()]++
			}
		}
	}
	for id := range uses {
		if needed[id] {
			uses[id] = max(1, uses[id]) // of what only gives a symbol its size
		}
	}
	return uses
}

// widened returns the type in which elements of a declared type are computed.
func widened(d tensor.DType) tensor.DType {
	switch {
	case d.IsFloat():
		return tensor.Float64
	case d == tensor.Bool:
		return tensor.Bool
	}
	return tensor.Int64
}

// widen returns t with its elements in the type in which they are computed,
// t itself if they are.
func widen(t *tensor.Tensor) *tensor.Tensor {
	if t.DType().IsFloat() {
		return t.AsFloat64()
	}
	switch d := t.Raw().(type) {
	case []int8:
		return integers(d, t.Shape())
	case []int16:
		return integers(d, t.Shape())
	case []int32:
		return integers(d, t.Shape())
	case []uint8:
		return integers(d, t.Shape())
	}
	return t
}

func integers[T int8 | int16 | int32 | uint8](data []T, shape []int) *tensor.Tensor {
	out := make([]int64, len(data))
	for i, v := range data {
		out[i] = int64(v)
	}
	return tensor.Of(out, shape...)
}
