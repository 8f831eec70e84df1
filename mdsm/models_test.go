package mdsm_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// TestLangevinIsItsFormula compares eq. (8) with the same written as a loop.
func TestLangevinIsItsFormula(t *testing.T) {
	q := bowl()
	g := graph.New("langevin")
	x := g.Input("x", tensor.Float64, graph.Batch(2))
	next, e := mdsm.Langevin(q.energy, x, g.Input("noise", tensor.Float64, x.Shape()),
		g.Input("step_size", tensor.Float64, graph.Dims(1)), g.Input("temperature", tensor.Float64, nil))
	g.Output("next", next)
	g.Output("energy", e)
	at, noise := normal(1, 3, 2), normal(2, 3, 2)
	for _, c := range []struct{ eps, temperature float64 }{{0.02, 100}, {0.3, 1}, {0.3, 0}} {
		var want, energies []float64
		for i := range 3 {
			p := at.Float64s()[2*i : 2*i+2]
			slope := q.gradient(p)
			energies = append(energies, q.value(p))
			for j := range 2 {
				want = append(want, p[j]-c.eps*c.eps/2*slope[j]+c.eps*math.Sqrt(c.temperature)*noise.Float64s()[2*i+j])
			}
		}
		out := testkit.Interpret(t, g, values{"x": at, "noise": noise, "step_size": f64([]int{1}, c.eps), "temperature": f64(nil, c.temperature)})
		testkit.Near(t, fmt.Sprintf("ε = %g, T = %g", c.eps, c.temperature), out["next"], want, 1e-14)
		testkit.Near(t, "energy", out["energy"], energies, 1e-14)
	}
}

// TestDenoiseIsItsFormula compares eq. (9) with the same written as a loop.
func TestDenoiseIsItsFormula(t *testing.T) {
	q := bowl()
	const sigma0 = 0.3
	g := graph.New("denoise")
	clean, e := mdsm.Denoise(q.energy, g.Input("x", tensor.Float64, graph.Batch(2)), sigma0)
	g.Output("clean", clean)
	g.Output("energy", e)
	at := normal(1, 3, 2)
	var want, energies []float64
	for i := range 3 {
		p := at.Float64s()[2*i : 2*i+2]
		slope := q.gradient(p)
		want = append(want, p[0]-sigma0*sigma0*slope[0], p[1]-sigma0*sigma0*slope[1])
		energies = append(energies, q.value(p))
	}
	out := testkit.Interpret(t, g, values{"x": at})
	testkit.Near(t, "clean", out["clean"], want, 1e-14)
	testkit.Near(t, "energy", out["energy"], energies, 1e-14)
}

// TestSamplerIsItsSteps runs K steps at once and one after the other, in the
// interpreter and in ONNX Runtime.
func TestSamplerIsItsSteps(t *testing.T) {
	net, w := testkit.Network(3, 8, 4)
	const k, n = 3, 2
	sampler := mdsm.SamplerGraph(net, w)
	x, noise := normal(1, n, 1, 8, 8), normal(2, k, n, 1, 8, 8)
	temperatures, size := []float64{4, 1, 0}, f64([]int{1}, 0.2)
	for _, c := range []struct {
		name      string
		run       func(testing.TB, *graph.Graph, values) values
		tolerance float64
	}{{"interpreter", testkit.Interpret, 1e-13}, {"ONNX Runtime", execute, 1e-6}} {
		t.Run(c.name, func(t *testing.T) {
			all := c.run(t, sampler, values{"x": x, "noise": noise, "temperature": f64([]int{k}, temperatures...), "step_size": size})
			at, each := x, noise.Len()/k
			var trace []float64
			for i, temperature := range temperatures {
				out := c.run(t, sampler, values{"x": at, "step_size": size, "temperature": f64([]int{1}, temperature),
					"noise": f64([]int{1, n, 1, 8, 8}, noise.Float64s()[i*each:(i+1)*each]...)})
				if i == 0 {
					e := c.run(t, mdsm.EnergyGraph(net, w), values{"x": x})
					testkit.Near(t, "first energy", out["energy"], e["energy"].Float64s(), c.tolerance)
				}
				at = out["x_next"]
				trace = append(trace, out["energy"].Float64s()...)
			}
			testkit.Near(t, "x_next", all["x_next"], at.Float64s(), c.tolerance)
			testkit.Near(t, "energy", all["energy"], trace, c.tolerance)
		})
	}
}

