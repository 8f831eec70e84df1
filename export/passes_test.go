package export_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ebm/export"
	"ebm/internal/testkit"
	g "ebm/models/graph"
	"ebm/models/tensor"
)

// withProducts returns the passes and the one of training steps.
func withProducts() []export.Pass { return append(export.Passes(), export.Products()) }

// pass returns the pass of a name.
func pass(t *testing.T, name string) export.Pass {
	t.Helper()
	for _, p := range withProducts() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("there is no pass %q", name)
	return export.Pass{}
}

// TestPassesPrint holds what each pass does to a small graph as text, and
// that the graph computes the same afterwards.
func TestPassesPrint(t *testing.T) {
	for i, c := range goldens() {
		t.Run(c.pass+"/"+c.name, func(t *testing.T) {
			f := g.New("f")
			f.Output("y", c.build(f))
			after := pass(t, c.pass).Apply(f)
			if got, want := f.String(), text(c.before); got != want {
				t.Errorf("before:\n%s\nwant:\n%s", got, want)
			}
			if got, want := after.String(), text(c.after); got != want {
				t.Errorf("after:\n%s\nwant:\n%s", got, want)
			}
			same(t, f, after, inputs(f, row{}, 2, uint64(i)))
		})
	}
}

// text removes the indentation of a golden text.
func text(s string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimLeft(s, "\n")) {
		b.WriteString(strings.TrimLeft(line, "\t"))
	}
	return b.String()
}

// same compares two graphs through the interpreter.
func same(t *testing.T, before, after *g.Graph, inputs map[string]*tensor.Tensor) {
	t.Helper()
	if err := after.Verify(); err != nil {
		t.Fatal(err)
	}
	want := testkit.Interpret(t, before, inputs)
	got := testkit.Interpret(t, after, inputs)
	for name, w := range want {
		compare(t, name, got[name], w, w.DType(), exact)
	}
}

// TestPassesKeepValues runs every pass alone, and all of them twice, on every
// row of the table.
func TestPassesKeepValues(t *testing.T) {
	all := export.Pass{Name: "all, twice", Apply: func(f *g.Graph) *g.Graph {
		for range 2 {
			for _, p := range export.Passes() {
				f = p.Apply(f)
			}
		}
		return f
	}}
	for _, p := range append(withProducts(), all) {
		t.Run(p.Name, func(t *testing.T) {
			for i, r := range table() {
				f := r.graph()
				same(t, f, p.Apply(f), inputs(f, r, 2, uint64(i)))
				if t.Failed() {
					t.Fatalf("row %s:\n%v", r.name, f)
				}
			}
		})
	}
}

// TestPoolsOfAllSizes folds pools whose windows leave a rest, differ by axis,
// and follow convolutions with groups and paddings of all kinds.
func TestPoolsOfAllSizes(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	fold := pass(t, "fold pools into convolutions")
	for i := range 60 {
		groups := 1 + rng.IntN(2)
		size := []int{4 + rng.IntN(4), 4 + rng.IntN(4)}
		kernel := []int{1 + rng.IntN(3), 1 + rng.IntN(3)}
		window := []int{1 + rng.IntN(3), 1 + rng.IntN(3)}
		conv := g.ConvAttr{Strides: []int{1, 1}, Dilations: []int{1, 1}, Groups: groups,
			PadLo: []int{rng.IntN(3), rng.IntN(3)}, PadHi: []int{rng.IntN(3), rng.IntN(3)}}
		pool := g.PoolAttr{Window: window, Strides: window, PadLo: []int{0, 0}, PadHi: []int{0, 0}}
		r := several("", 0, func(xs []*g.Node) *g.Node { return g.Tanh(g.MeanPool(g.Conv(xs[0], xs[1], conv), pool)) },
			n(N, 2*groups, size[0], size[1]), n(2*groups, 2, kernel[0], kernel[1]))
		f := r.graph()
		after := fold.Apply(f)
		// Dead code apart, only pools over weights are left, with a stride of 1.
		for _, n := range pass(t, "drop dead code").Apply(after).Nodes() {
			if a, ok := n.Attr().(g.PoolAttr); ok && n.Op() == g.OpMeanPoolGrad && window[0]*window[1] > 1 && slices.Equal(a.Strides, window) {
				t.Errorf("%v is left in\n%v", n, after)
			}
		}
		same(t, f, after, inputs(f, r, 2, uint64(i)))
	}
}

// TestIntegersStayExact folds and simplifies integers beyond what float64
// holds, and of types that have no scalars.
func TestIntegersStayExact(t *testing.T) {
	f := g.New("f")
	x := f.Input("x", tensor.Int64, g.Dims(1))
	c := func(v int64) *g.Node { return f.Constant(tensor.Of([]int64{v}, 1)) }
	f.Output("y", g.Mul(g.Mul(x, c(1<<53+1)), c(3)))
	small := f.Input("z", tensor.Int32, g.Dims(2))
	three := g.Broadcast(f.Constant(tensor.Of([]int32{3})), g.Dims(2))
	f.Output("w", g.Mul(g.Mul(small, three), three))
	values := map[string]*tensor.Tensor{"x": tensor.Of([]int64{1}, 1), "z": tensor.Of([]int32{5, -7}, 2)}
	session := load(t, testkit.Open(t, 1), f, export.Options{})
	out := testkit.Run(t, session, values)
	if got, want := tensor.Data[int64](out["y"])[0], int64(3*(1<<53+1)); got != want {
		t.Errorf("y = %d, want %d", got, want)
	}
	if got := tensor.Data[int32](out["w"]); got[0] != 45 || got[1] != -63 {
		t.Errorf("w = %v, want [45 -63]", got)
	}
}
