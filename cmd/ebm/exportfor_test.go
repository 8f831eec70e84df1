package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/export/bundle"
	"ebm/internal/testkit"
	"ebm/models/tensor"
	"ebm/runtime"
)

func TestExportForWrongUsage(t *testing.T) {
	dir, tiny := t.TempDir(), tinyWeights(t)
	for _, c := range []struct {
		args string
		want []string
	}{
		{"--for unknown", []string{`unknown target "unknown"`, "triton", "huggingface", "torch-fidelity", "float16", "int8", "web"}},
		{"--for float16 --kinds train", []string{`"train"`, "energy, score"}},
		{"--for web --kinds score", []string{"no kinds"}},
		{"--for torch-fidelity --steps 0", []string{"0 steps"}},
		{"--for torch-fidelity --step-size -1", []string{"step size -1"}},
		{"--for torch-fidelity --seed 16777216", []string{"16777216", "2^24"}},
		{"--for triton --steps 5", []string{"--steps", "torch-fidelity"}},
		{"--seed 5", []string{"--seed", "--for"}},
		{"--name a", []string{"--name", "--for"}},
		{"--for triton --batch -1", []string{"--batch -1"}},
	} {
		code, stdout, stderr := ebmRun(t, append([]string{"export", "--weights", tiny, "--out", dir}, strings.Fields(c.args)...)...)
		if code != 2 || stdout != "" {
			t.Errorf("%s: exit status %d, standard output %q, want 2 and none\n%s", c.args, code, stdout, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: error %q does not say %q", c.args, stderr, want)
			}
		}
	}
	if code, _, stderr := ebmRun(t, "export", "--weights", tiny, "--out", dir, "--for", "triton", "--name", "a/b"); code != 2 ||
		!strings.Contains(stderr, `"a/b"`) {
		t.Errorf("a name with a slash: exit status %d, %s", code, stderr)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("errors left %v, %v", entries, err)
	}
}

func TestExportForEveryTarget(t *testing.T) {
	testkit.Long(t)
	tiny := tinyWeights(t)
	for _, name := range targetNames() {
		out := filepath.Join(t.TempDir(), name)
		if name == "page" {
			if _, err := runtime.WebFolder(); err != nil {
				continue // it needs onnxruntime-web's files, which are not here
			}
			out += ".html"
		}
		args := []string{"export", "--weights", tiny, "--out", out, "--for", name, "--json"}
		if name == "torch-fidelity" {
			args = append(args, "--steps", "3", "--seed", "7")
		}
		var r bundle.Result
		if err := json.Unmarshal([]byte(mustRun(t, args...)), &r); err != nil {
			t.Fatal(err)
		}
		if len(r.Files) == 0 {
			t.Errorf("%s wrote nothing", name)
		}
		for _, f := range r.Files {
			if info, err := os.Stat(f.Path); err != nil || info.Size() != f.Bytes {
				t.Errorf("%s: %v: %v", name, f, err)
			}
		}
		if measured := name == "float16" || name == "int8"; measured != (len(r.Errors) > 0) {
			t.Errorf("%s states the errors %v", name, r.Errors)
		}
	}
	text := mustRun(t, "export", "--weights", tiny, "--out", filepath.Join(t.TempDir(), "half"), "--for", "float16", "--kinds", "score")
	if !strings.Contains(text, "score.onnx\t") || !strings.Contains(text, "score of score.onnx differs from float32: max ") {
		t.Errorf("the output is\n%s", text)
	}
	out := filepath.Join(t.TempDir(), "models")
	mustRun(t, "export", "--weights", tiny, "--out", out, "--for", "triton", "--name", "digits", "--kinds", "hvp")
	if !isFile(filepath.Join(out, "digits_hvp", "1", "model.onnx")) {
		t.Error("there is no digits_hvp/1/model.onnx")
	}
}

// TestExportDrawNoise: a sampler that draws its noise takes indices in its place, and gives
// a sample the same x whatever is beside it.
func TestExportDrawNoise(t *testing.T) {
	out := t.TempDir()
	mustRun(t, "export", "--quiet", "--run", "mnist16", "--kinds", "sampler", "--draw-noise", "--seed", "3", "--out", out)
	rt := testkit.Open(t, 1)
	s := testkit.Load(t, rt, testkit.Read(t, out, "sampler.onnx"))
	run := func(samples ...int64) []float32 {
		n := len(samples)
		x := testkit.Run(t, s, map[string]*tensor.Tensor{
			"x":         tensor.New(tensor.Float32, n, 1, 16, 16),
			"step_size": tensor.Of([]float32{0.02}, 1), "temperature": tensor.Of([]float32{1, 0.5}, 2),
			"samples": tensor.Of(samples, n), "steps": tensor.Of([]int64{0, 1}, 2)})["x_next"]
		return tensor.Data[float32](x)
	}
	both := run(8, 5)
	// Kernels may round differently for another batch; noise of another sample is far away.
	for i, v := range run(5) {
		if d := v - both[256+i]; d > 1e-5 || d < -1e-5 {
			t.Fatalf("element %d of sample 5 is %g alone and %g beside another", i, v, both[256+i])
		}
	}
	if slices.Equal(both[:256], both[256:]) {
		t.Error("samples 8 and 5 are equal")
	}
	for want, args := range map[string][]string{
		"kind sampler":       {"--kinds", "score", "--draw-noise"},
		"exclude each other": {"--for", "triton", "--draw-noise"},
		"belongs to --for":   {"--seed", "1"},
	} {
		code, _, stderr := ebmRun(t, append([]string{"export", "--run", "mnist16", "--out", t.TempDir()}, args...)...)
		if code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit status %d, %q, want 2 and %q", args, code, stderr, want)
		}
	}
}
