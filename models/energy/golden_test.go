package energy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/autodiff"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// golden is what PyTorch says about one network; testdata/make_golden.py and
// make_unet.py describe the names.
type golden struct {
	net    energy.Picture
	values map[string]*tensor.Tensor
}

// unets are the golden files of U-Nets.
var unets = []string{"unet", "unet_residual"}

// forEachGolden runs a test on every network, on the residual ones with both sets of weights.
func forEachGolden(t *testing.T, test func(t *testing.T, g golden)) {
	run := func(file, net string) {
		t.Run(file, func(t *testing.T) { test(t, readGolden(t, file, net)) })
	}
	for _, net := range energy.Nets() {
		run(net+"_random", net)
		run(net+"_trained", net)
	}
	for _, file := range unets {
		run(file, energy.UNetName)
	}
}

func readGolden(t *testing.T, file, net string) golden {
	values := testkit.Arrays(t, filepath.Join("testdata", file+".npz"))
	numbers := func(name string) (list []int) {
		if values[name] == nil {
			return nil
		}
		for _, v := range values[name].Float64s() {
			list = append(list, int(v))
		}
		return list
	}
	text := func(name string) (s string) {
		for _, c := range numbers(name) {
			s += string(rune(c))
		}
		return s
	}
	plan := energy.Plan{
		Net: net, Channels: numbers("in_channels")[0], Dim: numbers("dim")[0], Size: numbers("hw")[0],
		Head: energy.Head(text("head")), Activation: energy.Activation(text("activation")), Multipliers: numbers("multipliers"),
	}
	if blocks := numbers("blocks"); blocks != nil {
		plan.Blocks = blocks[0]
	}
	return golden{plan.Network(), values}
}

func (g golden) weights() energy.Weights {
	w := make(energy.Weights)
	for name, v := range g.values {
		if p, ok := strings.CutPrefix(name, "param/"); ok {
			w[p] = v
		}
	}
	return w
}

func (g golden) check(t *testing.T, what string, got *tensor.Tensor, want string, tolerance float64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: no value", what)
		return
	}
	if e := testkit.Difference(got.Float64s(), g.values[want].Float64s()); !(e <= tolerance) {
		t.Errorf("%s: error %.2g of the largest magnitude, want at most %.0g", what, e, tolerance)
	} else {
		t.Logf("%s: error %.2g", what, e)
	}
}

// wholeGraph computes everything in the golden file from x, noise and sigma.
// In float64 the noisy pictures are made in float64 too.
func wholeGraph(n energy.Network, w energy.Weights, dtype tensor.DType) *graph.Graph {
	g := graph.New("golden")
	shape := graph.Batch(n.InputShape()...)
	x := g.Input("x", dtype, shape)
	noise := g.Input("noise", dtype, shape)
	sigma := g.Input("sigma", dtype, shape[:1])
	v := g.Input("v", dtype, shape)
	params := w.Constants(g, n, dtype)
	e := func(x *graph.Node) *graph.Node { return n.Energy(x, params) }

	noisy := mdsm.Perturb(x, noise, sigma)
	score, value := mdsm.Score(e, noisy)
	g.Output("energy", value)
	g.Output("score", score)
	g.Output("hvp", autodiff.HessianVector(value, noisy, v))
	loss := mdsm.Loss(e, x, noise, sigma, 0.1, mdsm.InverseVariance)
	g.Output("loss", loss)
	var xs []*graph.Node
	for _, p := range n.Parameters() {
		xs = append(xs, params[p.Name])
	}
	for i, d := range autodiff.Gradient(loss, xs...) {
		g.Output("grad/"+n.Parameters()[i].Name, d)
	}
	return g
}

func (g golden) inputs() map[string]*tensor.Tensor {
	in := make(map[string]*tensor.Tensor)
	for _, name := range []string{"x", "noise", "sigma", "v"} {
		in[name] = g.values[name]
	}
	return in
}

// gradients joins the weight gradients, so that an error is relative to the
// largest of all.
func gradients(n energy.Network, get func(name string) *tensor.Tensor) []float64 {
	var all []float64
	for _, p := range n.Parameters() {
		all = append(all, get(p.Name).Float64s()...)
	}
	return all
}

func TestInterpreterAgreesWithPyTorch(t *testing.T) {
	forEachGolden(t, func(t *testing.T, g golden) {
		out := testkit.Interpret(t, wholeGraph(g.net, g.weights(), tensor.Float64), g.inputs())
		const tolerance = 1e-10
		for _, name := range []string{"energy", "score", "hvp", "loss"} {
			g.check(t, name, out[name], name+"64", tolerance)
		}
		got := gradients(g.net, func(name string) *tensor.Tensor { return out["grad/"+name] })
		want := gradients(g.net, func(name string) *tensor.Tensor { return g.values["grad64/"+name] })
		if e := testkit.Difference(got, want); !(e <= tolerance) {
			t.Errorf("weight gradients: error %.2g, want at most %.0g", e, tolerance)
		}
	})
}

func TestRuntimeAgreesWithPyTorch(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	forEachGolden(t, func(t *testing.T, g golden) {
		model := testkit.Encode(t, wholeGraph(g.net, g.weights(), tensor.Float32))
		if dir := os.Getenv("EBM_KEEP_MODELS"); dir != "" {
			os.WriteFile(filepath.Join(dir, g.net.Plan().Net+".onnx"), model, 0o644)
		}
		s := testkit.Load(t, rt, model)
		out := testkit.Run(t, s, g.inputs())
		const tolerance = 1e-5
		for _, name := range []string{"energy", "score", "hvp", "loss"} {
			want := name
			if g.values[want] == nil {
				want += "64"
			}
			g.check(t, name, out[name], want, tolerance)
		}
		got := gradients(g.net, func(name string) *tensor.Tensor { return out["grad/"+name] })
		want := gradients(g.net, func(name string) *tensor.Tensor { return g.values["grad64/"+name] })
		if e := testkit.Difference(got, want); !(e <= tolerance) {
			t.Errorf("weight gradients: error %.2g, want at most %.0g", e, tolerance)
		} else {
			t.Logf("weight gradients: error %.2g", e)
		}
	})
}
