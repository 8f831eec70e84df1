package energy_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

func TestRecogniseFindsEveryNetwork(t *testing.T) {
	for _, net := range energy.Nets() {
		for _, head := range []energy.Head{energy.Quadratic, energy.LinearSum} {
			want := energy.ResNet{Net: net, Channels: 3, Dim: 2, Size: 32, Head: head, Activation: energy.ELU}
			got, err := energy.Recognise(energy.Init(want, rng.New(1)))
			if err != nil || got != want {
				t.Errorf("recognised %v (%v), want %v", got, err, want)
			}
		}
	}
}

func TestRecogniseSaysWhatDoesNotFit(t *testing.T) {
	n := energy.ResNet{Net: "res12", Channels: 1, Dim: 4, Size: 16}
	w := energy.Init(n, rng.New(1))
	delete(w, "rbc2.conv_1.conv.weight")
	w["rb1.conv_2.conv.bias"] = tensor.New(tensor.Float32, 7)
	w["extra"] = tensor.New(tensor.Float32, 2)
	_, err := energy.Recognise(w)
	if err == nil {
		t.Fatal("recognised damaged weights")
	}
	for _, part := range []string{"res12", "missing rbc2.conv_1.conv.weight [16 16 3 3]", "rb1.conv_2.conv.bias has shape [7], want [8]",
		"unexpected extra [2]"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if _, err := energy.Recognise(energy.Weights{"conv1.conv.weight": tensor.New(tensor.Float32, 0, 1, 3, 3),
		"ln1.weight": tensor.New(tensor.Float32, 1, 8)}); err == nil {
		t.Error("recognised a network without channels")
	}
	if _, err := energy.Recognise(energy.Weights{"fc.weight": tensor.New(tensor.Float32, 2, 2)}); err == nil ||
		!strings.Contains(err.Error(), "fc.weight") {
		t.Errorf("error %v does not name the weights there are", err)
	}
}

func TestDropUnusedLeavesOutLayerNorms(t *testing.T) {
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 2, Size: 16, Head: energy.Quadratic, Activation: energy.ELU}
	w := energy.Init(n, rng.New(1))
	w["rb1.bn1.weight"] = tensor.New(tensor.Float32, 2, 16, 16)
	w["rb1.bn2.bias"] = tensor.New(tensor.Float32, 2, 16, 16)
	if got, err := energy.Recognise(energy.DropUnused(w)); err != nil || got != n {
		t.Errorf("recognised %v (%v), want %v", got, err, n)
	}
}

func TestInitKeepsWithinPyTorchsRange(t *testing.T) {
	n := energy.ResNet{Net: "res12", Channels: 1, Dim: 8, Size: 32}
	w := energy.Init(n, rng.New(3))
	for _, p := range n.Parameters() {
		values, bound := w[p.Name].Float64s(), 1/math.Sqrt(float64(p.FanIn))
		var top, square float64
		for _, v := range values {
			top, square = math.Max(top, math.Abs(v)), square+v*v
		}
		if top > bound {
			t.Errorf("%s reaches %g, the bound is %g", p.Name, top, bound)
		}
		// A uniform variable has variance bound²/3.
		if n := float64(len(values)); n > 1000 && math.Abs(square/n/(bound*bound/3)-1) > 0.1 {
			t.Errorf("%s has mean square %g, want about %g", p.Name, square/n, bound*bound/3)
		}
	}
	again := energy.Init(n, rng.New(3))
	if fmt.Sprint(again["ln1.weight"].Raw()) != fmt.Sprint(w["ln1.weight"].Raw()) {
		t.Error("the same seed gives other weights")
	}
}

func TestValidateNamesTheWrongSetting(t *testing.T) {
	good := energy.ResNet{Net: "res34", Channels: 3, Dim: 4, Size: 32}
	for _, c := range []struct {
		change func(*energy.ResNet)
		want   string
	}{
		{func(r *energy.ResNet) { r.Net = "res50" }, `unknown network "res50"`},
		{func(r *energy.ResNet) { r.Size = 24 }, "of size 24, want a multiple of 16"},
		{func(r *energy.ResNet) { r.Dim = 0 }, "dim 0"},
		{func(r *energy.ResNet) { r.Head = "cubic" }, `unknown head "cubic"`},
		{func(r *energy.ResNet) { r.Activation = "gelu" }, `unknown activation "gelu"`},
	} {
		bad := good
		c.change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q", bad, err, c.want)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

// The toy densities are compared with their formulas written out.
func TestToyEnergies(t *testing.T) {
	points := tensor.Of([]float64{0.3, -0.2, 1.5, 0.7, -2, 1}, 3, 2)
	value := func(e func(*graph.Node) *graph.Node) []float64 {
		g := graph.New("toy")
		g.Output("energy", e(g.Input("x", tensor.Float64, graph.Batch(2))))
		out := testkit.Interpret(t, g, map[string]*tensor.Tensor{"x": points})
		return out["energy"].Float64s()
	}
	mixture := energy.Mixture{Means: [][]float64{{1, 0}, {-1, 0.5}}, Sigma: 0.4}.Smoothed(0.3)
	rings := energy.Rings{Radii: []float64{1, 2}, Sigma: 0.2}
	gotMixture, gotRings := value(mixture.Energy), value(rings.Energy)
	for i := range 3 {
		x, y := points.Float64s()[2*i], points.Float64s()[2*i+1]
		var p, q float64
		for _, m := range mixture.Means {
			r2 := (x-m[0])*(x-m[0]) + (y-m[1])*(y-m[1])
			p += math.Exp(-r2/(2*0.25)) / (2 * math.Pi * 0.25) / 2 // 0.4² + 0.3² = 0.25
		}
		for _, r := range rings.Radii {
			d := math.Hypot(x, y) - r
			q += math.Exp(-d * d / (2 * 0.04))
		}
		if math.Abs(gotMixture[i]+math.Log(p)) > 1e-12 || math.Abs(gotRings[i]+math.Log(q)) > 1e-9 {
			t.Errorf("point %d: energies %g and %g, want %g and %g", i, gotMixture[i], gotRings[i], -math.Log(p), -math.Log(q))
		}
	}
}
