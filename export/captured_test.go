package export_test

import (
	"reflect"
	"testing"

	"ebm/export"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	g "ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// A model for a CUDA graph joins unequal and many values without Concat, and computes what the
// plain one does, bit for bit on the CPU.
func TestCaptured(t *testing.T) {
	rt := testkit.Open(t, 1)
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 8}
	joins := g.New("joins")
	x := joins.Input("x", tensor.Float32, g.Shape{g.Sym("N"), g.Const(7)})
	part := func(from, to int) *g.Node { return g.Exp(g.Slice(x, 1, from, to, 1)) }
	joins.Output("unequal", g.Concat(1, part(3, 7), x, part(0, 1)))
	joins.Output("equal", g.Concat(0, part(0, 2), part(4, 6)))
	var many []*g.Node
	for i := range 33 {
		many = append(many, g.Scale(x, float64(i)))
	}
	joins.Output("many", g.Concat(1, many...))
	grads := mdsm.GradientGraph(n, mdsm.Objective{Sigma0: 0.1, Weighting: mdsm.InverseVariance}, 1)
	for _, c := range []struct {
		graph           *g.Graph
		joins, captured int // Concats
		repeats         int // Expands that are added
	}{{joins, 3, 1, 0}, {grads, 16, 16, 10}} {
		in := make(map[string]*tensor.Tensor)
		for i, node := range c.graph.Inputs() {
			shape := make([]int, node.Rank())
			for k, d := range node.Shape() {
				shape[k] = 3
				if size, ok := d.Constant(); ok {
					shape[k] = size
				}
			}
			v := tensor.New(tensor.Float32, shape...)
			rng.New(5).Normal(tensor.Data[float32](v), rng.Init, uint64(i), 0)
			in[node.InputName()] = v
		}
		plain, captured := model(t, c.graph, export.Options{}), model(t, c.graph, export.Options{Captured: true})
		before, after := operators(plain.Graph, map[string]int{}), operators(captured.Graph, map[string]int{})
		if before["Concat"] != c.joins || after["Concat"] != c.captured || after["Expand"]-before["Expand"] != c.repeats {
			t.Errorf("%s: operators %v, captured %v; want %d and %d Concats and %d Expands more", c.graph.Name(), before, after,
				c.joins, c.captured, c.repeats)
		}
		want, err := session(t, rt, plain).Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := session(t, rt, captured).Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range want {
			if !reflect.DeepEqual(got[name].Raw(), v.Raw()) {
				t.Errorf("%s: %s differs from the plain model's", c.graph.Name(), name)
			}
		}
	}
}
