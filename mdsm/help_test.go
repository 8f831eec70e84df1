package mdsm_test

import (
	"math/rand/v2"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/graph"
	"ebm/models/tensor"
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

// execute runs a float32 graph in ONNX Runtime.
func execute(t testing.TB, g *graph.Graph, in values) values {
	t.Helper()
	return testkit.RunModel(t, testkit.Open(t, 1), testkit.Encode(t, g), single(in))
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
