package onnximport_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"ebm/export"
	"ebm/export/onnximport"
	"ebm/internal/testkit"
	"ebm/models/autodiff"
	g "ebm/models/graph"
	"ebm/models/tensor"
)

func random(rng *rand.Rand, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] = float32(rng.NormFloat64())
	}
	return t
}

// network is a small classifier with everything that exporting rewrites:
// convolutions in several forms, pools, ELU, broadcasts and a symbolic batch.
func network() *g.Graph {
	rng := rand.New(rand.NewPCG(1, 2))
	f := g.New("network")
	x := f.Input("x", tensor.Float32, g.Batch(2, 8, 8))
	h := g.Conv(x, f.Weight("conv1.weight", random(rng, 4, 2, 3, 3)), g.Conv2D(1, 1))
	h = g.Elu(g.Add(h, g.BroadcastAlong(f.Weight("conv1.bias", random(rng, 4)), h.Shape(), 1)))
	h = g.Add(h, g.Tanh(g.Conv(h, f.Weight("conv2.weight", random(rng, 4, 2, 3, 3)), g.ConvAttr{
		Strides: []int{1, 1}, Dilations: []int{2, 2}, PadLo: []int{2, 2}, PadHi: []int{2, 2}, Groups: 2})))
	h = g.MeanPool(g.Conv(h, f.Weight("conv3.weight", random(rng, 4, 4, 3, 3)), g.Conv2D(1, 1)), g.Pool2D(2, 2, 0))
	h = g.MaxPool(h, g.Pool2D(2, 2, 0))
	y := g.Linear(g.Flatten(h), f.Weight("fc.weight", random(rng, 3, 16)), f.Weight("fc.bias", random(rng, 3)))
	y = g.LogSoftmax(g.Scale(y, 0.1))
	f.Output("y", y)
	f.Output("top", g.Softplus(g.ReduceMax(y, 1)))
	return f
}

// TestRoundTrip exports a network with its derivatives, imports the file, and
// compares every output with the original's.
func TestRoundTrip(t *testing.T) {
	f := network()
	x := f.Inputs()[0]
	y := f.Outputs()[0].Node
	slope := autodiff.Gradient(g.Mul(y, y), x)[0]
	f.Output("slope", slope)
	f.Output("curve", autodiff.Gradient(g.Mul(slope, slope), x)[0])
	b, err := export.Bytes(f, export.Options{Metadata: map[string]string{"kind": "test"}, Docs: map[string]string{"x": "pictures"}})
	if err != nil {
		t.Fatal(err)
	}
	// The places of maxima, which the derivatives of MaxPool scatter to, are
	// numbers only when the batch is.
	m, err := onnximport.Parse(b, onnximport.Options{Sizes: map[string]int{"N": 3}})
	if err != nil {
		t.Fatal(err)
	}
	if m.Opset != 17 || m.Producer != export.Producer || m.Metadata["kind"] != "test" || m.Docs["x"] != "pictures" {
		t.Errorf("opset %d of %q, metadata %v, docs %v", m.Opset, m.Producer, m.Metadata, m.Docs)
	}
	want := []string{"conv1.weight", "conv1.bias", "conv2.weight", "conv3.weight", "fc.weight", "fc.bias"}
	for _, name := range want {
		if !slices.Contains(m.Parameters, name) {
			t.Errorf("parameter %s is not among %v", name, m.Parameters)
		}
	}
	if in := m.Graph.Inputs(); len(in) != 1 || in[0].InputName() != "x" || !in[0].Shape().Equal(g.Dims(3, 2, 8, 8)) {
		t.Errorf("inputs %v", in)
	}
	sameValues(t, f, m.Graph, map[string]*tensor.Tensor{"x": random(rand.New(rand.NewPCG(3, 4)), 3, 2, 8, 8)}, 1e-6)
}

// sameValues compares the outputs of two graphs by name.
func sameValues(t *testing.T, a, b *g.Graph, inputs map[string]*tensor.Tensor, tolerance float64) {
	t.Helper()
	want := testkit.Interpret(t, a, inputs)
	got := testkit.Interpret(t, b, inputs)
	if len(got) != len(want) {
		t.Errorf("%d outputs, want %d", len(got), len(want))
	}
	for name, w := range want {
		close(t, name, got[name], w, tolerance)
	}
}

// close compares two tensors, relative to the largest element.
func close(t *testing.T, name string, got, want *tensor.Tensor, tolerance float64) {
	t.Helper()
	if got == nil || !slices.Equal(got.Shape(), want.Shape()) {
		t.Errorf("%s is %v, want %v", name, got, want)
		return
	}
	a, b := got.Float64s(), want.Float64s()
	worst, largest := 0.0, 1e-3
	for i := range a {
		largest = math.Max(largest, math.Abs(b[i]))
		if d := math.Abs(a[i] - b[i]); d > worst || math.IsNaN(d) {
			worst = d
		}
	}
	if !(worst <= tolerance*largest) {
		t.Errorf("%s differs by %.3g of %.3g", name, worst, largest)
	}
}
