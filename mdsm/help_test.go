package mdsm_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"ebm/export"
	"ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
	"ebm/runtime"
)

// values are tensors by the names of inputs or outputs.
type values = map[string]*tensor.Tensor

func f64(shape []int, v ...float64) *tensor.Tensor { return tensor.Of(v, shape...) }

func normal(seed uint64, shape ...int) *tensor.Tensor {
	rng := rand.New(rand.NewPCG(seed, 1))
	t := tensor.New(tensor.Float64, shape...)
	for i := range tensor.Data[float64](t) {
		tensor.Data[float64](t)[i] = rng.NormFloat64()
	}
	return t
}

func single(in values) values {
	out := make(values)
	for name, t := range in {
		if out[name] = t; t.DType() == tensor.Float64 {
			out[name] = t.AsFloat32()
		}
	}
	return out
}

// interpret evaluates a graph in float64.
func interpret(t *testing.T, g *graph.Graph, in values) values {
	t.Helper()
	out, err := interp.Run(g, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// execute runs a float32 graph in ONNX Runtime.
func execute(t *testing.T, g *graph.Graph, in values) values {
	t.Helper()
	rt, err := runtime.Open(t.Context(), runtime.Config{Provider: runtime.CPU, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	model, err := export.Bytes(g, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	session, err := rt.Load(model, runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	out, err := session.Run(t.Context(), single(in))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// near compares numbers; the largest error may be tolerance times the largest
// magnitude.
func near(t *testing.T, what string, got *tensor.Tensor, want []float64, tolerance float64) {
	t.Helper()
	if got == nil || got.Len() != len(want) {
		t.Errorf("%s: %v, want %d numbers", what, got, len(want))
		return
	}
	scale := 0.0
	for _, w := range want {
		scale = math.Max(scale, math.Abs(w))
	}
	for i, v := range got.Float64s() {
		if !(math.Abs(v-want[i]) <= tolerance*scale) {
			t.Errorf("%s: element %d is %.17g, want %.17g (of at most %g)", what, i, v, want[i], scale)
			return
		}
	}
}

// quadratic is the energy E(x) = ½ xᵀAx + b·x of points [N 2], whose gradient
// Ax + b is known.
type quadratic struct {
	a [2][2]float64 // symmetric
	b [2]float64
}

func bowl() quadratic {
	return quadratic{a: [2][2]float64{{2, 0.5}, {0.5, 3}}, b: [2]float64{-1, 0.25}}
}

func (q quadratic) energy(x *graph.Node) *graph.Node {
	g := x.Graph()
	constant := func(shape []int, v ...float64) *graph.Node {
		t := f64(shape, v...)
		if x.DType() == tensor.Float32 {
			t = t.AsFloat32()
		}
		return g.Constant(t)
	}
	a := constant([]int{2, 2}, q.a[0][0], q.a[0][1], q.a[1][0], q.a[1][1])
	b := constant([]int{1, 2}, q.b[0], q.b[1])
	ax := graph.Scale(graph.MatMul(x, a), 0.5)
	return graph.ReduceSum(graph.Mul(x, graph.Add(ax, graph.Broadcast(b, x.Shape()))), 1)
}

func (q quadratic) value(x []float64) float64 {
	g := q.gradient(x)
	return 0.5 * (x[0]*(g[0]+q.b[0]) + x[1]*(g[1]+q.b[1]))
}

func (q quadratic) gradient(x []float64) [2]float64 {
	return [2]float64{q.a[0][0]*x[0] + q.a[0][1]*x[1] + q.b[0], q.a[1][0]*x[0] + q.a[1][1]*x[1] + q.b[1]}
}
