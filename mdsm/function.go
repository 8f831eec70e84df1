package mdsm

import (
	"fmt"
	"slices"

	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Function returns the energy that a graph computes, such as one imported from
// an ONNX file, as a network without parameters. The graph must have one input,
// x, float32 with a batch first and fixed dimensions after it, and an output
// called energy with a number for each x. Other outputs are left alone.
func Function(g *graph.Graph) (energy.Network, error) {
	in := g.Inputs()
	if len(in) != 1 || in[0].InputName() != "x" || in[0].DType() != tensor.Float32 || in[0].Rank() < 2 {
		return nil, fmt.Errorf("%s: its inputs are %v, want only x, float32 with a batch and one more axis or more", g.Name(), describeInputs(in))
	}
	shape, ok := in[0].Shape()[1:].Static()
	if !ok {
		return nil, fmt.Errorf("%s: its x is %v, want fixed dimensions after the batch", g.Name(), in[0].Type())
	}
	at := slices.IndexFunc(g.Outputs(), func(o graph.Output) bool { return o.Name == "energy" })
	if at < 0 {
		return nil, fmt.Errorf("%s: it has no output called energy", g.Name())
	}
	batch := in[0].Shape()[0]
	if _, fixed := batch.Constant(); fixed {
		return nil, fmt.Errorf("%s: its x is %v, want a batch of any size", g.Name(), in[0].Type())
	}
	if e := g.Outputs()[at].Node; e.Shape().Volume() != batch || e.DType() != tensor.Float32 {
		return nil, fmt.Errorf("%s: its energy is %v, want a float32 for each x", g.Name(), e.Type())
	}
	var named *graph.Graph
	err := graph.Catch(func() { named = graph.Retype(g, func(s graph.Shape) graph.Shape { return renamed(s, batch) }) })
	return function{named, shape, at}, err
}

type function struct {
	graph  *graph.Graph
	shape  []int
	output int
}

func (f function) InputShape() []int              { return slices.Clone(f.shape) }
func (f function) Parameters() []energy.Parameter { return nil }
func (f function) Energy(x *graph.Node, _ energy.Params) *graph.Node {
	return graph.Reshape(graph.Call(f.graph, x)[f.output], x.Shape()[:1])
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
