package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"ebm"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// twoNetworks writes a checkpoint with weights and their averages, which are
// twice as large, and returns the path and the weights.
func twoNetworks(t *testing.T) (string, *ebm.Model) {
	t.Helper()
	m, err := ebm.Load(tinyWeights(t))
	if err != nil {
		t.Fatal(err)
	}
	set := new(weights.Set)
	for name, v := range m.Set().All() {
		twice := v.Clone()
		for i := range tensor.Data[float32](twice) {
			tensor.Data[float32](twice)[i] *= 2
		}
		add(t, set, "model."+name, v)
		add(t, set, "ema."+name, twice)
	}
	return saved(t, "two.pth", set), m
}

func add(t *testing.T, set *weights.Set, name string, v *tensor.Tensor) {
	t.Helper()
	if err := set.Add(name, v); err != nil {
		t.Fatal(err)
	}
}

func saved(t *testing.T, name string, set *weights.Set) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := weights.Save(path, set); err != nil {
		t.Fatal(err)
	}
	return path
}

// Of two networks the averages are taken, and a line says so; flags choose the other.
func TestNetworksOfAFile(t *testing.T) {
	path, m := twoNetworks(t)
	dir := t.TempDir()
	for out, c := range map[string]struct {
		args []string
		like float32
		said string
	}{
		"default.safetensors": {nil, 2, "took ema (averaged weights); left model"},
		"section.ckpt":        {[]string{"--section", "model"}, 1, "took model; left ema"},
		"prefix.pkl":          {[]string{"--prefix", "model."}, 1, "took model; left ema"},
	} {
		out = filepath.Join(dir, out)
		code, _, stderr := ebmRun(t, append([]string{"convert", path, out}, c.args...)...)
		if code != 0 || !strings.Contains(stderr, c.said) {
			t.Errorf("%v: exit status %d, want a line with %q:\n%s", c.args, code, c.said, stderr)
			continue
		}
		got, err := ebm.Load(out)
		if err != nil {
			t.Fatal(err)
		}
		const name = "ln1.weight"
		if a, b := tensor.Data[float32](got.Weights[name])[0], tensor.Data[float32](m.Weights[name])[0]; a != c.like*b {
			t.Errorf("%v: %s begins with %g, want %g", c.args, name, a, c.like*b)
		}
	}
	if text := mustRun(t, "inspect", path, "--section", "model"); !strings.Contains(text, "took model; left ema") ||
		!strings.Contains(text, fmt.Sprint(m.Network)) {
		t.Errorf("inspect says\n%s", text)
	}
	if code, _, stderr := ebmRun(t, "export", "--weights", path, "--section", "none", "--out", filepath.Join(dir, "onnx")); code != 1 ||
		!strings.Contains(stderr, `["model" "ema"]`) {
		t.Errorf("a section that is not there: exit status %d\n%s", code, stderr)
	}
	if code, _, stderr := ebmRun(t, "export", "--run", path, "--out", filepath.Join(dir, "onnx"), "--kinds", "energy"); code != 0 ||
		!strings.Contains(stderr, "took ema") {
		t.Errorf("export: exit status %d\n%s", code, stderr)
	}
}

func TestWeightsThatAreNotFinite(t *testing.T) {
	m, err := ebm.Load(tinyWeights(t))
	if err != nil {
		t.Fatal(err)
	}
	tensor.Data[float32](m.Weights["ln1.bias"])[0] = float32(math.NaN())
	path := saved(t, "nan.pth", m.Set())
	out := filepath.Join(t.TempDir(), "onnx")
	args := []string{"export", "--weights", path, "--out", out, "--kinds", "energy"}
	if code, _, stderr := ebmRun(t, args...); code != 1 ||
		!strings.Contains(stderr, "1 of 1 values of ln1.bias are infinite or not a number") {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
	mustRun(t, append(args, "--allow-not-finite")...)

	large := new(weights.Set)
	add(t, large, "w", tensor.Of([]float32{1e5, 1, float32(math.Inf(1))}, 3))
	code, _, stderr := ebmRun(t, "convert", saved(t, "large.pth", large), filepath.Join(t.TempDir(), "half.safetensors"), "--float16")
	if code != 0 || !strings.Contains(stderr, "w: 1 of 3 values are beyond 65504") {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
}

// A file may say an activation that there is none of; a flag says what it is.
func TestMetadataThatContradict(t *testing.T) {
	m, err := ebm.Load(tinyWeights(t))
	if err != nil {
		t.Fatal(err)
	}
	m.About["activation"] = "gelu"
	path := saved(t, "gelu.safetensors", m.Set())
	out := filepath.Join(t.TempDir(), "onnx")
	if code, _, stderr := ebmRun(t, "export", "--weights", path, "--out", out, "--kinds", "energy"); code != 1 ||
		!strings.Contains(stderr, `unknown activation "gelu"`) {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
	mustRun(t, "export", "--weights", path, "--out", out, "--kinds", "energy", "--activation", "swish")
	mustRun(t, "export", "--weights", path, "--out", out, "--kinds", "energy", "--activation", "swish", "--head", "linear")
}
