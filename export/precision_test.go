package export_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	"ebm/mdsm"
	g "ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// operators counts the operators of a model, those in bodies too.
func operators(graph *onnxpb.GraphProto, count map[string]int) map[string]int {
	for _, n := range graph.Node {
		count[n.GetOpType()]++
		for _, a := range n.Attribute {
			if a.G != nil {
				operators(a.G, count)
			}
		}
	}
	return count
}

func model(t *testing.T, graph *g.Graph, o export.Options) *onnxpb.ModelProto {
	t.Helper()
	m, err := export.Model(graph, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func session(t *testing.T, rt *runtime.Runtime, m *onnxpb.ModelProto) *runtime.Session {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s := testkit.Load(t, rt, b)
	return s
}

func uniform(shape ...int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, shape...)
	rng.New(4).Uniform(tensor.Data[float32](x), rng.Probe, 0, 0)
	return x
}

func TestHalfPrecision(t *testing.T) {
	rt := testkit.Open(t, 1)
	net, w := testkit.Network(8, 16, 3)
	x := uniform(3, 1, 16, 16)
	for _, graph := range []*g.Graph{mdsm.EnergyGraph(net, w), mdsm.ScoreGraph(net, w), mdsm.DenoiseGraph(net, w, 0.1)} {
		plain := model(t, graph, export.Options{})
		half := model(t, graph, export.Options{Passes: append(export.Passes(), export.HalfPrecision())})
		if a, b := proto.Size(half), proto.Size(plain); float64(a) > 0.62*float64(b) {
			t.Errorf("%s: %d bytes in float16, %d in float32", graph.Name(), a, b)
		}
		types := make(map[string]int32)
		for _, i := range half.Graph.Initializer {
			types[i.GetName()] = i.GetDataType()
		}
		for name, want := range map[string]onnxpb.TensorProto_DataType{
			"conv1.conv.weight": onnxpb.TensorProto_FLOAT, "lq.weight": onnxpb.TensorProto_FLOAT,
			"rb1.conv_1.conv.weight": onnxpb.TensorProto_FLOAT16, "rb2.conv_2.conv.bias": onnxpb.TensorProto_FLOAT16,
		} {
			if types[name] != int32(want) {
				t.Errorf("%s: %s is of type %d, want %v", graph.Name(), name, types[name], want)
			}
		}
		for _, v := range append(slices.Clone(half.Graph.Input), half.Graph.Output...) {
			if v.Type.GetTensorType().GetElemType() != int32(onnxpb.TensorProto_FLOAT) {
				t.Errorf("%s: %s is not float32", graph.Name(), v.GetName())
			}
		}
		in := map[string]*tensor.Tensor{"x": x}
		rounded := model(t, graph, export.Options{Passes: append(export.Passes(), export.RoundedToHalf())})
		got, want := testkit.Run(t, session(t, rt, half), in), testkit.Run(t, session(t, rt, plain), in)
		judged := testkit.Run(t, session(t, rt, rounded), in)
		for name := range want {
			// The denoised picture is x to within the score's error, which is small.
			e, r := testkit.Apart(got[name], want[name]), testkit.Apart(judged[name], want[name])
			if e > 5e-3 || e == 0 || r > 5e-3 || r == 0 {
				t.Errorf("%s: %s differs by %.2g of its largest value, by %.2g when rounded at each step", graph.Name(), name, e, r)
			}
			t.Logf("%s: %s differs by %.2g, by %.2g when rounded", graph.Name(), name, e, r)
		}
	}
}

// TestHalfPrecisionInAScan moves a sampler whose steps are small against x:
// rounding x itself would show.
func TestHalfPrecisionInAScan(t *testing.T) {
	rt := testkit.Open(t, 1)
	net, w := testkit.Network(8, 16, 3)
	graph := mdsm.SamplerGraph(net, w)
	in := map[string]*tensor.Tensor{
		"x": uniform(2, 1, 16, 16), "noise": uniform(5, 2, 1, 16, 16),
		"temperature": uniform(5), "step_size": tensor.Of([]float32{1e-4}, 1),
	}
	half := model(t, graph, export.Options{Passes: append(export.Passes(), export.HalfPrecision())})
	got := testkit.Run(t, session(t, rt, half), in)
	want := testkit.Run(t, session(t, rt, model(t, graph, export.Options{})), in)
	if e := testkit.Apart(got["x_next"], want["x_next"]); e > 1e-6 {
		t.Errorf("x_next differs by %.2g of its largest value", e)
	}
	if e := testkit.Apart(got["energy"], want["energy"]); e > 5e-3 {
		t.Errorf("energy differs by %.2g of its largest value", e)
	}
	if n := operators(half.Graph, map[string]int{})["Cast"]; n == 0 {
		t.Error("nothing was cast")
	}
}

func TestQuantiseWeights(t *testing.T) {
	rt := testkit.Open(t, 1)
	net, w := testkit.Network(8, 16, 3)
	in := map[string]*tensor.Tensor{
		"x": uniform(2, 1, 16, 16), "noise": uniform(5, 2, 1, 16, 16),
		"temperature": uniform(5), "step_size": tensor.Of([]float32{1e-2}, 1),
	}
	for _, graph := range []*g.Graph{mdsm.ScoreGraph(net, w), mdsm.SamplerGraph(net, w)} {
		plain, ints := model(t, graph, export.Options{}), model(t, graph, export.Options{})
		n, err := export.QuantiseWeights(ints)
		if err != nil {
			t.Fatal(err)
		}
		count := operators(ints.Graph, map[string]int{})
		// Three blocks of three convolutions, and the first one.
		if n != 10 || count["DequantizeLinear"] != n {
			t.Errorf("%s: %d weights, %d DequantizeLinear, want 10", graph.Name(), n, count["DequantizeLinear"])
		}
		if a, b := proto.Size(ints), proto.Size(plain); float64(a) > 0.5*float64(b) {
			t.Errorf("%s: %d bytes in int8, %d in float32", graph.Name(), a, b)
		}
		use := make(map[string]*tensor.Tensor)
		for _, v := range plain.Graph.Input {
			use[v.GetName()] = in[v.GetName()]
		}
		got, want := testkit.Run(t, session(t, rt, ints), use), testkit.Run(t, session(t, rt, plain), use)
		for name := range want {
			if e := testkit.Apart(got[name], want[name]); e > 0.05 || e == 0 {
				t.Errorf("%s: %s differs by %.2g of its largest value", graph.Name(), name, e)
			} else {
				t.Logf("%s: %s %.2g", graph.Name(), name, e)
			}
		}
	}
}

// TestQuantiseIsItsFormula takes weights whose integers are known.
func TestQuantiseIsItsFormula(t *testing.T) {
	const each = 32
	w := tensor.New(tensor.Float32, 3, each, 1)
	data := tensor.Data[float32](w)
	for i := range each {
		data[i] = float32(i-each/2) * 127 / 16 / 10 // the largest is 16·127/160 = 12.7
		data[each+i] = 0                            // a channel of zeros keeps a scale
		data[2*each+i] = -1e-3 * float32(i%2)
	}
	f := g.New("f")
	f.Output("y", g.Add(f.Weight("w", w), f.Input("x", tensor.Float32, g.Dims(3, each, 1))))
	m := model(t, f, export.Options{})
	if _, err := export.QuantiseWeights(m); err != nil {
		t.Fatal(err)
	}
	out := testkit.Run(t, session(t, testkit.Open(t, 1), m), map[string]*tensor.Tensor{"x": tensor.New(tensor.Float32, 3, each, 1)})
	for i, v := range tensor.Data[float32](out["y"]) {
		scale := []float64{12.7 / 127, 1, 1e-3 / 127}[i/each]
		if d := math.Abs(float64(v - data[i])); d > scale*0.5001 {
			t.Errorf("element %d: %g became %g, more than half a step of %g away", i, data[i], v, scale)
		}
	}
	data[5] = float32(math.NaN())
	if _, err := export.QuantiseWeights(model(t, f, export.Options{})); err == nil || !strings.Contains(err.Error(), "w: element 5") {
		t.Errorf("NaN: %v", err)
	}
}

// walk is a Scan that adds its noise to x, so that what it draws is seen.
func walk(steps int) *g.Graph {
	body := g.New("step")
	x := body.Input("x", tensor.Float32, g.Batch(4))
	noise := body.Input("noise", tensor.Float32, g.Batch(4))
	t := body.Input("t", tensor.Float32, nil)
	body.Output("x", g.Add(x, g.Mul(noise, g.Broadcast(t, x.Shape()))))
	body.Output("noise", noise)

	f := g.New("walk")
	start := f.Input("x", tensor.Float32, g.Batch(4))
	noises := f.Input("noise", tensor.Float32, append(g.Dims(steps), start.Shape()...))
	scale := tensor.New(tensor.Float32, steps)
	for i := range steps {
		tensor.Data[float32](scale)[i] = 2
	}
	out := g.Scan(body, []*g.Node{start}, []*g.Node{noises, f.Constant(scale)})
	f.Output("x_next", out[0])
	f.Output("drawn", out[1])
	return f
}

func TestDrawNoise(t *testing.T) {
	rt := testkit.Open(t, 1)
	const steps, batch = 50, 100
	m := model(t, walk(steps), export.Options{})
	if err := export.DrawNoise(m, "noise", 7); err != nil {
		t.Fatal(err)
	}
	if len(m.Graph.Input) != 1 {
		t.Errorf("inputs %v, want x alone", m.Graph.Input)
	}
	in := map[string]*tensor.Tensor{"x": uniform(batch, 4)}
	s := session(t, rt, m)
	first := testkit.Run(t, s, in)
	drawn := tensor.Data[float32](first["drawn"])
	each := batch * 4

	// The steps draw what they add, each its own, from a standard normal.
	for i, x := range tensor.Data[float32](in["x"]) {
		want := float64(x)
		for k := range steps {
			want += 2 * float64(drawn[k*each+i])
		}
		if got := float64(tensor.Data[float32](first["x_next"])[i]); math.Abs(got-want) > 1e-3 {
			t.Fatalf("element %d went to %g, the noise makes it %g", i, got, want)
		}
	}
	sum, squares, product := 0.0, 0.0, 0.0
	for i, v := range drawn {
		sum, squares = sum+float64(v), squares+float64(v)*float64(v)
		if i >= each {
			product += float64(v) * float64(drawn[i-each])
		}
	}
	n := float64(len(drawn))
	if mean, variance, correlation := sum/n, squares/n, product/(n-float64(each)); math.Abs(mean) > 0.04 || math.Abs(variance-1) > 0.06 ||
		math.Abs(correlation) > 0.04 {
		t.Errorf("mean %g, variance %g, correlation of steps %g, want 0, 1, 0", mean, variance, correlation)
	}
	// A session goes on; another one with the seed begins again.
	if again := testkit.Run(t, s, in); slices.Equal(tensor.Data[float32](again["drawn"]), drawn) {
		t.Error("a second run drew the same")
	}
	if same := testkit.Run(t, session(t, rt, m), in); !slices.Equal(tensor.Data[float32](same["drawn"]), drawn) {
		t.Error("a second session drew something else")
	}
	other := model(t, walk(steps), export.Options{})
	if err := export.DrawNoise(other, "noise", 8); err != nil {
		t.Fatal(err)
	}
	if differs := testkit.Run(t, session(t, rt, other), in); slices.Equal(tensor.Data[float32](differs["drawn"]), drawn) {
		t.Error("another seed drew the same")
	}
}

func TestDrawNoiseRefuses(t *testing.T) {
	for _, c := range []struct {
		input string
		seed  uint32
		want  string
	}{
		{"noise", export.MaxSeed, "a seed below"},
		{"nothing", 0, "no such input"},
		{"x", 0, "carries it"},
	} {
		m := model(t, walk(3), export.Options{})
		before := proto.Clone(m)
		if err := export.DrawNoise(m, c.input, c.seed); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, seed %d: %v, want %q", c.input, c.seed, err, c.want)
		}
		if !proto.Equal(m, before) {
			t.Errorf("%q, seed %d: an error changed the model", c.input, c.seed)
		}
	}
	net, w := testkit.Network(8, 16, 3)
	m := model(t, mdsm.ScoreGraph(net, w), export.Options{})
	if err := export.DrawNoise(m, "x", 0); err == nil || !strings.Contains(err.Error(), "one Scan") {
		t.Errorf("a model without a Scan: %v", err)
	}
}
