package export

import (
	"testing"

	"ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// TestUnroll compares Scans with their steps one after another, forward and in reverse,
// with operands that all steps share, and leaves one of unknown length.
func TestUnroll(t *testing.T) {
	build := func(reverse bool, length graph.Dim) *graph.Graph {
		body := graph.New("body")
		state := body.Input("state", tensor.Float64, graph.Dims(2))
		x := body.Input("x", tensor.Float64, graph.Dims(2))
		w := body.Input("w", tensor.Float64, graph.Dims(2))
		next := graph.Add(graph.Mul(state, w), x)
		body.Output("state", next)
		body.Output("seen", graph.Mul(next, next))
		g := graph.New("g")
		start := g.Input("start", tensor.Float64, graph.Dims(2))
		xs := g.Input("xs", tensor.Float64, graph.Shape{length, graph.Const(2)})
		weight := g.Input("w", tensor.Float64, graph.Dims(2))
		out := graph.ScanShared(body, []*graph.Node{start}, []*graph.Node{xs}, []*graph.Node{weight}, reverse)
		g.Output("last", out[0])
		g.Output("seen", out[1])
		return g
	}
	scans := func(g *graph.Graph) int {
		n := 0
		for _, node := range g.Nodes() {
			if node.Op() == graph.OpScan {
				n++
			}
		}
		return n
	}
	in := map[string]*tensor.Tensor{
		"start": tensor.Of([]float64{1, 2}, 2), "w": tensor.Of([]float64{0.5, -1}, 2), "xs": tensor.Of([]float64{1, 2, 3, 4, 5, 6}, 3, 2),
	}
	for _, reverse := range []bool{false, true} {
		g := build(reverse, graph.Const(3))
		flat := unroll(g)
		if err := flat.Verify(); err != nil || scans(flat) != 0 {
			t.Fatalf("%d Scans are left, %v", scans(flat), err)
		}
		want, err := interp.Run(g, in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := interp.Run(flat, in)
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want {
			for i, v := range w.Float64s() {
				if got[name].Float64s()[i] != v {
					t.Errorf("reverse %v: %s is %v, want %v", reverse, name, got[name].Raw(), w.Raw())
					break
				}
			}
		}
	}
	if n := scans(unroll(build(false, graph.Sym("K")))); n != 1 {
		t.Errorf("%d Scans of unknown length, want 1", n)
	}
}
