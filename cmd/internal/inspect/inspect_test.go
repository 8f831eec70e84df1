package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/metrics"
	"ebm/internal/testkit"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/models/zoo"
)

// text describes ref in words, and checks that the same goes as JSON.
func text(t *testing.T, ref string) string {
	t.Helper()
	d, err := Describe(context.Background(), ref, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(d); err != nil {
		t.Error(err)
	}
	var b bytes.Buffer
	if err := d.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func wantText(t *testing.T, got string, wanted ...string) {
	t.Helper()
	flat := strings.Join(strings.Fields(got), " ")
	for _, want := range wanted {
		if !strings.Contains(flat, want) {
			t.Errorf("want %q in:\n%s", want, got)
		}
	}
}

func wantError(t *testing.T, ref string, wanted ...string) {
	t.Helper()
	_, err := Describe(context.Background(), ref, "")
	for _, want := range wanted {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", ref, err, want)
		}
	}
}

func set(t *testing.T, metadata map[string]string, pairs ...any) *weights.Set {
	t.Helper()
	s := &weights.Set{Metadata: metadata}
	for i := 0; i < len(pairs); i += 2 {
		if err := s.Add(pairs[i].(string), pairs[i+1].(*tensor.Tensor)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func save(t *testing.T, path string, s *weights.Set) string {
	t.Helper()
	testkit.Mkdir(t, filepath.Dir(path))
	if err := weights.Save(path, s); err != nil {
		t.Fatal(err)
	}
	return path
}

// network returns a set of weights of tiny.
func network(t *testing.T, metadata map[string]string) *weights.Set {
	s := &weights.Set{Metadata: metadata}
	w := energy.Init(tiny, rng.New(1))
	for _, p := range tiny.Parameters() {
		if err := s.Add(p.Name, w[p.Name]); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestTensors(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, test := range []struct {
		t              *tensor.Tensor
		min, max, mean float64
		bad            int64
	}{
		{tensor.Of([]float32{3, -1, float32(math.NaN()), inf, 1, -inf}, 2, 3), -1, 3, 1, 3},
		{tensor.Of([]float64{1e9, 1e9 + 1}, 2), 1e9, 1e9 + 1, 1e9 + 0.5, 0},
		{tensor.Of([]tensor.BFloat16Bits{0x3f80, 0xc000, 0x7fc0}, 3), -2, 1, -0.5, 1},
		{tensor.Of([]tensor.Float16Bits{0x3c00, 0x4000}, 2), 1, 2, 1.5, 0},
		{tensor.Of([]int64{-5, 7}, 2), -5, 7, 1, 0},
		{tensor.Of([]bool{true, true, false, true}, 4), 0, 1, 0.75, 0},
	} {
		d := describeTensor("w", test.t)
		if *d.Min != test.min || *d.Max != test.max || *d.Mean != test.mean || d.NonFinite != test.bad {
			t.Errorf("%v: min %g max %g mean %g, %d not finite, want %g, %g, %g, %d",
				test.t.Raw(), *d.Min, *d.Max, *d.Mean, d.NonFinite, test.min, test.max, test.mean, test.bad)
		}
	}
	if d := describeTensor("w", tensor.Of([]float32{inf})); d.Min != nil || d.Max != nil || d.Mean != nil || d.NonFinite != 1 {
		t.Errorf("of infinity alone: %+v", d)
	}
}

func TestWeights(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"w.safetensors", "w.pt", "w.npz"} {
		got := text(t, save(t, filepath.Join(dir, name), network(t, map[string]string{"activation": "swish"})))
		act := "elu" // what the format does not keep
		if name == "w.safetensors" {
			act = "swish"
		}
		wantText(t, got, "network res6 dim 2, 1×8×8, quadratic head, "+act, "conv1.conv.weight float32[2 1 3 3]",
			"parameters", "sha256 "+network(t, nil).Hash())
	}
	// Whatever the name, the content decides.
	plainName := filepath.Join(dir, "weights")
	if err := os.Rename(filepath.Join(dir, "w.pt"), plainName); err != nil {
		t.Fatal(err)
	}
	wantText(t, text(t, plainName), "network res6")
}

func TestNoNetwork(t *testing.T) {
	dir := t.TempDir()
	ones := tensor.Of([]float32{1, 1}, 2)
	got := text(t, save(t, filepath.Join(dir, "a.npz"), set(t, nil, "a", ones, "b", tensor.Of([]float64{math.NaN()}))))
	wantText(t, got, "no network recognised", "not finite 1 of the values", "b float64[] 1")

	// Shapes that no network has must not be taken for one.
	empty := set(t, nil, "conv1.conv.weight", tensor.New(tensor.Float32, 0, 1, 3, 3), "ln1.weight", tensor.New(tensor.Float32, 1, 4))
	wantText(t, text(t, save(t, filepath.Join(dir, "empty.safetensors"), empty)), "conv1.conv.weight is float32[0 1 3 3], without elements")

	bad := network(t, map[string]string{"activation": "step"})
	wantText(t, text(t, save(t, filepath.Join(dir, "bad.safetensors"), bad)), `network`, `"step"`)
}

// run makes a run's folder with two checkpoints.
func run(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a [run]*")
	s, err := train.Preset("mnist")
	if err != nil {
		t.Fatal(err)
	}
	s.Steps, s.Net.Name, s.Net.Dim, s.Data.Size = 4000, tiny.Net, tiny.Dim, tiny.Size
	testkit.Mkdir(t, dir, "model")
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	m, err := metrics.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	for step := int64(1); step <= 1100; step += 100 {
		if err := m.Add(step, map[string]float64{"loss": 1000 / float64(step), "grad_norm": math.Inf(1)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"500", "1000"} {
		at := filepath.Join(dir, "checkpoints", "step-"+strings.Repeat("0", 8-len(step))+step)
		save(t, filepath.Join(at, modelFile), network(t, map[string]string{"step": step}))
		one := tensor.Of([]float32{1})
		save(t, filepath.Join(at, stateFile), set(t, map[string]string{"step": step}, "ln1.bias.m", one, "ln1.bias.v", one, "ln1.bias.ema", one))
	}
	testkit.Write(t, filepath.Join(dir, "model", "score.onnx"), sampler(t))
	return dir
}

func TestRun(t *testing.T) {
	dir := run(t)
	got := text(t, dir)
	wantText(t, got, "training run of res6 dim 2, 1×8×8, quadratic head, elu", "steps 1,000 of 4,000",
		"metrics 11 lines, the last of step 1,001", "loss 0.999", "grad_norm not finite", "step-00000500", "step-00001000",
		"model/score.onnx", "[optimiser.learning_rate]", "steps = 4000", `name = "res6"`)

	wantText(t, text(t, filepath.Join(dir, "checkpoints", "step-00001000")),
		"checkpoint of step 1,000; the averaged weights are the ones in use", "network res6 dim 2", "first moments 1 tensor")
	wantText(t, text(t, filepath.Join(dir, "model", "score.onnx")), "ONNX model", "a Langevin chain", "producer ebm",
		"operators standard opset 17", "x float32[N 1 8 8] pictures", "preset tiny")
}

func TestNewRun(t *testing.T) {
	dir := t.TempDir()
	s, err := train.Preset("demo")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	wantText(t, text(t, dir), "no checkpoint yet")
}

func TestErrors(t *testing.T) {
	dir := run(t)
	at := func(elem ...string) string { return filepath.Join(append([]string{dir}, elem...)...) }
	write := func(path, content string) string {
		testkit.Write(t, path, []byte(content))
		return path
	}
	wantError(t, at("nothing"), at("nothing"), "no such file, folder or shipped model")
	wantError(t, at("checkpoints"), "neither a run's folder")
	wantError(t, write(at("a.onnx"), "no model"), at("a.onnx"), "not a readable ONNX model")
	wantError(t, write(at("empty.onnx"), ""), at("empty.onnx"), "0 graphs")
	wantError(t, write(at("a.safetensors"), "no weights"), at("a.safetensors"))
	wantError(t, write(at("empty"), ""), at("empty"))
	wantError(t, write(at("text"), "some text"), at("text"))
	broken := at("checkpoints", "step-00000500")
	if err := os.Remove(filepath.Join(broken, stateFile)); err != nil {
		t.Fatal(err)
	}
	wantError(t, broken, filepath.Join(broken, stateFile))
	write(at(metrics.LinesFile), "{\"step\":1\n")
	wantError(t, dir, at(metrics.LinesFile), "line 1")
	write(at(configFile), "steps = 4\ncolour = 1\n")
	wantError(t, dir, at(configFile), "colour")
	write(at(configFile), "steps = 4\n")
	wantError(t, dir, at(configFile))
}

func TestShippedModels(t *testing.T) {
	for _, name := range zoo.Names() {
		wantText(t, text(t, name), "a shipped model", "made by", "trained", "network res")
	}
}

// A model whose name does not say so is known by its content, and so are
// safetensors whose header has the same first byte.
func TestLooksLikeONNX(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		name, content string
		want          bool
	}{
		{"a.onnx", "", true}, {"A.ONNX", "", true}, {"a.pt", "\x08\x08", false}, {"a", "\x08\x08\x12\x03ebm", true},
		{"b", "\x08\x01\x00\x00\x00\x00\x00\x00{", false}, {"c", "PK\x03\x04", false}, {"d", "", false},
	} {
		path := filepath.Join(dir, test.name)
		testkit.Write(t, path, []byte(test.content))
		if got, err := looksLikeONNX(path); got != test.want || err != nil {
			t.Errorf("%s with %q: %v, %v, want %v", test.name, test.content, got, err, test.want)
		}
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"a\n  b\tc": "a b c", "x\x1b[31m": "x\ufffd[31m", "∇E(x) 字": "∇E(x) 字", "\xff": "\ufffd",
		strings.Repeat("é", 300): strings.Repeat("é", 200) + "…",
	} {
		if got := plain(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1 kB", 27_400_000: "27.4 MB", 999_700: "1 MB"} {
		if got := sizeText(n); got != want {
			t.Errorf("%d bytes: %q, want %q", n, got, want)
		}
	}
}
