package mdsm_test

import (
	"math"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/autodiff"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// lossGraph has the loss of an energy with all that it is made of as inputs.
func lossGraph(e mdsm.Energy, shape graph.Shape, sigma0 float64, l mdsm.Weighting) *graph.Graph {
	g := graph.New("loss")
	x := g.Input("x", tensor.Float64, shape)
	noise := g.Input("noise", tensor.Float64, shape)
	sigma := g.Input("sigma", tensor.Float64, shape[:1])
	g.Output("loss", mdsm.Loss(e, x, noise, sigma, sigma0, l))
	return g
}

// TestLossIsItsFormula compares eq. (7) with the same written as a loop.
func TestLossIsItsFormula(t *testing.T) {
	q := bowl()
	const sigma0, n = 0.3, 5
	x, noise := normal(1, n, 2), normal(2, n, 2)
	sigma := []float64{0.1, 0.4, 1, 2, 5}
	for weighting, l := range map[mdsm.Weighting]func(s float64) float64{
		mdsm.InverseVariance: func(s float64) float64 { return 1 / (s * s) },
		mdsm.Inverse:         func(s float64) float64 { return 1 / s },
		mdsm.Uniform:         func(float64) float64 { return 1 },
	} {
		want := 0.0
		for i, s := range sigma {
			clean, z := x.Float64s()[2*i:2*i+2], noise.Float64s()[2*i:2*i+2]
			noisy := []float64{clean[0] + s*z[0], clean[1] + s*z[1]}
			slope := q.gradient(noisy)
			for j := range 2 {
				want += l(s) * math.Pow(clean[j]-noisy[j]+sigma0*sigma0*slope[j], 2) / n
			}
		}
		got := testkit.Interpret(t, lossGraph(q.energy, graph.Batch(2), sigma0, weighting),
			values{"x": x, "noise": noise, "sigma": f64([]int{n}, sigma...)})
		testkit.Near(t, string(weighting), got["loss"], []float64{want}, 1e-13)
	}
}

// TestLossOfPictures sums over all axes of a picture: with E = 0 what is left
// is the mean of ‖n‖² for the default weights.
func TestLossOfPictures(t *testing.T) {
	flat := func(x *graph.Node) *graph.Node {
		return graph.Scale(graph.ReduceSum(x, 1, 2, 3), 0)
	}
	noise := normal(3, 2, 3, 4, 4)
	want := 0.0
	for _, v := range noise.Float64s() {
		want += v * v / 2
	}
	got := testkit.Interpret(t, lossGraph(flat, graph.Batch(3, 4, 4), 0.1, mdsm.InverseVariance),
		values{"x": normal(4, 2, 3, 4, 4), "noise": noise, "sigma": f64([]int{2}, 0.1, 3)})
	testkit.Near(t, "loss", got["loss"], []float64{want}, 1e-12)
}

// TestLossAtTheTrueScore takes data from N(x₀, s²) and the energy
// E(x) = a‖x−x₀‖²/2, noise at σ = σ₀ alone. The density of the noisy data is
// N(x₀, s²+σ₀²), so the loss must be stationary at a = 1/(s²+σ₀²) and fall
// towards it from both sides. Because the loss is quadratic in the data and
// the noise, the four points x₀ ± s, n = ±1 give its expectation exactly.
func TestLossAtTheTrueScore(t *testing.T) {
	const x0, s, sigma0 = 0.7, 0.4, 0.2
	g := graph.New("loss")
	x := g.Input("x", tensor.Float64, graph.Batch(1))
	noise := g.Input("noise", tensor.Float64, graph.Batch(1))
	sigma := g.Input("sigma", tensor.Float64, graph.Batch())
	a := g.Input("a", tensor.Float64, nil)
	gaussian := func(x *graph.Node) *graph.Node {
		d := graph.Shift(x, -x0)
		return graph.Scale(graph.Mul(graph.Broadcast(a, x.Shape()[:1]), graph.ReduceSum(graph.Mul(d, d), 1)), 0.5)
	}
	loss := mdsm.Loss(gaussian, x, noise, sigma, sigma0, mdsm.InverseVariance)
	g.Output("slope", autodiff.Gradient(loss, a)[0])
	ideal := 1 / (s*s + sigma0*sigma0)
	for _, c := range []struct{ a, sign float64 }{{0, -1}, {ideal - 0.1, -1}, {ideal, 0}, {ideal + 0.1, 1}, {-ideal, -1}} {
		out := testkit.Interpret(t, g, values{
			"x": f64([]int{4, 1}, x0+s, x0+s, x0-s, x0-s), "noise": f64([]int{4, 1}, 1, -1, 1, -1),
			"sigma": f64([]int{4}, sigma0, sigma0, sigma0, sigma0), "a": f64(nil, c.a),
		})
		slope := out["slope"].Float64s()[0]
		if c.sign == 0 && math.Abs(slope) > 1e-15 || c.sign != 0 && slope*c.sign < 1e-6 {
			t.Errorf("a = %g: the loss has slope %g, want sign %g", c.a, slope, c.sign)
		}
	}
}

// TestLossOfAPoint takes one clean x₀ at all noise levels: E = ‖x−x₀‖²/2σ₀²
// is then right at every level, and loss and gradients vanish.
func TestLossOfAPoint(t *testing.T) {
	const sigma0 = 0.1
	g := graph.New("loss")
	x := g.Input("x", tensor.Float64, graph.Batch(3))
	noise := g.Input("noise", tensor.Float64, graph.Batch(3))
	sigma := g.Input("sigma", tensor.Float64, graph.Batch())
	centre := g.Input("centre", tensor.Float64, graph.Dims(3))
	a := g.Input("a", tensor.Float64, nil)
	loss := mdsm.Loss(func(x *graph.Node) *graph.Node {
		d := graph.Sub(x, graph.Broadcast(centre, x.Shape()))
		return graph.Mul(graph.Broadcast(a, x.Shape()[:1]), graph.ReduceSum(graph.Mul(d, d), 1))
	}, x, noise, sigma, sigma0, mdsm.InverseVariance)
	g.Output("loss", loss)
	for i, d := range autodiff.Gradient(loss, centre, a) {
		g.Output([]string{"by centre", "by a"}[i], d)
	}
	point := []float64{0.2, 0.5, 0.9}
	out := testkit.Interpret(t, g, values{
		"x": f64([]int{3, 3}, append(append(point, point...), point...)...), "noise": normal(5, 3, 3),
		"sigma": f64([]int{3}, 0.1, 0.6, 3), "centre": f64([]int{3}, point...), "a": f64(nil, 1/(2*sigma0*sigma0)),
	})
	for name, v := range out {
		for _, e := range v.Float64s() {
			if math.Abs(e) > 1e-13 {
				t.Errorf("%s is %v, want zeros", name, v.Float64s())
				break
			}
		}
	}
}

// TestLossOfUntrainedNetworks is about the number of pixels, and one small
// step of Adam lowers it.
func TestLossOfUntrainedNetworks(t *testing.T) {
	net := energy.ResNet{Net: "res6", Channels: 1, Dim: 3, Size: 8}
	w := energy.Init(net, rng.New(4))
	g := mdsm.TrainGraph(net, mdsm.Objective{Sigma0: 0.1, Weighting: mdsm.InverseVariance}, mdsm.PaperAdam())
	levels, err := mdsm.Geometric.Levels(0.1, 3, 8)
	if err != nil {
		t.Fatal(err)
	}
	in := values{
		"x": normal(1, 8, 1, 8, 8), "noise": normal(2, 8, 1, 8, 8), "sigma": f64([]int{8}, levels...),
		"learning_rate": f64([]int{1}, 1e-3), "step": tensor.Of([]int64{1}, 1),
	}
	for _, p := range net.Parameters() {
		in[p.Name] = w[p.Name]
		for _, suffix := range mdsm.PaperAdam().StateSuffixes() {
			in[p.Name+suffix] = tensor.New(tensor.Float32, p.Shape...)
		}
	}
	before := testkit.Interpret(t, g, in)
	first := before["loss"].Float64s()[0]
	if math.Abs(first/64-1) > 0.25 {
		t.Errorf("the loss is %g, want about 64", first)
	}
	for _, p := range net.Parameters() {
		in[p.Name] = before[p.Name+".next"]
	}
	if second := testkit.Interpret(t, g, in)["loss"].Float64s()[0]; !(second < first) {
		t.Errorf("the loss went from %g to %g", first, second)
	}
}

func TestWeightings(t *testing.T) {
	if mdsm.Weightings()[0] != mdsm.InverseVariance {
		t.Error("the paper's weighting is not the first")
	}
	for _, w := range mdsm.Weightings() {
		if err := w.Validate(); err != nil {
			t.Error(err)
		}
	}
	for _, w := range []mdsm.Weighting{"", "cubic"} {
		if err := w.Validate(); err == nil || !strings.Contains(err.Error(), string(w)) || !strings.Contains(err.Error(), "inverse-variance") {
			t.Errorf("%q: error %v, want one that names it and the known ones", w, err)
		}
	}
}
