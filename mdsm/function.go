package mdsm

import (
	"cmp"
	"fmt"
	"slices"

	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// FunctionOf says how a graph, such as one imported from an ONNX file, computes an
// energy. The zero value is that of an input called x and an output called energy.
type FunctionOf struct {
	Input  string // the name of x, "" for x
	Output string // the name of what the energy is made of, "" for energy
	Value  Value  // how it is made, "" for PlainEnergy
	// Parameters are inputs of the graph that training changes, and FunctionOf's
	// network has as its own.
	Parameters []string
}

// Value says how the energy of an x is made of numbers that a graph computes for it.
type Value string

// The values.
const (
	PlainEnergy  Value = "energy"    // the number itself; one number for the batch is a sum over it
	LinearEnergy Value = "linear"    // the sum of the numbers
	SquareEnergy Value = "quadratic" // half the sum of their squares
	LogitsEnergy Value = "logits"    // −log Σ exp of the numbers, of a classifier
)

// Values returns all values.
func Values() []Value { return []Value{PlainEnergy, LinearEnergy, SquareEnergy, LogitsEnergy} }

// Function returns the energy that a graph computes from x, as a network. See
// FunctionOf.Network.
func Function(g *graph.Graph) (energy.Network, error) { return FunctionOf{}.Network(g) }

// Network returns the energy that a graph computes, as a network. The graph must
// have the input x, float32 or float16 with a batch of any size first and fixed dimensions
// after it, no others but the parameters, and the output with numbers for each x.
// Other outputs are left alone. The network itself is of float32.
func (o FunctionOf) Network(g *graph.Graph) (energy.Network, error) {
	o = o.withDefaults()
	f := function{of: o}
	var batch graph.Dim
	for _, in := range g.Inputs() {
		switch name := in.InputName(); {
		case slices.Contains(o.Parameters, name):
			shape, _ := in.Shape().Static() // an initialiser's
			f.parameters = append(f.parameters, energy.Parameter{Name: name, Shape: shape, FanIn: max(1, tensor.Volume(shape)/max(1, first(shape)))})
		case name != o.Input || in.DType() != tensor.Float32 && in.DType() != tensor.Float16 || in.Rank() < 2:
			return nil, fmt.Errorf("%s: its inputs are %v, want only %s, float32 or float16 with a batch and one more axis or more", g.Name(),
				describeInputs(g.Inputs()), o.Input)
		default:
			var ok bool
			if f.shape, ok = in.Shape()[1:].Static(); !ok {
				return nil, fmt.Errorf("%s: its %s is %v, want fixed dimensions after the batch", g.Name(), o.Input, in.Type())
			}
			if batch = in.Shape()[0]; batch == (graph.Dim{}) || len(batch.Symbols()) == 0 {
				return nil, fmt.Errorf("%s: its %s is %v, want a batch of any size", g.Name(), o.Input, in.Type())
			}
		}
	}
	if f.shape == nil {
		return nil, fmt.Errorf("%s: its inputs are %v, want one called %s", g.Name(), describeInputs(g.Inputs()), o.Input)
	}
	f.output = slices.IndexFunc(g.Outputs(), func(out graph.Output) bool { return out.Name == o.Output })
	if f.output < 0 {
		return nil, fmt.Errorf("%s: it has no output called %s", g.Name(), o.Output)
	}
	if err := o.check(g.Outputs()[f.output].Node, batch); err != nil {
		return nil, fmt.Errorf("%s: %w", g.Name(), err)
	}
	return f, graph.Catch(func() {
		f.graph = graph.Retype(g, func(s graph.Shape) graph.Shape { return renamed(s, batch) })
	})
}

func (o FunctionOf) withDefaults() FunctionOf {
	return FunctionOf{cmp.Or(o.Input, "x"), cmp.Or(o.Output, "energy"), cmp.Or(o.Value, PlainEnergy), o.Parameters}
}

// check reports an output that is no energy of a batch.
func (o FunctionOf) check(e *graph.Node, batch graph.Dim) error {
	fits := e.Rank() > 0 && e.Shape()[0] == batch
	switch o.Value {
	case PlainEnergy:
		fits = e.Shape().Volume() == batch || e.Shape().Volume() == graph.Const(1)
	case LogitsEnergy:
		fits = fits && e.Rank() == 2
	case LinearEnergy, SquareEnergy:
	default:
		return fmt.Errorf("energy of %q, want one of %v", o.Value, Values())
	}
	if !fits || e.DType() != tensor.Float32 && e.DType() != tensor.Float16 {
		wants := map[Value]string{PlainEnergy: "a float32 for each x, or one for the batch", LogitsEnergy: "float32 [N classes]"}
		return fmt.Errorf("its %s is %v, want %s", o.Output, e.Type(), cmp.Or(wants[o.Value], "float32 numbers for each x"))
	}
	return nil
}

func first(shape []int) int {
	if len(shape) == 0 {
		return 1
	}
	return shape[0]
}

// function is the network of FunctionOf.
type function struct {
	of         FunctionOf
	graph      *graph.Graph
	shape      []int
	parameters []energy.Parameter
	output     int
}

func (f function) InputShape() []int              { return slices.Clone(f.shape) }
func (f function) Parameters() []energy.Parameter { return slices.Clone(f.parameters) }

// String says what the network is, where files and people are told.
func (f function) String() string {
	text := f.graph.Name()
	if f.of.Value != PlainEnergy {
		text += ", " + string(f.of.Value) + " of " + f.of.Output
	}
	return text
}

// SumsBatch reports whether the file has one energy for a batch, of which all x's
// have an equal part: it is that of an x in a batch of one alone.
func (f function) SumsBatch() bool {
	e := f.graph.Outputs()[f.output].Node
	return f.of.Value == PlainEnergy && (e.Rank() == 0 || e.Shape().Volume() == graph.Const(1))
}

func (f function) Energy(x *graph.Node, params energy.Params) *graph.Node {
	var args []*graph.Node
	for _, in := range f.graph.Inputs() {
		if name := in.InputName(); name == f.of.Input {
			args = append(args, asDeclared(x, in))
		} else {
			args = append(args, params.Get(name))
		}
	}
	y, batch := graph.Call(f.graph, args...)[f.output], x.Shape()[:1]
	if y.DType() == tensor.Float16 {
		y = graph.Cast(y, x.DType())
	}
	switch f.of.Value {
	case LinearEnergy, SquareEnergy:
		if f.of.Value == SquareEnergy {
			y = graph.Scale(graph.Mul(y, y), 0.5)
		}
		if y.Rank() > 1 {
			y = sumEach(y)
		}
	case LogitsEnergy:
		y = graph.Neg(graph.LogSumExp(y))
	default:
		if y.Shape().Volume() != batch.Volume() {
			// A sum over the batch: all have an equal part of it, and each its own
			// gradient.
			y = graph.Broadcast(graph.Reshape(y, nil), batch)
			return graph.Div(y, graph.Broadcast(graph.ReduceSum(graph.Like(y, 1)), batch))
		}
	}
	return graph.Reshape(y, batch)
}

// asDeclared is x in half precision where the input is.
func asDeclared(x, in *graph.Node) *graph.Node {
	if in.DType() == tensor.Float16 {
		return graph.Cast(x, tensor.Float16)
	}
	return x
}

// renamed returns a shape in which a batch of another name is called N.
func renamed(s graph.Shape, batch graph.Dim) graph.Shape {
	_, names := batch.Factors()
	out := make(graph.Shape, len(s))
	for i, d := range s {
		n, symbols := d.Factors()
		out[i] = graph.Const(n)
		for _, symbol := range symbols {
			if slices.Equal(names, []string{symbol}) {
				symbol = "N"
			}
			out[i] = out[i].Mul(graph.Sym(symbol))
		}
	}
	return out
}

func describeInputs(in []*graph.Node) []string {
	var list []string
	for _, n := range in {
		list = append(list, fmt.Sprintf("%s %v", n.InputName(), n.Type()))
	}
	return list
}
