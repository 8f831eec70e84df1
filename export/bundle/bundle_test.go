package bundle_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export"
	"ebm/export/bundle"
	"ebm/export/onnxpb"
	"ebm/internal/onnxwire"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// source is a small network with large random weights.
func source(t testing.TB) bundle.Source {
	t.Helper()
	net := energy.ResNet{Net: "res6", Channels: 1, Dim: 8, Size: 16}
	w := energy.Init(net, rng.New(3))
	set := &weights.Set{Metadata: map[string]string{"data": "mnist"}}
	for _, p := range net.Parameters() {
		for i := range tensor.Data[float32](w[p.Name]) {
			tensor.Data[float32](w[p.Name])[i] *= 1.75
		}
		if err := set.Add(p.Name, w[p.Name]); err != nil {
			t.Fatal(err)
		}
	}
	meta := map[string]string{"data": "mnist", "sigma0": "0.1", "step_size": "0.02", "weights_sha256": set.Hash(), "odd": "a|b"}
	graphs := map[string]func() *graph.Graph{
		"energy":  func() *graph.Graph { return mdsm.EnergyGraph(net, w) },
		"score":   func() *graph.Graph { return mdsm.ScoreGraph(net, w) },
		"denoise": func() *graph.Graph { return mdsm.DenoiseGraph(net, w, 0.1) },
		"sampler": func() *graph.Graph { return mdsm.SamplerGraph(net, w) },
		"train": func() *graph.Graph {
			return mdsm.TrainGraph(net, mdsm.Objective{Sigma0: 0.1, Weighting: mdsm.InverseVariance}, mdsm.PaperAdam())
		},
	}
	return bundle.Source{
		Name: "small", Network: net, Weights: set, Sigma0: 0.1, Pad: 2, Metadata: meta,
		Graph: func(kind string) (*graph.Graph, export.Options, error) {
			if graphs[kind] == nil {
				return nil, export.Options{}, errors.New("no such kind")
			}
			return graphs[kind](), export.Options{Metadata: map[string]string{"kind": kind}}, nil
		},
		Score: func() ([]byte, error) { return export.Bytes(graphs["score"](), export.Options{}) },
		Generator: func() (*graph.Graph, error) {
			return mdsm.GeneratorGraph(net, w, mdsm.Chain{Mean: 0.5, Sigma: 1, Sigma0: 0.1, Pad: 2, Updates: []mdsm.Update{
				{StepSize: 0.02, Temperature: 100}, {StepSize: 0.02, Temperature: 10}, {StepSize: 0.02, Temperature: 1}, {StepSize: 0.02},
			}})
		},
	}
}

