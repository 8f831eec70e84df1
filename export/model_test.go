package export_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	g "ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// TestSameBytes exports one graph, built anew and with metadata in maps,
// again and again.
func TestSameBytes(t *testing.T) {
	net := energy.ResNet{Net: "res6", Channels: 1, Dim: 2, Size: 8}
	o := mdsm.Objective{Sigma0: 0.1, Weighting: mdsm.InverseVariance}
	builds := map[string]func(w energy.Weights) *g.Graph{
		"score":   func(w energy.Weights) *g.Graph { return mdsm.ScoreGraph(net, w) },
		"sampler": func(w energy.Weights) *g.Graph { return mdsm.SamplerGraph(net, w) },
		"train":   func(energy.Weights) *g.Graph { return mdsm.TrainGraph(net, o, mdsm.PaperAdam()) },
	}
	for name, build := range builds {
		t.Run(name, func(t *testing.T) {
			var first []byte
			for range 8 {
				meta, docs := make(map[string]string), make(map[string]string)
				for i := range 20 {
					meta[fmt.Sprintf("key %d", (i*7)%20)] = "v"
					docs["x"] = "a batch"
				}
				b, err := export.Bytes(build(energy.Init(net, rng.New(3))), export.Options{
					Doc: "a model", Docs: docs, Metadata: meta, Version: "1"})
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = b
				}
				if !bytes.Equal(b, first) {
					t.Fatal("two exports of one model differ")
				}
			}
			var m onnxpb.ModelProto
			if err := proto.Unmarshal(first, &m); err != nil {
				t.Fatal(err)
			}
			var keys []string
			for _, p := range m.MetadataProps {
				keys = append(keys, p.GetKey())
			}
			if len(keys) != 20 || !slices.IsSorted(keys) {
				t.Errorf("metadata has the keys %q, want 20 in order", keys)
			}
			if m.GetProducerName() != export.Producer || m.GetProducerVersion() != "1" || m.GetDocString() != "a model" ||
				m.GetIrVersion() != 8 || len(m.OpsetImport) != 1 || m.OpsetImport[0].GetVersion() != 17 {
				t.Errorf("the file says %s %s, %q, IR %d, operators %v", m.GetProducerName(), m.GetProducerVersion(), m.GetDocString(),
					m.GetIrVersion(), m.OpsetImport)
			}
			if m.Graph.Input[0].GetDocString() != "a batch" {
				t.Errorf("input %s says %q", m.Graph.Input[0].GetName(), m.Graph.Input[0].GetDocString())
			}
		})
	}
}

// TestWeightsKeepTheirNames finds every parameter of a network as an
// initialiser of its own name.
func TestWeightsKeepTheirNames(t *testing.T) {
	net := energy.ResNet{Net: "res12", Channels: 1, Dim: 2, Size: 8}
	w := energy.Init(net, rng.New(3))
	for _, graph := range []*g.Graph{mdsm.EnergyGraph(net, w), mdsm.ScoreGraph(net, w), mdsm.SamplerGraph(net, w)} {
		m, err := export.Model(graph, export.Options{})
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string][]int64)
		collect(m.Graph, found)
		for _, p := range net.Parameters() {
			if got := fmt.Sprint(found[p.Name]); got != fmt.Sprint(p.Shape) {
				// The score does not depend on some biases of the head.
				if graph.Name() != "score" || found[p.Name] != nil {
					t.Errorf("%s: initialiser %s has shape %s, want %v", graph.Name(), p.Name, got, p.Shape)
				}
			}
		}
	}
}

func collect(graph *onnxpb.GraphProto, found map[string][]int64) {
	for _, i := range graph.Initializer {
		found[i.GetName()] = i.Dims
	}
	for _, n := range graph.Node {
		for _, a := range n.Attribute {
			if a.G != nil {
				collect(a.G, found)
			}
		}
	}
}

// TestOutputsOfAllKinds has outputs that are inputs, constants, weights, one
// node twice, parts of an operator's inside, and a Scan's state as it is.
func TestOutputsOfAllKinds(t *testing.T) {
	f := g.New("outputs")
	x := f.Input("x", tensor.Float32, g.Batch(3))
	c := f.Constant(tensor.Of([]float32{1, 2}, 2))
	w := f.Weight("w", tensor.Of([]float32{3, 4}, 2))
	y := g.Exp(x)
	f.Output("input", x)
	f.Output("input again", x)
	f.Output("constant", c)
	f.Output("weight", w)
	f.Output("first", y)
	f.Output("second", y)
	f.Output("alias", g.StopGradient(y))
	f.Output("alias of the input", g.StopGradient(x))
	f.Output("used", g.Neg(y))
	f.Output("elu", g.Elu(x))
	f.Output("slope", g.EluSlope(g.Elu(x)))
	f.Output("slope again", g.EluSlope(g.Elu(x)))
	f.Output("repeated", g.Broadcast(c, g.Dims(3, 2)))
	body := g.New("body")
	s := body.Input("s", tensor.Float32, nil)
	v := body.Input("v", tensor.Float32, g.Dims(2))
	body.Output("s", s)
	body.Output("fixed", body.Constant(tensor.Of([]float32{7}, 1)))
	body.Output("v", v)
	for i, r := range g.Scan(body, []*g.Node{f.Scalar(tensor.Float32, 5)}, []*g.Node{g.Broadcast(c, g.Dims(3, 2))}) {
		f.Output(fmt.Sprintf("scan %d", i), r)
	}
	for _, passes := range [][]export.Pass{nil, {}} {
		session := load(t, testkit.Open(t, 1), f, export.Options{Passes: passes})
		agree(t, session, f, map[string]*tensor.Tensor{"x": n(2, 3).value(source(), nil)}, exact)
		for i, out := range session.Outputs() {
			if want := f.Outputs()[i].Name; out.Name != want {
				t.Errorf("output %d is called %q, want %q", i, out.Name, want)
			}
		}
	}
}

