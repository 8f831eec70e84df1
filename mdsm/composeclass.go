package mdsm

import (
	"fmt"
	"slices"

	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Logits is a classifier as a function: it adds logits [N classes] to the
// graph of pictures x [N …]. p(k|x) is their softmax.
type Logits func(x *graph.Node) *graph.Node

// energy adds −v·log p(class|x) [N].
func (t ClassTerm) energy(x *graph.Node) *graph.Node {
	logits := t.Logits(x)
	classes, ok := logits.Shape()[logits.Rank()-1].Constant()
	if logits.Rank() != 2 || !ok || t.Class >= classes {
		panic(&graph.Error{Op: logits.Op(), Operands: []string{logits.Type().String()},
			Want: fmt.Sprintf("want logits [N classes] with a class %d", t.Class)})
	}
	own := graph.Slice(graph.LogSoftmax(logits), 1, t.Class, t.Class+1, 1)
	return graph.Scale(graph.Reshape(own, x.Shape()[:1]), -t.Weight)
}

// ClassifierLogits returns the project's classifier for grey pictures
// [N 1 S S], S one of classifier.Sides, with values around [0, 1]. They are brought to
// the classifier's size as its own pictures were, but without rounding, which
// has no derivative.
func ClassifierLogits(n classifier.Network, w energy.Weights) Logits {
	return func(x *graph.Node) *graph.Node {
		side, ok := 0, x.Rank() == 4
		if ok {
			one, first := x.Shape()[1].Constant()
			height, second := x.Shape()[2].Constant()
			width, third := x.Shape()[3].Constant()
			side, ok = height, first && second && third && one == 1 && height == width && slices.Contains(classifier.Sides(), height)
		}
		if !ok {
			panic(&graph.Error{Op: x.Op(), Operands: []string{x.Type().String()},
				Want: fmt.Sprintf("the classifier takes grey pictures [N 1 S S] with S of %v", classifier.Sides())})
		}
		return n.Build(classifier.Fit(x, side), w.Constants(x.Graph(), n, x.DType())).Logits
	}
}

// FunctionLogits returns the output of a graph, such as one imported from an
// ONNX file, as logits. The graph must have one input, float32 with a batch
// first and fixed dimensions after it. Its shape must be that of the pictures,
// which is seen when the logits are built.
func FunctionLogits(g *graph.Graph, output string) (Logits, error) {
	in := g.Inputs()
	if len(in) != 1 || in[0].DType() != tensor.Float32 || in[0].Rank() < 2 {
		return nil, fmt.Errorf("%s: its inputs are %v, want one, float32 with a batch and one more axis or more", g.Name(), describeInputs(in))
	}
	at := slices.IndexFunc(g.Outputs(), func(o graph.Output) bool { return o.Name == output })
	if at < 0 {
		return nil, fmt.Errorf("%s: it has no output called %q", g.Name(), output)
	}
	batch := in[0].Shape()[0]
	if _, fixed := batch.Constant(); fixed {
		return nil, fmt.Errorf("%s: its %s is %v, want a batch of any size", g.Name(), in[0].InputName(), in[0].Type())
	}
	var named *graph.Graph
	err := graph.Catch(func() { named = graph.Retype(g, func(s graph.Shape) graph.Shape { return renamed(s, batch) }) })
	return func(x *graph.Node) *graph.Node { return graph.Call(named, x)[at] }, err
}
