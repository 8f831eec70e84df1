package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/cmd/internal/verify"
	"ebm/export"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// golden returns a network and weights of the files that PyTorch made.
func golden(t *testing.T, net, kind string) (energy.ResNet, energy.Weights) {
	t.Helper()
	values := testkit.Arrays(t, filepath.Join("..", "..", "..", "models", "energy", "testdata", net+"_"+kind+".npz"))
	number := func(name string) int { return int(values[name].Float64s()[0]) }
	w := make(energy.Weights)
	for name, v := range values {
		if p, ok := strings.CutPrefix(name, "param/"); ok {
			w[p] = v
		}
	}
	return energy.ResNet{Net: net, Channels: number("in_channels"), Dim: number("dim"), Size: number("hw")}, w
}

// TestAllNetworks certifies the four networks with random and with trained
// weights: the exported score must be within 1e-6 of the interpreter's.
func TestAllNetworks(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	for _, name := range energy.Nets() {
		for _, kind := range []string{"random", "trained"} {
			t.Run(name+"_"+kind, func(t *testing.T) {
				net, w := golden(t, name, kind)
				c, err := verify.Score(t.Context(), rt, net, w, verify.Options{
					Sigmas: []float64{0.1, 0.5, 3}, Directions: 2, ScoreTolerance: 1e-6, WithoutTraining: kind == "random"})
				if err != nil {
					t.Fatal(err)
				}
				if !c.Passed() {
					t.Errorf("not passed:\n%s", text(t, c))
				}
				for _, check := range c.Checks {
					t.Logf("%s: %.2g", check.Name, check.Worst())
					if check.Name == "score" && (check.Tolerance != 1e-6 || len(check.Tensors) != 3 ||
						check.Tensors[0].Elements != net.Channels*net.Size*net.Size) {
						t.Errorf("the check of the score is %+v", check)
					}
				}
				want := []string{"energy", "score", "score in float64", "training loss", "training gradient", "norm of the training gradient",
					"training gradient in float64"}
				if kind == "random" {
					want = want[:3]
				}
				if got := names(c); !slices.Equal(got, want) {
					t.Errorf("the checks are %q", got)
				}
			})
		}
	}
}

func names(c verify.Certificate) []string {
	var list []string
	for _, check := range c.Checks {
		list = append(list, check.Name)
	}
	return list
}

func text(t *testing.T, c verify.Certificate) string {
	t.Helper()
	var b strings.Builder
	if err := c.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// failed returns the names of the checks that did not pass.
func failed(c verify.Certificate) []string {
	var list []string
	for _, check := range c.Checks {
		if !check.Passed {
			list = append(list, check.Name)
		}
	}
	return list
}

var quick = verify.Options{Sigmas: []float64{0, 1}, Directions: 2}

// TestBrokenWeight certifies a file in which one weight differs in its last
// three digits.
func TestBrokenWeight(t *testing.T) {
	net, w := testkit.Network(2, 8, 5)
	broken := make(energy.Weights)
	for name, v := range w {
		broken[name] = v.Clone()
	}
	tensor.Data[float32](broken["rb2.conv_1.conv.weight"])[7] *= 1.0005
	o := quick
	o.Model = model(t, mdsm.ScoreGraph(net, broken))
	c, err := verify.Score(t.Context(), testkit.Open(t, 0), net, w, o)
	if err != nil {
		t.Fatal(err)
	}
	if got := failed(c); c.Passed() || !slices.Contains(got, "score") || slices.Contains(got, "score in float64") {
		t.Errorf("failed are %q\n%s", got, text(t, c))
	}
	if !strings.Contains(text(t, c), "FAILED") || !strings.Contains(text(t, c), "NOT PASSED") {
		t.Errorf("the table does not say so:\n%s", text(t, c))
	}
}

func model(t *testing.T, g *graph.Graph) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), g.Name()+".onnx")
	if err := export.WriteFile(path, g, export.Options{}); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBrokenGraph certifies a file whose score has the wrong sign, and one
// that has none.
func TestBrokenGraph(t *testing.T) {
	testkit.Long(t)
	net, w := testkit.Network(2, 8, 5)
	g := graph.New("wrong")
	x := g.Input("x", tensor.Float32, graph.Batch(net.InputShape()...))
	score, e := mdsm.Score(func(x *graph.Node) *graph.Node { return net.Energy(x, w.Constants(g, net, x.DType())) }, x)
	g.Output("energy", e)
	g.Output("score", graph.Neg(score))
	o := quick
	o.Model = model(t, g)
	rt := testkit.Open(t, 0)
	c, err := verify.Score(t.Context(), rt, net, w, o)
	if err != nil || !slices.Equal(failed(c), []string{"score"}) {
		t.Errorf("failed are %q, error %v", failed(c), err)
	}
	o.Model = model(t, mdsm.EnergyGraph(net, w))
	if _, err := verify.Score(t.Context(), rt, net, w, o); err == nil || !strings.Contains(err.Error(), `no output "score"`) {
		t.Errorf("error %v for a model without a score", err)
	}
	o.Model = filepath.Join(t.TempDir(), "none.onnx")
	testkit.Write(t, o.Model, []byte("no model"))
	if _, err := verify.Score(t.Context(), rt, net, w, o); err == nil {
		t.Error("what is no model was certified")
	}
}

