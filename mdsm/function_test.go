package mdsm_test

import (
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// TestFunction takes a graph with a batch of another name, and an energy of
// shape [M 1], as a network.
func TestFunction(t *testing.T) {
	g := graph.New("file")
	x := g.Input("x", tensor.Float32, graph.Shape{graph.Sym("M"), graph.Const(2)})
	e := bowl().energy(x)
	g.Output("score", graph.Neg(x))
	g.Output("energy", graph.Reshape(e, graph.Shape{graph.Sym("M"), graph.Const(1)}))
	n, err := mdsm.Function(g)
	if err != nil {
		t.Fatal(err)
	}
	in := values{"x": normal(1, 3, 2)}
	want := testkit.Interpret(t, mdsm.ScoreGraph(given{[]int{2}, bowl().energy}, nil), in)
	got := testkit.Interpret(t, mdsm.ScoreGraph(n, nil), in)
	testkit.Near(t, "energy", got["energy"], want["energy"].Float64s(), 1e-12)
	testkit.Near(t, "score", got["score"], want["score"].Float64s(), 1e-12)

	// It goes into a Scan as well, and a network's own graph is one.
	net := energy.ResNet{Net: "res6", Channels: 1, Dim: 3, Size: 8}
	w := energy.Init(net, rng.New(4))
	same, err := mdsm.Function(mdsm.ScoreGraph(net, w))
	if err != nil {
		t.Fatal(err)
	}
	in = values{"x": normal(1, 2, 1, 8, 8), "noise": normal(2, 3, 2, 1, 8, 8), "step_size": f64([]int{1}, 0.02),
		"temperature": f64([]int{3}, 4, 2, 0)}
	testkit.Near(t, "chain", execute(t, mdsm.SamplerGraph(same, nil), in)["x_next"],
		execute(t, mdsm.SamplerGraph(net, w), in)["x_next"].Float64s(), 1e-6)
}

func TestFunctionsThatAreNoEnergies(t *testing.T) {
	batch := graph.Batch(2)
	for want, build := range map[string]func(g *graph.Graph){
		"want only x": func(g *graph.Graph) {
			g.Output("energy", graph.ReduceSum(graph.Add(g.Input("x", tensor.Float32, batch), g.Input("y", tensor.Float32, batch)), 1))
		},
		"fixed dimensions": func(g *graph.Graph) {
			g.Output("energy", graph.ReduceSum(g.Input("x", tensor.Float32, graph.Shape{graph.Sym("N"), graph.Sym("D")}), 1))
		},
		"no output called energy": func(g *graph.Graph) {
			g.Output("e", graph.ReduceSum(g.Input("x", tensor.Float32, batch), 1))
		},
		"a batch of any size": func(g *graph.Graph) {
			g.Output("energy", graph.ReduceSum(g.Input("x", tensor.Float32, graph.Dims(4, 2)), 1))
		},
		"a float32 for each x": func(g *graph.Graph) { g.Output("energy", g.Input("x", tensor.Float32, batch)) },
	} {
		g := graph.New("file")
		build(g)
		if _, err := mdsm.Function(g); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
