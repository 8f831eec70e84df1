package graph_test

import (
	"strings"
	"testing"

	g "ebm/models/graph"
)

// Counts by hand: two operations for each multiply-add of a dense loop over
// the output and what one output sums over.
func TestFLOPs(t *testing.T) {
	sizes := map[string]int{"N": 3, "K": 5}
	f := g.New("test")
	x := f.Input("x", float, g.Batch(4, 8, 6))
	w := f.Input("w", float, g.Dims(10, 2, 3, 3)) // in two groups
	v := f.Input("v", float, g.Dims(4, 4, 3, 3))
	groups := g.Conv2D(2, 1)
	groups.Groups = 2
	y := g.Conv(x, w, groups)
	a, b := f.Input("a", float, g.Batch(2, 7)), f.Input("b", float, g.Batch(7, 5))

	const window = 2 * 3 * (4 * 3) // twice the batch times the pixels of y
	for _, test := range []struct {
		what string
		n    *g.Node
		want float64
	}{
		{"nothing", g.Add(x, x), 0},
		{"convolution", y, window * 10 * 2 * 9},
		{"adjoint in x", g.ConvInputGrad(f.Input("y", float, y.Shape()), w, groups, []int{8, 6}), window * 10 * 2 * 9},
		{"adjoint in w", g.ConvFilterGrad(x, f.Input("y2", float, y.Shape()), groups, []int{3, 3}), window * 10 * 2 * 9},
		{"matrix product", g.MatMul(a, b), 2 * 3 * 2 * 7 * 5},
		{"steps of a scan", scanned(f, x, v), 5 * (2 * 3 * 48 * 4 * 4 * 9)},
	} {
		got, err := withOutput(f, test.n).FLOPs(sizes)
		if err != nil || got != test.want {
			t.Errorf("%s: %g, %v, want %g", test.what, got, err, test.want)
		}
	}
	if got, err := f.FLOPs(sizes); err != nil || got != 0 {
		t.Errorf("a graph without outputs: %g, %v", got, err)
	}
	if _, err := withOutput(f, y).FLOPs(nil); err == nil || !strings.Contains(err.Error(), "N") {
		t.Errorf("without the size of N: %v", err)
	}
}

// withOutput returns a graph of the same nodes whose only output is n.
func withOutput(f *g.Graph, n *g.Node) *g.Graph {
	image := make(map[*g.Node]*g.Node)
	out := g.New("only")
	for _, old := range f.Nodes() {
		if old.Op() == g.OpInput {
			image[old] = out.Input(old.InputName(), old.DType(), old.Shape())
			continue
		}
		var in []*g.Node
		for _, x := range old.Inputs() {
			in = append(in, image[x])
		}
		image[old] = g.Apply(old.Op(), old.Attr(), in...)
	}
	out.Output("only", image[n])
	return out
}

// scanned convolves x with v, K times.
func scanned(f *g.Graph, x, v *g.Node) *g.Node {
	body := g.New("body")
	s := body.Input("s", float, x.Shape())
	u := body.Input("u", float, v.Shape())
	body.Input("k", float, nil)
	body.Output("s", g.Conv(s, u, g.Conv2D(1, 1)))
	body.Output("u", u)
	return g.Scan(body, []*g.Node{x, v}, []*g.Node{f.Input("k", float, g.Shape{g.Sym("K")})})[0]
}