// leaky is a network with a term that derivatives do not see: of x, or of a
// parameter.
type leaky struct {
	energy.ResNet
	parameter string
}

func (l leaky) Energy(x *graph.Node, params energy.Params) *graph.Node {
	e := l.ResNet.Energy(x, params)
	if l.parameter == "" {
		return graph.Add(e, graph.StopGradient(graph.Scale(graph.ReduceSum(graph.Flatten(x), 1), 1e-3)))
	}
	p := graph.ReduceSum(graph.StopGradient(params[l.parameter]))
	return graph.Mul(e, graph.Broadcast(graph.Shift(graph.Scale(p, 1e-2), 1), e.Shape()))
}

// TestWrongDerivatives certifies networks whose derivatives are wrong in both
// precisions, which only differences can see.
func TestWrongDerivatives(t *testing.T) {
	testkit.Long(t)
	net, w := testkit.Network(2, 8, 5)
	rt := testkit.Open(t, 0)
	for parameter, want := range map[string]string{"": "score in float64", "lq.weight": "training gradient in float64"} {
		c, err := verify.Score(t.Context(), rt, leaky{net, parameter}, w, quick)
		if err != nil || !slices.Contains(failed(c), want) || slices.Contains(failed(c), "score") {
			t.Errorf("failed are %q, want %q among them, error %v", failed(c), want, err)
		}
	}
}

// TestNotNumbers certifies weights that are no numbers: the certificate can be
// written, and does not pass.
func TestNotNumbers(t *testing.T) {
	net, w := testkit.Network(2, 8, 5)
	tensor.Data[float32](w["ln1.weight"])[0] = float32(math.NaN())
	c, err := verify.Score(t.Context(), testkit.Open(t, 0), net, w, quick)
	if err != nil {
		t.Fatal(err)
	}
	if len(failed(c)) != len(c.Checks) {
		t.Errorf("failed are %q of %q", failed(c), names(c))
	}
	var b bytes.Buffer
	if err := c.WriteJSON(&b); err != nil || !strings.Contains(b.String(), `"NaN"`) || !json.Valid(b.Bytes()) {
		t.Errorf("error %v, JSON %s", err, b.String())
	}
	text(t, c)
}

// TestGivenPictures certifies on pictures of the caller's, taken in turn, and
// without the training step.
func TestGivenPictures(t *testing.T) {
	net, w := testkit.Network(2, 8, 5)
	pictures := tensor.New(tensor.Float32, 3, 1, 8, 8)
	rng.New(1).Uniform(tensor.Data[float32](pictures), rng.Probe, 0, 0)
	o := verify.Options{Pictures: pictures, Sigmas: []float64{0, 0.3}, Each: 2, WithoutTraining: true, Directions: 1}
	c, err := verify.Score(t.Context(), testkit.Open(t, 0), net, w, o)
	if err != nil || !c.Passed() || !slices.Equal(names(c), []string{"energy", "score", "score in float64"}) {
		t.Errorf("checks %q, failed %q, error %v", names(c), failed(c), err)
	}
	if !strings.Contains(c.Inputs, "4 pictures that were given of [1 8 8]") {
		t.Errorf("inputs: %s", c.Inputs)
	}
}

// TestPrecisions certifies with products that the CPU rounds: the certificate says so, and how much
// it costs.
func TestPrecisions(t *testing.T) {
	net, w := testkit.Network(4, 8, 5)
	for precision, least := range map[runtime.Precision]float64{runtime.FP32: 0, runtime.FP16: 1e-5, runtime.BF16: 1e-4} {
		rt, err := runtime.Open(t.Context(), runtime.Config{Provider: runtime.CPU, Precision: precision, Rounding: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rt.Close() })
		c, err := verify.Score(t.Context(), rt, net, w, verify.Options{Sigmas: []float64{0.3}, Directions: 1})
		if err != nil || !c.Passed() || c.Precision != precision {
			t.Errorf("%s: error %v, precision %q\n%s", precision, err, c.Precision, text(t, c))
			continue
		}
		if trains := slices.Contains(names(c), "training gradient"); !trains {
			t.Errorf("%s: checks %q", precision, names(c))
		}
		for _, check := range c.Checks {
			if off := check.Worst(); check.Name == "score" && off < least {
				t.Errorf("%s: a score is %g off, want %g or more of rounding", precision, off, least)
			}
		}
		if said := strings.Contains(c.Checks[0].Subject, "products in "+string(precision)); said == (precision == runtime.FP32) {
			t.Errorf("%s: the subject is %q", precision, c.Checks[0].Subject)
		}
	}
}

