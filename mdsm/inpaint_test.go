package mdsm_test

import (
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// TestInpaintIsItsFormula has one hidden and one given value in each point:
// the hidden one moves by eq. (8) at the point whose given value has noise of
// σ₀√T, and the given one stays.
func TestInpaintIsItsFormula(t *testing.T) {
	q := bowl()
	const sigma0 = 0.3
	g := graph.New("inpaint")
	x := g.Input("x", tensor.Float64, graph.Batch(2))
	hidden, noise := g.Input("hidden", tensor.Float64, x.Shape()), g.Input("noise", tensor.Float64, x.Shape())
	next, e := mdsm.Inpaint(q.energy, x, hidden, noise, g.Input("step_size", tensor.Float64, graph.Dims(1)),
		g.Input("temperature", tensor.Float64, nil), sigma0)
	clean, _ := mdsm.DenoiseHidden(q.energy, x, hidden, sigma0)
	g.Output("next", next)
	g.Output("energy", e)
	g.Output("clean", clean)
	at, n := normal(1, 2, 2), normal(2, 2, 2)
	for _, c := range []struct{ eps, temperature float64 }{{0.02, 100}, {0.3, 1}, {0.3, 0}} {
		var want, energies, jumps []float64
		for i, hidden := range []int{1, 0} { // which value of the point
			p := append([]float64{}, at.Float64s()[2*i:2*i+2]...)
			noise := n.Float64s()[2*i : 2*i+2]
			jump := append([]float64{}, p...)
			jump[hidden] -= sigma0 * sigma0 * q.gradient(p)[hidden]
			jumps = append(jumps, jump...)
			seen := append([]float64{}, p...)
			seen[1-hidden] += sigma0 * math.Sqrt(c.temperature) * noise[1-hidden]
			energies = append(energies, q.value(seen))
			p[hidden] += -c.eps*c.eps/2*q.gradient(seen)[hidden] + c.eps*math.Sqrt(c.temperature)*noise[hidden]
			want = append(want, p...)
		}
		out := testkit.Interpret(t, g, values{"x": at, "noise": n, "hidden": f64([]int{2, 2}, 0, 1, 1, 0), "step_size": f64([]int{1}, c.eps),
			"temperature": f64(nil, c.temperature)})
		testkit.Near(t, "next", out["next"], want, 1e-14)
		testkit.Near(t, "energy", out["energy"], energies, 1e-14)
		testkit.Near(t, "clean", out["clean"], jumps, 1e-14)
	}
}

// TestInpaintModels: with everything hidden they are the plain chain and jump;
// with nothing hidden, nothing moves.
func TestInpaintModels(t *testing.T) {
	net := energy.ResNet{Net: "res6", Channels: 1, Dim: 3, Size: 8}
	w := energy.Init(net, rng.New(4))
	in := values{
		"x": normal(1, 2, 1, 8, 8), "noise": normal(2, 3, 2, 1, 8, 8), "hidden": tensor.New(tensor.Float64, 2, 1, 8, 8),
		"step_size": f64([]int{1}, 0.02), "temperature": f64([]int{3}, 4, 2, 0),
	}
	pick := func(names ...string) values {
		some := values{}
		for _, name := range names {
			some[name] = in[name]
		}
		return some
	}
	chain, jump := mdsm.InpaintGraph(net, w, 0.1), mdsm.DenoiseHiddenGraph(net, w, 0.1)
	out := execute(t, chain, in)
	testkit.Near(t, "nothing hidden", out["x_next"], in["x"].AsFloat32().Float64s(), 0)
	testkit.Near(t, "nothing hidden, jump", execute(t, jump, pick("x", "hidden"))["denoised"], in["x"].AsFloat32().Float64s(), 0)

	for i := range tensor.Data[float64](in["hidden"]) {
		tensor.Data[float64](in["hidden"])[i] = 1
	}
	out = execute(t, chain, in)
	want := execute(t, mdsm.SamplerGraph(net, w), pick("x", "noise", "step_size", "temperature"))
	testkit.Near(t, "all hidden", out["x_next"], want["x_next"].Float64s(), 1e-6)
	testkit.Near(t, "all hidden, energies", out["energy"], want["energy"].Float64s(), 1e-6)
	wantJump := execute(t, mdsm.DenoiseGraph(net, w, 0.1), pick("x"))
	testkit.Near(t, "all hidden, jump", execute(t, jump, pick("x", "hidden"))["denoised"], wantJump["denoised"].Float64s(), 1e-6)
}