// TestModelsAgree compares the models of one network with each other: the
// score with differences of the energy, the Hessian's product with
// differences of the score, denoising with both, and a step of the sampler at
// T = 0 with the score.
func TestModelsAgree(t *testing.T) {
	net, w := testkit.Network(3, 8, 4)
	x, v := normal(1, 2, 1, 8, 8), normal(2, 2, 1, 8, 8)
	move := func(h float64) *tensor.Tensor {
		y := x.Clone()
		for i, d := range v.Float64s() {
			tensor.Data[float64](y)[i] += h * d
		}
		return y
	}
	const h = 1e-7
	score := mdsm.ScoreGraph(net, w)
	at, plus, minus := testkit.Interpret(t, score, values{"x": x}), testkit.Interpret(t, score, values{"x": move(h)}),
		testkit.Interpret(t, score, values{"x": move(-h)})
	along := make([]float64, 2)
	for i, s := range at["score"].Float64s() {
		along[i/64] -= s * v.Float64s()[i]
	}
	difference := func(name string, sign float64) []float64 {
		d := make([]float64, plus[name].Len())
		for i := range d {
			d[i] = sign * (plus[name].Float64s()[i] - minus[name].Float64s()[i]) / (2 * h)
		}
		return d
	}
	testkit.Near(t, "slope of the energy", tensor.Of(along, 2), difference("energy", 1), 1e-6)
	hvp := testkit.Interpret(t, mdsm.HessianGraph(net, w), values{"x": x, "v": v})
	testkit.Near(t, "Hessian's product", hvp["hvp"], difference("score", -1), 1e-5)

	testkit.Near(t, "energy", testkit.Interpret(t, mdsm.EnergyGraph(net, w), values{"x": x})["energy"], at["energy"].Float64s(), 0)
	denoised := testkit.Interpret(t, mdsm.DenoiseGraph(net, w, 0.1), values{"x": x})
	testkit.Near(t, "energy beside denoising", denoised["energy"], at["energy"].Float64s(), 0)
	want := make([]float64, x.Len())
	for i, s := range at["score"].Float64s() {
		want[i] = x.Float64s()[i] + 0.01*s
	}
	testkit.Near(t, "denoised", denoised["denoised"], want, 1e-8) // σ₀² is a float32 constant
}

// TestNamesOfModels holds the names and types that exported files have.
func TestNamesOfModels(t *testing.T) {
	net, w := testkit.Network(3, 8, 4)
	o := mdsm.Objective{Sigma0: 0.1, Weighting: mdsm.InverseVariance}
	averaging := mdsm.PaperAdam()
	averaging.EMA = 0.999
	for _, c := range []struct {
		graph *graph.Graph
		want  string
	}{
		{mdsm.EnergyGraph(net, w), "x float32[N 1 8 8] → energy float32[N]"},
		{mdsm.ScoreGraph(net, w), "x float32[N 1 8 8] → energy float32[N], score float32[N 1 8 8]"},
		{mdsm.HessianGraph(net, w), "x float32[N 1 8 8], v float32[N 1 8 8] → hvp float32[N 1 8 8]"},
		{mdsm.DenoiseGraph(net, w, 0.1), "x float32[N 1 8 8] → energy float32[N], denoised float32[N 1 8 8]"},
		{mdsm.SamplerGraph(net, w), "x float32[N 1 8 8], noise float32[K N 1 8 8], temperature float32[K], step_size float32[1] → x_next " +
			"float32[N 1 8 8], energy float32[K N]"},
		{mdsm.TrainGraph(net, o, mdsm.PaperAdam()), trainNames(net, mdsm.PaperAdam())},
		{mdsm.TrainGraph(net, o, averaging), trainNames(net, averaging)},
	} {
		if err := c.graph.Verify(); err != nil {
			t.Error(err)
		}
		var in, out []string
		for _, n := range c.graph.Inputs() {
			in = append(in, fmt.Sprintf("%s %v", n.InputName(), n.Type()))
		}
		for _, o := range c.graph.Outputs() {
			out = append(out, fmt.Sprintf("%s %v", o.Name, o.Node.Type()))
		}
		want := strings.Split(c.want, " → ")
		if got := sorted(in); got != sorted(strings.Split(want[0], ", ")) {
			t.Errorf("%s has the inputs\n%s", c.graph.Name(), got)
		}
		if got := sorted(out); got != sorted(strings.Split(want[1], ", ")) {
			t.Errorf("%s has the outputs\n%s", c.graph.Name(), got)
		}
	}
}

func trainNames(net energy.Network, a mdsm.Adam) string {
	in := []string{"x float32[N 1 8 8]", "noise float32[N 1 8 8]", "sigma float32[N]", "learning_rate float32[1]", "step int64[1]"}
	out := []string{"loss float32[1]", "grad_norm float32[1]"}
	for _, p := range net.Parameters() {
		for _, suffix := range append([]string{""}, a.StateSuffixes()...) {
			in = append(in, fmt.Sprintf("%s%s float32%v", p.Name, suffix, p.Shape))
			out = append(out, fmt.Sprintf("%s%s.next float32%v", p.Name, suffix, p.Shape))
		}
	}
	return strings.Join(in, ", ") + " → " + strings.Join(out, ", ")
}

func sorted(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	return strings.Join(names, "\n")
}