// TestNamesThatMeet gives inputs, outputs and weights the names that nodes
// inside would take, and very long ones.
func TestNamesThatMeet(t *testing.T) {
	long := strings.Repeat("ä long name/", 5000)
	f := g.New("names")
	values := make(map[string]*tensor.Tensor)
	var sum *g.Node
	add := func(name string) {
		x := f.Input(name, tensor.Float32, g.Dims(2))
		values[name] = tensor.Of([]float32{float32(len(values)), 1}, 2)
		if sum = g.Exp(g.Scale(x, 0.1)); len(values) > 1 {
			sum = g.Add(sum, f.Outputs()[len(values)-2].Node)
		}
		f.Output("out/"+name, sum)
	}
	for i := range 30 {
		add(fmt.Sprintf("add_%d", i))
		add(fmt.Sprintf("const_%d", i))
		add(fmt.Sprintf("exp_%d", i))
	}
	add(long)
	for i := range 60 { // names that nodes would have had before their weights came
		w := f.Weight(fmt.Sprintf("mul_%d", i+180), tensor.Of([]float32{1, 2}, 2))
		f.Output(fmt.Sprintf("neg_%d", i), g.Mul(w, sum))
	}
	m, err := export.Model(f, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]int64)
	collect(m.Graph, found)
	for i := range 60 {
		if found[fmt.Sprintf("mul_%d", i+180)] == nil {
			t.Errorf("weight mul_%d has lost its name", i+180)
		}
	}
	agree(t, load(t, testkit.Open(t, 1), f, export.Options{}), f, values, exact)
}

// TestNamesTwice exports graphs in which names are used twice: for an input
// and an output, which ONNX cannot have, and for several weights, which get
// names of their own.
func TestNamesTwice(t *testing.T) {
	f := g.New("twice")
	x := f.Input("x", tensor.Float32, g.Dims(2))
	f.Output("x", g.Exp(x))
	_, err := export.Bytes(f, export.Options{})
	var typed *g.Error
	if !errors.As(err, &typed) || !strings.Contains(err.Error(), `"x"`) || !strings.Contains(err.Error(), "twice") {
		t.Errorf("error %v, want a *graph.Error with the name", err)
	}

	f = g.New("nameless")
	f.Output("y", f.Input("", tensor.Float32, g.Dims(2)))
	if _, err := export.Bytes(f, export.Options{}); !errors.As(err, &typed) || !strings.Contains(err.Error(), "with names") {
		t.Errorf("error %v, want a *graph.Error that wants names", err)
	}

	f = g.New("weights")
	x = f.Input("x", tensor.Float32, g.Dims(2))
	a, b := f.Weight("w", tensor.Of([]float32{1, 2}, 2)), f.Weight("w", tensor.Of([]float32{3, 4}, 2))
	f.Output("y", g.Add(g.Mul(x, a), b))
	agree(t, load(t, testkit.Open(t, 1), f, export.Options{}), f, map[string]*tensor.Tensor{"x": tensor.Of([]float32{5, 6}, 2)}, exact)
}

// TestFixedSizes replaces symbols by numbers, inside of Scans too.
func TestFixedSizes(t *testing.T) {
	net := energy.ResNet{Net: "res6", Channels: 1, Dim: 2, Size: 8}
	f := mdsm.SamplerGraph(net, energy.Init(net, rng.New(3)))
	session := load(t, testkit.Open(t, 1), f, export.Options{Sizes: map[string]int{"N": 2}})
	want := map[string]string{"x": "float32[2 1 8 8]", "noise": "float32[K 2 1 8 8]", "temperature": "float32[K]", "step_size": "float32[1]"}
	for _, in := range session.Inputs() {
		if in.String() != want[in.Name] {
			t.Errorf("input %s is %v, want %s", in.Name, in, want[in.Name])
		}
	}
}

// TestUnknownBatch asks for a dimension that no input has.
func TestUnknownBatch(t *testing.T) {
	f := g.New("unknown")
	x := f.Input("x", tensor.Float32, g.Dims(3))
	f.Output("y", g.Exp(g.Reshape(g.Broadcast(x, g.Batch(3)), g.Shape{g.Sym("N").Mul(g.Const(3))})))
	_, err := export.Bytes(f, export.Options{})
	var typed *g.Error
	if !errors.As(err, &typed) || !strings.Contains(err.Error(), "dimension N") {
		t.Errorf("error %v, want a *graph.Error that names the dimension", err)
	}
}
