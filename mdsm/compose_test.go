package mdsm_test

import (
	"math"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// gaussian is a term whose density is known.
func gaussian(weight float64, sigma float64, mean ...float64) mdsm.Term {
	d := energy.Gaussian{Mean: mean}
	for range mean {
		d.Sigma = append(d.Sigma, sigma)
	}
	return mdsm.Term{Network: energy.Known{Density: d}, Weight: weight, Sigma0: sigma}
}

// score64 evaluates energy and score of a composition at points in float64.
func score64(t *testing.T, c mdsm.Composition, x *tensor.Tensor) values {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	g := graph.New("composed")
	score, e := mdsm.Score(func(x *graph.Node) *graph.Node { return c.Energy(x, nil) },
		g.Input("x", tensor.Float64, graph.Batch(c.InputShape()...)))
	g.Output("energy", e)
	g.Output("score", score)
	return testkit.Interpret(t, g, values{"x": x})
}

// Normal distributions with weights multiply to the normal distribution of
// precision Σw/σ²T and the mean that is weighted by it.
func TestComposedGaussians(t *testing.T) {
	a, b := gaussian(1, 0.5, 0.2, -1), gaussian(0.5, 0.25, 1, 3)
	for _, temperature := range []float64{1, 2.5} {
		c := mdsm.Composition{Terms: []mdsm.Term{a, b}, Temperature: temperature}
		pa, pb := 1/(0.5*0.5*temperature), 0.5/(0.25*0.25*temperature)
		precision := pa + pb
		mean := []float64{(0.2*pa + 1*pb) / precision, (-1*pa + 3*pb) / precision}
		if got, want := c.Sigma0(), 1/math.Sqrt(precision); math.Abs(got-want) > 1e-12 {
			t.Errorf("noise of the product %g, want %g", got, want)
		}
		x := normal(3, 5, 2)
		out := score64(t, c, x)
		var scores []float64
		offset := math.NaN()
		for i, e := range out["energy"].Float64s() {
			p := x.Float64s()[2*i : 2*i+2]
			square := 0.0
			for k := range p {
				square += (p[k] - mean[k]) * (p[k] - mean[k])
				scores = append(scores, -precision*(p[k]-mean[k]))
			}
			// Energies are known up to a constant.
			if i == 0 {
				offset = e - precision*square/2
			}
			if got := e - precision*square/2; math.Abs(got-offset) > 1e-11 {
				t.Errorf("T = %g, point %d: energy off by %g, and by %g at point 0", temperature, i, got, offset)
			}
		}
		testkit.Near(t, "score", out["score"], scores, 1e-12)
		// The jump by the product's noise leads to its mean at once.
		jump := execute(t, mdsm.DenoiseGraph(c, nil, c.Sigma0()), values{"x": x})
		for i, v := range jump["denoised"].Float64s() {
			if math.Abs(v-mean[i%2]) > 1e-5 {
				t.Errorf("T = %g: denoised to %g, want %g", temperature, v, mean[i%2])
			}
		}
	}
}

// Chains of a composition reach the mean and variance of the product.
func TestComposedChain(t *testing.T) {
	c := mdsm.Composition{Terms: []mdsm.Term{gaussian(1, 0.5, 0.2), gaussian(1, 0.25, 1)}, Temperature: 1}
	const chains, steps, eps = 2000, 60, 0.15
	noise, start := normal(5, steps, chains, 1), normal(6, chains, 1)
	temperature := tensor.New(tensor.Float64, steps)
	for i := range tensor.Data[float64](temperature) {
		tensor.Data[float64](temperature)[i] = 1
	}
	out := execute(t, mdsm.SamplerGraph(c, nil), values{"x": start, "noise": noise, "step_size": f64([]int{1}, eps),
		"temperature": temperature})
	var mean, variance float64
	for _, v := range out["x_next"].Float64s() {
		mean += v / chains
	}
	for _, v := range out["x_next"].Float64s() {
		variance += (v - mean) * (v - mean) / chains
	}
	// Eq. (8) without a correction has the variance 1/(λ(1 − ε²λ/4)) in a bowl of
	// curvature λ = 1/0.5² + 1/0.25² = 20.
	want := 1 / (20 * (1 - eps*eps*20/4))
	if at := (0.2*4 + 1*16) / 20; math.Abs(mean-at) > 4*math.Sqrt(want/chains) {
		t.Errorf("mean %g, want %g", mean, at)
	}
	if math.Abs(variance/want-1) > 4*math.Sqrt(2.0/chains) {
		t.Errorf("variance %g, want %g", variance, want)
	}
}

// A region multiplies the density of given values with a normal one around the
// picture, and leaves the others alone.
func TestComposedRegion(t *testing.T) {
	c := mdsm.Composition{Terms: []mdsm.Term{gaussian(1, 0.5, 0, 0)}, Temperature: 1, Region: &mdsm.Region{
		Picture: tensor.Of([]float32{3, 7}, 1, 2), Hidden: tensor.Of([]float32{0, 1}, 1, 2), Sigma: 0.25,
	}}
	x := normal(1, 4, 2)
	out := score64(t, c, x)
	var want []float64
	for i := range 4 {
		p := x.Float64s()[2*i : 2*i+2]
		want = append(want, -4*p[0]-16*(p[0]-3), -4*p[1])
	}
	testkit.Near(t, "score", out["score"], want, 1e-12)
}

// With logits that are linear in x, −v·log p(class|x) has a known gradient; at
// the denoised x̂ it is that at x̂ times what x̂ moves with x.
func TestComposedClasses(t *testing.T) {
	logits := func(x *graph.Node) *graph.Node { // [N 2]: 0 and 3x₀
		first := graph.Slice(x, 1, 0, 1, 1)
		return graph.Concat(1, graph.Scale(first, 0), graph.Scale(first, 3))
	}
	const v, mean = 2.0, 0.5
	term := gaussian(1, 0.5, mean, 0)
	for _, noisy := range []bool{true, false} {
		c := mdsm.Composition{Terms: []mdsm.Term{term}, Temperature: 1,
			Classes: []mdsm.ClassTerm{{Logits: logits, Class: 1, Weight: v, Noisy: noisy}}}
		x := normal(2, 4, 2)
		out := score64(t, c, x)
		var scores, energies []float64
		for i := range 4 {
			p := x.Float64s()[2*i : 2*i+2]
			seen, moves := p[0], 1.0
			if !noisy {
				seen, moves = mean, 0 // the jump from everywhere leads to the mean
			}
			probability := 1 / (1 + math.Exp(-3*seen))
			energies = append(energies, 2*((p[0]-mean)*(p[0]-mean)+p[1]*p[1])-v*math.Log(probability))
			scores = append(scores, -4*(p[0]-mean)+v*3*(1-probability)*moves, -4*p[1])
		}
		testkit.Near(t, "energy", out["energy"], energies, 1e-12)
		testkit.Near(t, "score", out["score"], scores, 1e-12)
	}
}

// The project's classifier sees pictures of 32 pixels as their means.
func TestComposedClassifier(t *testing.T) {
	n := classifier.Network{Dim: 2, Features: 3, Classes: 10}
	w := energy.Init(n, rng.New(3))
	small := normal(1, 2, 1, 16, 16)
	large := tensor.New(tensor.Float64, 2, 1, 32, 32)
	for i := range tensor.Data[float64](large) {
		y, x := i/32%32, i%32
		tensor.Data[float64](large)[i] = small.Float64s()[i/1024*256+y/2*16+x/2]
	}
	at := func(x *tensor.Tensor, side int) []float64 {
		g := graph.New("logits")
		g.Output("logits", mdsm.ClassifierLogits(n, w)(g.Input("x", tensor.Float64, graph.Batch(1, side, side))))
		return testkit.Interpret(t, g, values{"x": x})["logits"].Float64s()
	}
	want := at(small, 16)
	for i, v := range at(large, 32) {
		if math.Abs(v-want[i]) > 1e-12 {
			t.Errorf("logit %d is %g of the large picture, %g of the small one", i, v, want[i])
		}
	}
}

func TestFunctionLogits(t *testing.T) {
	g := graph.New("file")
	in := g.Input("input", tensor.Float32, graph.Shape{graph.Sym("batch"), graph.Const(2)})
	g.Output("scores", graph.Scale(in, 2))
	logits, err := mdsm.FunctionLogits(g, "scores")
	if err != nil {
		t.Fatal(err)
	}
	c := mdsm.Composition{Terms: []mdsm.Term{gaussian(1, 0.5, 0, 0)}, Temperature: 1,
		Classes: []mdsm.ClassTerm{{Logits: logits, Class: 1, Weight: 1, Noisy: true}}}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	x := normal(4, 3, 2)
	out := execute(t, mdsm.ScoreGraph(c, nil), values{"x": x})
	for i, e := range out["energy"].Float64s() {
		a, b := x.Float64s()[2*i], x.Float64s()[2*i+1]
		if want := 2*(a*a+b*b) + math.Log(1+math.Exp(2*(a-b))); math.Abs(e-want) > 1e-5 {
			t.Errorf("energy %g, want %g", e, want)
		}
	}
	if _, err := mdsm.FunctionLogits(g, "logits"); err == nil || !strings.Contains(err.Error(), "logits") {
		t.Errorf("an output that does not exist: %v", err)
	}
}

func TestCompositionsThatCannotBe(t *testing.T) {
	one := gaussian(1, 0.5, 0, 0)
	wide := func(x *graph.Node) *graph.Node { return graph.Reshape(x, graph.Shape{x.Shape()[0], graph.Const(2)}) }
	for want, c := range map[string]mdsm.Composition{
		"without an energy": {Temperature: 1},
		"temperature":       {Terms: []mdsm.Term{one}},
		"one shape":         {Terms: []mdsm.Term{one, gaussian(1, 0.5, 0)}, Temperature: 1},
		"weight":            {Terms: []mdsm.Term{gaussian(math.NaN(), 0.5, 0)}, Temperature: 1},
		"add up to nothing": {Terms: []mdsm.Term{one, gaussian(-1, 0.5, 0, 0)}, Temperature: 1},
		"class 2": {Terms: []mdsm.Term{one}, Temperature: 1,
			Classes: []mdsm.ClassTerm{{Logits: wide, Class: 2, Weight: 1, Noisy: true}}},
		"region": {Terms: []mdsm.Term{one}, Temperature: 1,
			Region: &mdsm.Region{Picture: tensor.New(tensor.Float32, 2), Hidden: tensor.New(tensor.Float32, 1, 2), Sigma: 1}},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}
