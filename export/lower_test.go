package export_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"ebm/export"
	"ebm/internal/testkit"
	"ebm/models/autodiff"
	g "ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
)

// TestEveryOperator fails when an operator lacks its lowering, or the table
// its row.
func TestEveryOperator(t *testing.T) {
	covered := make(map[g.Op]bool)
	for _, r := range table() {
		covered[r.op] = true
	}
	for _, op := range g.Ops() {
		if !export.Has(op) {
			t.Errorf("operator %v has no lowering to ONNX", op)
		}
		if !covered[op] && op != g.OpInput && op != g.OpConstant {
			t.Errorf("operator %v has no row in the table of this test", op)
		}
	}
	if export.Has(0) {
		t.Error("what is no operator has a lowering")
	}
}

// TestLowering compares what ONNX Runtime computes of every row, and of its
// derivatives, with the interpreter: with and without passes, with a batch
// that is symbolic and with one that is fixed.
func TestLowering(t *testing.T) {
	rt := testkit.Open(t, 1)
	for i, r := range table() {
		t.Run(r.name, func(t *testing.T) {
			graph := r.graph()
			if err := graph.Verify(); err != nil {
				t.Fatal(err)
			}
			if r.op != 0 && !uses(graph, r.op) {
				t.Errorf("the row does not use %v", r.op)
			}
			for _, passes := range [][]export.Pass{nil, {}} {
				o := export.Options{Passes: passes}
				session := load(t, rt, graph, o)
				for _, batch := range []int{1, 3, 17} {
					agree(t, session, graph, inputs(graph, r, batch, uint64(i)), exact)
				}
				o.Sizes = map[string]int{"N": 3, "K": 4}
				agree(t, load(t, rt, graph, o), graph, inputs(graph, r, 3, uint64(i)), exact)
			}
		})
	}
}

// graph builds the row with its derivatives. The cotangents are inputs.
func (r row) graph() *g.Graph {
	f := g.New("row")
	var xs, variables []*g.Node
	rng := rand.New(rand.NewPCG(1, 2))
	for i, o := range r.operands {
		name := fmt.Sprintf("x%d", i)
		if o.fixed {
			xs = append(xs, f.Weight(name, o.value(rng, nil)))
			continue
		}
		xs = append(xs, f.Input(name, o.dtype(), o.symbolic()))
		if xs[i].DType().IsFloat() {
			variables = append(variables, xs[i])
		}
	}
	ys := r.build(xs)
	for i, y := range ys {
		f.Output(fmt.Sprintf("y%d", i), y)
	}
	order := r.order
	if order == 0 {
		order = 2
	}
	for k := 1; k <= order; k++ {
		var s *g.Node
		for i, y := range ys {
			c := f.Input(fmt.Sprintf("c%d.%d", k, i), y.DType(), y.Shape())
			term := g.ReduceSum(g.Mul(c, y))
			if s == nil {
				s = term
			} else {
				s = g.Add(s, g.Cast(term, s.DType()))
			}
		}
		ys = autodiff.Gradient(s, variables...)
		for i, y := range ys {
			f.Output(fmt.Sprintf("d%d.%d", k, i), y)
		}
	}
	return f
}

// inputs draws the inputs of a row's graph.
func inputs(graph *g.Graph, r row, batch int, seed uint64) map[string]*tensor.Tensor {
	rng := rand.New(rand.NewPCG(seed, uint64(batch)))
	sizes := map[string]int{"N": batch, "K": 4}
	values := make(map[string]*tensor.Tensor)
	for i, o := range r.operands {
		if !o.fixed {
			values[fmt.Sprintf("x%d", i)] = o.value(rng, sizes)
		}
	}
	for _, in := range graph.Inputs() {
		if _, ok := values[in.InputName()]; ok {
			continue
		}
		shape, err := in.Shape().Bind(sizes)
		if err != nil {
			panic(err)
		}
		k := normal
		if in.DType() == tensor.Float64 {
			k = double
		}
		values[in.InputName()] = of(k, shape...).value(rng, sizes)
	}
	return values
}

func source() *rand.Rand { return rand.New(rand.NewPCG(7, 8)) }

func uses(graph *g.Graph, op g.Op) bool {
	return slices.ContainsFunc(graph.Nodes(), func(n *g.Node) bool { return n.Op() == op })
}

func load(t testing.TB, rt *runtime.Runtime, graph *g.Graph, o export.Options) *runtime.Session {
	t.Helper()
	model, err := export.Bytes(graph, o)
	if err != nil {
		t.Fatalf("%v\n%v", err, graph)
	}
	session, err := rt.Load(model, runtime.SessionOptions{})
	if err != nil {
		t.Fatalf("%v\n%v", err, graph)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// exact is the largest error allowed, over the largest magnitude.
const exact = 1e-5

// agree runs a session and compares each output with the interpreter's.
func agree(t testing.TB, session *runtime.Session, graph *g.Graph, inputs map[string]*tensor.Tensor, tolerance float64) {
	t.Helper()
	want := testkit.Interpret(t, graph, inputs)
	got := testkit.Run(t, session, inputs)
	for _, out := range graph.Outputs() {
		compare(t, out.Name, got[out.Name], want[out.Name], out.Node.DType(), tolerance)
	}
}

func compare(t testing.TB, name string, got, want *tensor.Tensor, dtype tensor.DType, tolerance float64) {
	t.Helper()
	if got.DType() != dtype || !slices.Equal(got.Shape(), want.Shape()) {
		t.Errorf("%s is %v, want %v%v", name, got, dtype, want.Shape())
		return
	}
	g, w := numbers(got), numbers(want)
	worst, scale := 0.0, 0.0
	for i := range w {
		if e := math.Abs(g[i] - w[i]); !(e <= worst) {
			worst = e
		}
		scale = math.Max(scale, math.Abs(w[i]))
	}
	// A sum of terms of size 1 that cancel is zero up to rounding.
	if !(worst <= tolerance*math.Max(scale, 0.1)) {
		t.Errorf("%s: error %.2g of at most %.3g: got %.6g, want %.6g", name, worst, scale, g, w)
	}
}

func numbers(t *tensor.Tensor) []float64 {
	if b, ok := t.Raw().([]bool); ok {
		v := make([]float64, len(b))
		for i, x := range b {
			if x {
				v[i] = 1
			}
		}
		return v
	}
	return t.Float64s()
}