func write(t *testing.T, target, dir string, s bundle.Source, o bundle.Options) bundle.Result {
	t.Helper()
	form, err := bundle.Find(target)
	if err != nil {
		t.Fatal(err)
	}
	r, err := form.Write(t.Context(), dir, s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// files returns the content of a folder by path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, path))
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func random(shape ...int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, shape...)
	rng.New(4).Uniform(tensor.Data[float32](x), rng.Probe, 0, 0)
	return x
}

// difference returns max|a−b|.
func difference(a, b *tensor.Tensor) float64 {
	worst := 0.0
	bs := b.Float64s()
	for i, v := range a.Float64s() {
		worst = math.Max(worst, math.Abs(v-bs[i]))
	}
	return worst
}

func plain(t *testing.T, s bundle.Source, kind string) string {
	t.Helper()
	g, o, err := s.Graph(kind)
	if err != nil {
		t.Fatal(err)
	}
	b, err := export.Bytes(g, o)
	if err != nil {
		t.Fatal(err)
	}
	return string(onnxwire.Seal(b))
}

// TestEveryTarget checks what all of them have in common: the files that are
// said to be there are, with equal bytes the second time, and other files stay.
func TestEveryTarget(t *testing.T) {
	testkit.Long(t)
	s, rt := source(t), testkit.Open(t, 1)
	want := map[string][]string{
		"triton": {"small_energy/1/model.onnx", "small_energy/config.pbtxt", "small_sampler/1/model.onnx", "small_sampler/config.pbtxt",
			"small_score/1/model.onnx", "small_score/config.pbtxt"},
		"huggingface": {"README.md", "config.json", "model.safetensors", "onnx/denoise.onnx", "onnx/energy.onnx",
			"onnx/sampler.onnx", "onnx/score.onnx"},
		"torch-fidelity": {"generator.onnx"},
		"float16":        {"denoise.onnx", "energy.onnx", "score.onnx"},
		"int8":           {"denoise.onnx", "energy.onnx", "score.onnx"},
		"web":            {"ebm.js", "index.html", "model.json", "model.onnx", "package.json"},
	}
	for _, target := range bundle.Targets() {
		if target.File {
			continue // TestPage
		}
		dir := filepath.Join(t.TempDir(), "deep", target.Name)
		result := write(t, target.Name, dir, s, bundle.Options{Runtime: rt})
		first := files(t, dir)
		names := make([]string, 0, len(first))
		for _, f := range result.Files {
			rel, err := filepath.Rel(dir, f.Path)
			if err != nil || int64(len(first[filepath.ToSlash(rel)])) != f.Bytes || len(f.SHA256) != 64 {
				t.Errorf("%s: %v, but the file has %d bytes", target.Name, f, len(first[filepath.ToSlash(rel)]))
			}
			names = append(names, filepath.ToSlash(rel))
		}
		slices.Sort(names)
		if !slices.Equal(names, want[target.Name]) {
			t.Errorf("%s wrote %q, want %q", target.Name, names, want[target.Name])
		}
		mine := filepath.Join(dir, "mine.txt")
		testkit.Write(t, mine, []byte("stays"))
		write(t, target.Name, dir, s, bundle.Options{Runtime: rt})
		second := files(t, dir)
		if second["mine.txt"] != "stays" || len(second) != len(first)+1 {
			t.Errorf("%s: the second time there are %d files, want %d", target.Name, len(second), len(first)+1)
		}
		for name, b := range first {
			if second[name] != b {
				t.Errorf("%s: %s has other bytes the second time", target.Name, name)
			}
		}
	}
}

func TestTritonConfigurations(t *testing.T) {
	s, rt, dir := source(t), testkit.Open(t, 1), t.TempDir()
	write(t, "triton", dir, s, bundle.Options{})
	got := files(t, dir)
	for _, kind := range []string{"energy", "score", "sampler"} {
		if got["small_"+kind+"/1/model.onnx"] != plain(t, s, kind) {
			t.Errorf("%s is not the plain model", kind)
		}
	}
	if want := `name: "small_score"
backend: "onnxruntime"
max_batch_size: 128
dynamic_batching {
  max_queue_delay_microseconds: 1000
}
input {
  name: "x"
  data_type: TYPE_FP32
  dims: [ 1, 16, 16 ]
}
output {
  name: "energy"
  data_type: TYPE_FP32
  dims: [ 1 ]
  reshape { shape: [ ] }
}
output {
  name: "score"
  data_type: TYPE_FP32
  dims: [ 1, 16, 16 ]
}
`; got["small_score/config.pbtxt"] != want {
		t.Errorf("score:\n%s\nwant\n%s", got["small_score/config.pbtxt"], want)
	}
	for _, want := range []string{"max_batch_size: 0\n",
		"name: \"noise\"\n  data_type: TYPE_FP32\n  dims: [ -1, -1, 1, 16, 16 ]\n", "dims: [ -1, -1 ]\n"} {
		if !strings.Contains(got["small_sampler/config.pbtxt"], want) {
			t.Errorf("the sampler's configuration lacks %q:\n%s", want, got["small_sampler/config.pbtxt"])
		}
	}
	if strings.Contains(got["small_sampler/config.pbtxt"], "dynamic_batching") {
		t.Error("the server is told to form batches along a sampler's steps")
	}

	// A fixed batch is no longer the server's to form; a training step has int64 values.
	fixed := t.TempDir()
	write(t, "triton", fixed, s, bundle.Options{Batch: 4, Kinds: []string{"score", "train"}})
	got = files(t, fixed)
	if c := got["small_score/config.pbtxt"]; !strings.Contains(c, "max_batch_size: 0\n") || !strings.Contains(c, "dims: [ 4, 1, 16, 16 ]") ||
		!strings.Contains(c, "dims: [ 4 ]\n}") {
		t.Errorf("a batch of 4:\n%s", c)
	}
	if c := got["small_train/config.pbtxt"]; !strings.Contains(c, "name: \"step\"\n  data_type: TYPE_INT64\n  dims: [ 1 ]\n") {
		t.Errorf("no step among the inputs:\n%.600s", c)
	}
	if out := testkit.RunModel(t, rt, []byte(got["small_score/1/model.onnx"]),
		map[string]*tensor.Tensor{"x": random(4, 1, 16, 16)}); out["energy"].Len() != 4 {
		t.Errorf("energies %v, want 4", out["energy"])
	}
}

func TestHubFolder(t *testing.T) {
	s, dir := source(t), t.TempDir()
	result := write(t, "huggingface", dir, s, bundle.Options{})
	got := files(t, dir)
	set, err := weights.Load(filepath.Join(dir, "model.safetensors"))
	if err != nil || set.Hash() != s.Weights.Hash() {
		t.Errorf("model.safetensors: %v, want the weights", err)
	}
	var config map[string]any
	if err := json.Unmarshal([]byte(got["config.json"]), &config); err != nil {
		t.Fatal(err)
	}
	if config["architecture"] != "res6" || config["dim"] != 8.0 || config["sigma0"] != 0.1 || config["weights_sha256"] != s.Weights.Hash() {
		t.Errorf("config.json is %v", config)
	}
	card := got["README.md"]
	head, _, ok := strings.Cut(strings.TrimPrefix(card, "---\n"), "\n---\n")
	if !ok || !strings.HasPrefix(card, "---\nlibrary_name: onnx\n") || !strings.Contains(head, "\ndatasets:\n- \"mnist\"\n") {
		t.Errorf("the card's header is\n%s", head)
	}
	if regexp.MustCompile(`(?m)^license:`).MatchString(head) {
		t.Error("the card chooses a license for its user")
	}
	for _, want := range []string{"# small\n", s.Weights.Hash(), "`x` [N 1 16 16] | `energy` [N], `score` [N 1 16 16]",
		"(4, 1, 16, 16)", "| odd | a\\|b |",
		`ort.InferenceSession("onnx/score.onnx")`, `ort.InferenceSession("onnx/sampler.onnx")`} {
		if !strings.Contains(card, want) {
			t.Errorf("the card lacks %q", want)
		}
	}
	for _, f := range result.Files {
		if strings.HasSuffix(f.Path, ".onnx") && !strings.Contains(card, f.SHA256) {
			t.Errorf("the card lacks the hash of %s", f.Path)
		}
	}
	write(t, "huggingface", dir, s, bundle.Options{Kinds: []string{"energy"}})
	if card := files(t, dir)["README.md"]; strings.Contains(card, "score.onnx") || strings.Contains(card, "sampler.onnx") {
		t.Error("a card of the energy alone tells of other files")
	}
}

func TestGenerator(t *testing.T) {
	s, rt, dir := source(t), testkit.Open(t, 1), t.TempDir()
	result := write(t, "torch-fidelity", dir, s, bundle.Options{Seed: 5})
	model := files(t, dir)["generator.onnx"]
	z := tensor.New(tensor.Float32, 3, 256)
	rng.New(1).Normal(tensor.Data[float32](z), rng.Probe, 0, 0)
	in := map[string]*tensor.Tensor{"z": z}
	out := testkit.RunModel(t, rt, []byte(model), in)
	x := out["images"]
	if len(out) != 1 || x.DType() != tensor.Uint8 || !slices.Equal(x.Shape(), []int{3, 3, 12, 12}) {
		t.Fatalf("%v, want images uint8[3 3 12 12]", out)
	}
	for i := range 3 {
		picture := tensor.Data[uint8](x)[i*3*144 : (i+1)*3*144]
		if !slices.Equal(picture[:144], picture[144:288]) || !slices.Equal(picture[:144], picture[288:]) {
			t.Errorf("picture %d is not grey", i)
		}
	}
	if again := testkit.RunModel(t, rt, []byte(model), in)["images"]; !slices.Equal(tensor.Data[uint8](again), tensor.Data[uint8](x)) {
		t.Error("a new session drew other pictures of the same z and seed")
	}
	other := t.TempDir()
	write(t, "torch-fidelity", other, s, bundle.Options{Seed: 6})
	if differs := testkit.RunModel(t, rt, []byte(files(t, other)["generator.onnx"]), in)["images"]; slices.Equal(tensor.Data[uint8](differs),
		tensor.Data[uint8](x)) {
		t.Error("another seed drew the same pictures")
	}
	if !strings.Contains(result.Use, "--input1-model-z-size 256 ") {
		t.Errorf("use: %s", result.Use)
	}
}

// TestReducedPrecision runs the variants on pictures that were no probes.
func TestReducedPrecision(t *testing.T) {
	testkit.Long(t)
	s, rt := source(t), testkit.Open(t, 1)
	x := random(6, 1, 16, 16)
	for target, most := range map[string]float64{"float16": 0.03, "int8": 0.1} {
		dir := t.TempDir()
		kinds := []string{"energy", "score", "denoise", "sampler"}
		result := write(t, target, dir, s, bundle.Options{Runtime: rt, Kinds: kinds})
		stated := make(map[string]bundle.Deviation)
		for _, d := range result.Errors {
			stated[d.Kind+" "+d.Output] = d
		}
		for _, kind := range kinds {
			b := files(t, dir)[kind+".onnx"]
			if small := len(plain(t, s, kind)); float64(len(b)) > 0.65*float64(small) {
				t.Errorf("%s %s has %d bytes, the plain one %d", target, kind, len(b), small)
			}
			var m onnxpb.ModelProto
			if err := proto.Unmarshal([]byte(b), &m); err != nil {
				t.Fatal(err)
			}
			meta := make(map[string]string)
			for _, p := range m.MetadataProps {
				meta[p.GetKey()] = p.GetValue()
			}
			if meta["kind"] != kind || meta["precision"] == "" {
				t.Errorf("%s %s has the metadata %v", target, kind, meta)
			}
			in := map[string]*tensor.Tensor{"x": x}
			if kind == "sampler" {
				in["noise"], in["temperature"] = random(2, 6, 1, 16, 16), random(2)
				in["step_size"] = tensor.Of([]float32{0.02}, 1)
			}
			got, want := testkit.RunModel(t, rt, []byte(b), in), testkit.RunModel(t, rt, []byte(plain(t, s, kind)), in)
			for name := range want {
				d, ok := stated[kind+" "+name]
				if !ok || d.Max == 0 || d.Relative > most || meta[name+"_error"] != d.String() {
					t.Errorf("%s %s: %s is said to differ by %+v, %q in the file", target, kind, name, d, meta[name+"_error"])
				}
				if e := difference(got[name], want[name]); e == 0 || e > 3*d.Max {
					t.Errorf("%s %s: %s differs by %.2g, %.2g is stated", target, kind, name, e, d.Max)
				}
			}
		}
		if r := write(t, target, dir, s, bundle.Options{Runtime: rt, Kinds: []string{"score"}, Batch: 6}); len(r.Errors) != 2 {
			t.Errorf("%s with a fixed batch: %+v", target, r)
		}
		testkit.RunModel(t, rt, []byte(files(t, dir)["score.onnx"]), map[string]*tensor.Tensor{"x": x})
	}
}

// TestOverflow takes a network whose feature maps leave the range of float16
// and come back before they would leave that of float32.
func TestOverflow(t *testing.T) {
	s := source(t)
	scale := func(name string, by float32) {
		w, ok := s.Weights.Get(name)
		if !ok {
			t.Fatalf("no weight %s", name)
		}
		for i := range tensor.Data[float32](w) {
			tensor.Data[float32](w)[i] *= by
		}
	}
	scale("rb1.conv_1.conv.weight", 1e7)
	scale("rb1.conv_2.conv.weight", 1e-7)
	half, err := bundle.Find("float16")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := half.Write(t.Context(), dir, s, bundle.Options{Runtime: testkit.Open(t, 1)}); err == nil ||
		!strings.Contains(err.Error(), "not finite") {
		t.Errorf("maps of 1e7 in float16: %v", err)
	}
	if got := files(t, dir); len(got) > 0 {
		t.Errorf("%d files were written all the same", len(got))
	}
}

func TestWebFolder(t *testing.T) {
	s, dir := source(t), t.TempDir()
	write(t, "web", dir, s, bundle.Options{})
	got := files(t, dir)
	if got["model.onnx"] != plain(t, s, "denoise") {
		t.Error("model.onnx is not the denoising model")
	}
	var about struct {
		Name           string
		Channels, Size int
		Sigma0         float64
	}
	if err := json.Unmarshal([]byte(got["model.json"]), &about); err != nil || about.Name != "small" || about.Channels != 1 ||
		about.Size != 16 || about.Sigma0 != 0.1 {
		t.Errorf("model.json is %+v, %v", about, err)
	}
	if m := regexp.MustCompile(`https?://`).FindString(got["index.html"] + got["ebm.js"]); m != "" {
		t.Error("the page fetches from elsewhere")
	}
}

func TestErrors(t *testing.T) {
	s := source(t)
	if _, err := bundle.Find("tpu"); err == nil || !strings.Contains(err.Error(), `"tpu"`) ||
		!strings.Contains(err.Error(), "torch-fidelity") {
		t.Errorf("an unknown target: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	file := filepath.Join(t.TempDir(), "file")
	testkit.Write(t, file, nil)
	named := s
	named.Name = "a/b"
	lost := s
	lost.Graph = func(string) (*graph.Graph, export.Options, error) {
		return nil, export.Options{}, errors.New("no graph today")
	}
	for _, c := range []struct {
		ctx    context.Context
		target string
		dir    string
		s      bundle.Source
		o      bundle.Options
		want   string
	}{
		{t.Context(), "triton", t.TempDir(), named, bundle.Options{}, `"a/b"`},
		{t.Context(), "triton", file, s, bundle.Options{}, "file"},
		{t.Context(), "triton", t.TempDir(), lost, bundle.Options{}, "no graph today"},
		{cancelled, "huggingface", t.TempDir(), s, bundle.Options{}, "canceled"},
		{t.Context(), "web", t.TempDir(), s, bundle.Options{Kinds: []string{"score"}}, "no kinds"},
		{t.Context(), "web", t.TempDir(), s, bundle.Options{Batch: 2}, "batch 2"},
		{t.Context(), "float16", t.TempDir(), s, bundle.Options{Kinds: []string{"train"}}, `"train"`},
		{t.Context(), "int8", t.TempDir(), s, bundle.Options{Kinds: []string{"score", "score"}}, "twice"},
		{t.Context(), "int8", t.TempDir(), s, bundle.Options{}, "want a runtime"},
		{t.Context(), "torch-fidelity", t.TempDir(), s, bundle.Options{Batch: 2}, "batch 2"},
		{t.Context(), "torch-fidelity", t.TempDir(), s, bundle.Options{Seed: export.MaxSeed}, "seed below"},
	} {
		target, err := bundle.Find(c.target)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := target.Write(c.ctx, c.dir, c.s, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %v, want %q", c.target, c.o, err, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for ref, want := range map[string]string{
		"mnist16": "mnist16", "runs/small/": "small", "a/b c.safetensors": "b-c", "/x/ü.pt": "model", "..": "model", "/": "model", "_x": "x",
	} {
		if got := bundle.NameOf(ref); got != want {
			t.Errorf("%q is named %q, want %q", ref, got, want)
		}
	}
}
