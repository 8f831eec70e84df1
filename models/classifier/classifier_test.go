package classifier_test

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/dataset"
	"ebm/models/autodiff"
	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// golden reads what PyTorch says; testdata/make_golden.py describes the names.
func golden(t *testing.T) (map[string]*tensor.Tensor, energy.Weights) {
	t.Helper()
	values := testkit.Arrays(t, "testdata/golden.npz")
	w := make(energy.Weights)
	for name, v := range values {
		if p, ok := strings.CutPrefix(name, "param/"); ok {
			w[p] = v
		}
	}
	return values, w
}

// whole is everything that the golden file has, from bytes and label. In
// float64 the pictures are brought to float64 as float32 made them.
func whole(n classifier.Network, w energy.Weights, dtype tensor.DType) *graph.Graph {
	g := graph.New("golden")
	bytes := g.Input("bytes", tensor.Uint8, graph.Batch(3, 32, 32))
	x, err := classifier.Preprocess(graph.Cast(bytes, tensor.Float32))
	if err != nil {
		panic(err)
	}
	g.Output("x", x)
	x = graph.Cast(g.Input("given", tensor.Float32, graph.Shape{graph.Sym("M"), graph.Const(1), graph.Const(16), graph.Const(16)}), dtype)
	labels := g.Input("label", tensor.Int64, x.Shape()[:1])
	params := w.Constants(g, n, dtype)
	out := n.Build(x, params)
	g.Output("features", out.Features)
	g.Output("logits", out.Logits)
	g.Output("energy", n.Energy(x, params))
	loss := classifier.CrossEntropy(out.Logits, labels)
	g.Output("loss", graph.Reshape(loss, graph.Dims(1)))
	var ps []*graph.Node
	for _, p := range n.Parameters() {
		ps = append(ps, params[p.Name])
	}
	for i, d := range autodiff.Gradient(loss, ps...) {
		g.Output("grad/"+n.Parameters()[i].Name, d)
	}
	return g
}

func agrees(t *testing.T, golden, out map[string]*tensor.Tensor, tolerance float64) {
	t.Helper()
	if got, want := out["x"].Float64s(), golden["x"].Float64s(); !slices.EqualFunc(got, want,
		func(a, b float64) bool { return float32(a) == float32(b) }) {
		t.Error("pictures are brought to the network otherwise than in Python")
	}
	worst := 0.0
	for name, want := range golden {
		name, ok := strings.CutSuffix(name, "64")
		if !ok {
			if name, ok = strings.CutPrefix(name, "grad64/"); !ok {
				continue
			}
			name = "grad/" + name
		}
		off, scale := 0.0, 0.0
		got := out[name].Float64s()
		for i, v := range want.Float64s() {
			off, scale = math.Max(off, math.Abs(got[i]-v)), math.Max(scale, math.Abs(v))
		}
		if !(off <= tolerance*scale) || len(got) != want.Len() {
			t.Errorf("%s: off by %.2g of the largest, want %.0g at most", name, off/scale, tolerance)
		}
		worst = math.Max(worst, off/scale)
	}
	t.Logf("largest difference %.2g", worst)
}

