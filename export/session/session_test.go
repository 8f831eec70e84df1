package session

import (
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// inputs draws numbers for every input: weights as networks begin with, and
// standard normal ones elsewhere.
func inputs(g *graph.Graph, batch int, weights energy.Weights) map[string]*tensor.Tensor {
	in := make(map[string]*tensor.Tensor)
	for i, n := range g.Inputs() {
		if w, ok := weights[n.InputName()]; ok {
			in[n.InputName()] = w
			continue
		}
		shape := []int{batch}
		for _, d := range n.Shape()[1:] {
			c, _ := d.Constant()
			shape = append(shape, c)
		}
		t := tensor.New(tensor.Float32, shape...)
		rng.New(2).Normal(tensor.Data[float32](t), rng.TrainNoise, uint64(i), 0)
		if n.InputName() == "sigma" {
			for j := range tensor.Data[float32](t) {
				tensor.Data[float32](t)[j] = 0.1 + 0.2*float32(j)
			}
		}
		in[n.InputName()] = t
	}
	return in
}

// option is how a graph is loaded.
type option struct {
	sizes   map[string]int
	threads int // 0 for all
}

// hold compares all outputs of g, loaded in several ways, with the
// interpreter's.
func hold(t *testing.T, rt *runtime.Runtime, g *graph.Graph, in map[string]*tensor.Tensor, tolerance float64, options ...option) {
	t.Helper()
	want := testkit.Interpret(t, g, in)
	for _, o := range options {
		s, err := Load(rt, g, o.sizes, runtime.SessionOptions{Threads: o.threads})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Run(t.Context(), in)
		s.Close()
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range want {
			if e := difference(got[name], v.AsFloat32()); !(e < tolerance) {
				t.Errorf("%+v: %s differs by %g of its largest element", o, name, e)
			}
		}
	}
}

// TestLoad holds what Load makes of networks, with convolutions of every kind
// in blocks, to the interpreter.
func TestLoad(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	t.Logf("blocks of %d channels", Block(rt))
	grey := energy.ResNet{Net: "res12", Channels: 1, Dim: 16, Size: 16}
	colour := energy.ResNet{Net: "res6", Channels: 3, Dim: 32, Size: 16, Activation: energy.Swish}
	narrow := energy.ResNet{Net: "res6", Channels: 1, Dim: 8, Size: 16} // blocks fit some layers only
	objective := mdsm.Objective{Sigma0: 0.1, Weighting: mdsm.InverseVariance}
	for _, n := range []energy.ResNet{grey, colour, narrow} {
		w := energy.Init(n, rng.New(1))
		for _, g := range []*graph.Graph{mdsm.ScoreGraph(n, w), mdsm.HessianGraph(n, w), mdsm.GradientGraph(n, objective, 1)} {
			t.Run(n.String()+"/"+g.Name(), func(t *testing.T) {
				const batch = 3
				in := inputs(g, batch, w)
				fixed := map[string]int{"N": batch}
				hold(t, rt, g, in, 2e-5, option{fixed, 1}, option{fixed, 2})
			})
		}
	}
}

// TestCheck makes sure that blocks of the wrong size are found out.
func TestCheck(t *testing.T) {
	rt := testkit.Open(t, 0)
	right := Block(rt)
	if right == 0 {
		t.Skip("this ONNX Runtime has no operators on blocks")
	}
	for _, size := range []int{4, 8, 16} {
		if err := check(rt, size); (err == nil) != (size == right) {
			t.Errorf("blocks of %d, where %d is right: %v", size, right, err)
		}
	}
}