// TestSmallInputs takes differences along all axes where there are few.
func TestSmallInputs(t *testing.T) {
	net := energy.Perceptron{In: 2, Hidden: 8, Layers: 2}
	c, err := verify.Score(t.Context(), testkit.Open(t, 0), net, energy.Init(net, rng.New(2)), verify.Options{Each: 3})
	if err != nil || !c.Passed() {
		t.Fatalf("error %v\n%s", err, text(t, c))
	}
	if d := c.Checks[2]; !strings.Contains(d.Reference, "all axes") || d.Tensors[0].Elements != 6 {
		t.Errorf("differences are %+v", d)
	}
}

// TestSameCertificate makes one twice, and another seed's.
func TestSameCertificate(t *testing.T) {
	testkit.Long(t)
	net, w := testkit.Network(2, 8, 5)
	rt := testkit.Open(t, 0)
	made := func(seed uint64) string {
		o := quick
		o.Seed, o.Program = seed, "ebm test"
		c, err := verify.Score(t.Context(), rt, net, w, o)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := c.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	first, again, other := made(1), made(1), made(2)
	if first != again {
		t.Error("a certificate made twice differs")
	}
	if first == other {
		t.Error("the seed changes nothing")
	}
}

func TestErrors(t *testing.T) {
	net, w := testkit.Network(2, 8, 5)
	rt := testkit.Open(t, 0)
	for want, change := range map[string]func(*verify.Options, energy.Weights){
		"noise level -1":      func(o *verify.Options, _ energy.Weights) { o.Sigmas = []float64{-1} },
		"noise level NaN":     func(o *verify.Options, _ energy.Weights) { o.Sigmas = []float64{math.NaN()} },
		"-1 pictures":         func(o *verify.Options, _ energy.Weights) { o.Each = -1 },
		"-2 directions":       func(o *verify.Options, _ energy.Weights) { o.Directions = -2 },
		"step NaN":            func(o *verify.Options, _ energy.Weights) { o.Step = math.NaN() },
		`"odd"`:               func(o *verify.Options, _ energy.Weights) { o.Objective.Weighting = "odd" },
		"float32[2 3]":        func(o *verify.Options, _ energy.Weights) { o.Pictures = tensor.New(tensor.Float32, 2, 3) },
		"float32[0 1 8 8]":    func(o *verify.Options, _ energy.Weights) { o.Pictures = tensor.New(tensor.Float32, 0, 1, 8, 8) },
		"missing ln1.bias":    func(_ *verify.Options, w energy.Weights) { delete(w, "ln1.bias") },
		"unexpected lx.extra": func(_ *verify.Options, w energy.Weights) { w["lx.extra"] = tensor.New(tensor.Float32, 1) },
	} {
		o, changed := quick, make(energy.Weights)
		for name, v := range w {
			changed[name] = v
		}
		change(&o, changed)
		if _, err := verify.Score(t.Context(), rt, net, changed, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verify.Score(ctx, rt, net, w, quick); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	if _, err := verify.Score(t.Context(), rt, energy.ResNet{Net: "res6", Channels: 1, Dim: 2, Size: 9}, w, quick); err == nil {
		t.Error("a network that cannot be was certified")
	}
}

// TestText holds the two forms of a certificate.
func TestText(t *testing.T) {
	c := verify.Certificate{
		Subject: "a network", Weights: "abc", Inputs: "2 pictures", Runtime: "ONNX Runtime 1.2.3, cpu",
		Checks: []verify.Check{{
			Name: "score", Subject: "this", Reference: "that", Tolerance: 1e-6, Passed: true,
			Tensors: []verify.Comparison{
				{Tensor: "score at σ = 1", Elements: 12, MaxError: 3e-8, MeanError: 1e-9, Largest: 0.5, Relative: 6e-8, MeanRelative: 2e-9},
				{Tensor: "score at σ = 3", Elements: 120, MaxError: 3e-7, MeanError: 1e-8, Largest: 10, Relative: 3e-8, MeanRelative: 1e-9},
			},
		}},
		Notes: []string{"something was left out"},
	}
	const want = `certificate  a network
weights      abc
inputs       2 pictures
runtime      ONNX Runtime 1.2.3, cpu

score: this
  against that
            tensor  elements  max error  mean error  largest  relative  mean relative
    score at σ = 1        12   3.00e-08    1.00e-09      0.5  6.00e-08       2.00e-09
    score at σ = 3       120   3.00e-07    1.00e-08       10  3.00e-08       1.00e-09
  passed: relative error 6.00e-08, at most 1e-06 is allowed

note: something was left out

all checks passed
`
	if got := text(t, c); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var b bytes.Buffer
	if err := c.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Passed bool
		verify.Certificate
	}
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || !back.Passed || fmt.Sprint(back.Certificate) != fmt.Sprint(c) {
		t.Errorf("error %v, read back: %+v", err, back)
	}
	if (verify.Certificate{}).Passed() {
		t.Error("a certificate without checks passed")
	}
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		check := verify.Check{Tensors: []verify.Comparison{{Relative: verify.Number(v)}, {Relative: 1}}}
		if w := check.Worst(); !math.IsNaN(v) && w != v || math.IsNaN(v) != math.IsNaN(w) {
			t.Errorf("the worst of %g and 1 is %g", v, w)
		}
	}
}