func TestAgreesWithPyTorch(t *testing.T) {
	values, w := golden(t)
	n, err := classifier.Recognise(w)
	if err != nil || n != (classifier.Network{Dim: 4, Features: 12, Classes: 10}) {
		t.Fatalf("recognised %v, %v", n, err)
	}
	in := map[string]*tensor.Tensor{"bytes": values["bytes"], "given": values["x"], "label": values["label"]}
	out := testkit.Interpret(t, whole(n, w, tensor.Float64), in)
	agrees(t, values, out, 1e-12)

	rt := testkit.Open(t, 0)
	model := testkit.Encode(t, whole(n, w, tensor.Float32))
	s := testkit.Load(t, rt, model)
	if out, err = s.Run(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	agrees(t, values, out, 1e-5)
}

// Logits of ±10⁴, whose exponentials no float holds.
func TestCrossEntropyIsStable(t *testing.T) {
	values, _ := golden(t)
	g := graph.New("steep")
	logits := g.Input("steep", tensor.Float64, graph.Dims(4, 10))
	loss := classifier.CrossEntropy(logits, g.Input("steep_label", tensor.Int64, graph.Dims(4)))
	g.Output("loss", loss)
	g.Output("grad", autodiff.Gradient(loss, logits)[0])
	out := testkit.Interpret(t, g, map[string]*tensor.Tensor{"steep": values["steep"], "steep_label": values["steep_label"]})
	got, want := out["loss"].Float64s()[0], values["steep_loss"].Float64s()[0]
	if !(math.Abs(got-want) <= 1e-12*want) {
		t.Errorf("cross-entropy %g, want %g", got, want)
	}
	for _, v := range out["grad"].Float64s() {
		if !(math.Abs(v) <= 0.25) {
			t.Errorf("a gradient of %g, want at most a quarter", v)
		}
	}
}

// A digit is the same to the network, to the bit, in every size that data
// sets have, and in every channel.
func TestPreprocessKeepsDigits(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	const count = 300
	var first []float32
	for _, size := range []int{16, 14, 28, 32} {
		set, err := dataset.Load(t.Context(), dataset.Spec{Name: "mnist", Split: dataset.Test, Size: max(size, 16)})
		if err != nil {
			t.Fatal(err)
		}
		if size == 16 {
			first = make([]float32, count*256)
			index := make([]int, count)
			for i := range index {
				index[i] = i
			}
			set.Fill(first, index)
		}
		if size == 14 {
			set.Pixels = cropped(set)
		}
		for _, channels := range []int{1, 3} {
			g := graph.New("preprocess")
			x, err := classifier.Preprocess(graph.Cast(g.Input("x", tensor.Uint8, graph.Batch(channels, size, size)), tensor.Float32))
			if err != nil {
				t.Fatal(err)
			}
			g.Output("seen", x)
			model := testkit.Encode(t, g)
			s := testkit.Load(t, rt, model)
			pictures := tensor.Of(set.Pixels[:count*size*size], count/channels, channels, size, size)
			out := testkit.Run(t, s, map[string]*tensor.Tensor{"x": pictures})
			if !slices.Equal(tensor.Data[float32](out["seen"]), first) {
				t.Errorf("size %d in %d channels: not what the set at 16 holds", size, channels)
			}
		}
	}
}

// cropped cuts off the padding, as it is cut off samples.
func cropped(set *dataset.Set) []uint8 {
	var out []uint8
	for i := range set.Len() {
		for row := set.Pad; row < set.Height-set.Pad; row++ {
			out = append(out, set.Picture(i)[row*set.Width+set.Pad:(row+1)*set.Width-set.Pad]...)
		}
	}
	return out
}

func TestPreprocessRefuses(t *testing.T) {
	for _, bad := range []graph.Type{
		{DType: tensor.Float32, Shape: graph.Batch(2, 28, 28)},
		{DType: tensor.Float32, Shape: graph.Batch(1, 24, 24)},
		{DType: tensor.Float32, Shape: graph.Batch(1, 28, 32)},
		{DType: tensor.Uint8, Shape: graph.Batch(1, 28, 28)},
		{DType: tensor.Float32, Shape: graph.Batch(28, 28)},
	} {
		x := graph.New("bad").Input("x", bad.DType, bad.Shape)
		if _, err := classifier.Preprocess(x); err == nil || !strings.Contains(err.Error(), "[14 16 28 32]") {
			t.Errorf("%v: error %v", bad, err)
		}
	}
}

func TestMistakesAreErrors(t *testing.T) {
	build := func(n classifier.Network, params energy.Params, shape graph.Shape) error {
		return graph.Catch(func() {
			g := graph.New("bad")
			x := g.Input("x", tensor.Float32, shape)
			if params == nil {
				params = energy.Inputs(g, n, tensor.Float32)
			}
			n.Build(x, params)
		})
	}
	n := classifier.Default()
	for what, err := range map[string]error{
		"a network without channels": build(classifier.Network{Features: 64, Classes: 10}, nil, graph.Batch(1, 16, 16)),
		"one class":                  build(classifier.Network{Dim: 4, Features: 64, Classes: 1}, nil, graph.Batch(1, 16, 16)),
		"no parameters":              build(n, energy.Params{}, graph.Batch(1, 16, 16)),
		"pictures of 28":             build(n, nil, graph.Batch(1, 28, 28)),
		"float labels": graph.Catch(func() {
			g := graph.New("bad")
			classifier.CrossEntropy(g.Input("logits", tensor.Float32, graph.Batch(10)), g.Input("label", tensor.Float32, graph.Batch()))
		}),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func TestRecogniseRefusesOtherWeights(t *testing.T) {
	n := classifier.Network{Dim: 2, Features: 3, Classes: 10}
	w := energy.Init(n, rng.New(1))
	if got, err := classifier.Recognise(w); err != nil || got != n {
		t.Errorf("recognised %v (%v), want %v", got, err, n)
	}
	missing, odd, extra := maps.Clone(w), maps.Clone(w), maps.Clone(w)
	delete(missing, "conv3.bias")
	odd["conv2.weight"] = tensor.New(tensor.Float32, 4, 2, 5, 5)
	extra["bn1.weight"] = tensor.New(tensor.Float32, 2)
	resnet := energy.Init(energy.ResNet{Net: "res6", Channels: 1, Dim: 2, Size: 16}, rng.New(1))
	for want, w := range map[string]energy.Weights{"conv3.bias": missing, "conv2.weight": odd, "bn1.weight": extra,
		"conv1.weight": resnet, "fc2.weight": {}} {
		if _, err := classifier.Recognise(w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error about %s, not %v", want, err)
		}
	}
}
