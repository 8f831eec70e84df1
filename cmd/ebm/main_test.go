package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/cmd/internal/assess"
	"ebm/internal/testkit"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/weights"
)

// ebmRun runs the program and returns its exit status and what it printed.
func ebmRun(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// mustRun fails the test when the program does.
func mustRun(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	code, stdout, stderr := ebmRun(t, args...)
	if code != 0 {
		t.Fatalf("ebm %s: exit status %d\n%s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// tinyWeights writes random weights of a small network.
func tinyWeights(t *testing.T) string {
	t.Helper()
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 16}
	set := new(weights.Set)
	w := energy.Init(n, rng.New(5))
	for _, p := range n.Parameters() {
		if err := set.Add(p.Name, w[p.Name]); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "tiny.safetensors")
	if err := weights.Save(path, set); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWrongUsageIsStatus2(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"frobnicate"}, "frobnicate"},
		{[]string{"train", "--steps", "many"}, "many"},
		{[]string{"train"}, "--preset"},
		{[]string{"train", "--preset", "mnist", "--config", "x.toml"}, "exclude"},
		{[]string{"train", "--preset", "imagenet"}, "stacked-mnist"},
		{[]string{"train", "--preset", "mnist", "--size", "20"}, "a multiple of 8"},
		{[]string{"export", "--weights", "testdata/formats/weights.safetensors", "--dim", "8", "--out", dir},
			"--dim 8, but the weights are of 2"},
		{[]string{"train", "extra"}, "extra"},
		{[]string{"train", "--preset", "imagenet"}, `unknown preset "imagenet", want one of demo, mnist`},
		{[]string{"train", "--preset", "mnist", "--size", "20"}, "--size 20, want a multiple of 8"},
		{[]string{"train", "--preset", "mnist", "--sigma-min", "4"}, "--sigma-min 4, want a positive number up to the largest level, 3"},
		{[]string{"train", "--preset", "mnist", "--net", "res7"}, `--net "res7", want one of res6`},
		{[]string{"train", "--preset", "mnist", "--batch", "-1"}, "--batch -1, want a number from 1"},
		{[]string{"train", "--preset", "mnist", "--schedule", "ramp"}, `--schedule "ramp", want one of cosine, steps, constant`},
		{[]string{"train", "--preset", "likelihood", "--chain-steps", "0"}, "--chain-steps 0, want a number from 1 to 1000"},
		{[]string{"train", "--data", dir, "--channels", "2"}, "--channels 2, want 1 (grey) or 3 (colour)"},
		{[]string{"export", "--run", "mnist16"}, "--out"},
		{[]string{"export", "--out", dir}, "--run"},
		{[]string{"export", "--run", "mnist16", "--out", dir, "--kinds", "jacobian"}, `unknown kind "jacobian"`},
		{[]string{"export", "--run", "mnist16", "--out", dir, "--batch", "-1"}, "--batch -1"},
		{[]string{"convert", "one"}, "want 2"},
		{[]string{"runtime"}, "runtime info"},
		{[]string{"runtime", "info", "--provider", "tpu"}, `"tpu"`},
		{[]string{"sample"}, "--run"},
		{[]string{"denoise"}, "--run"},
		{[]string{"verify"}, "--run"},
		{[]string{"demo", "--count", "0"}, "--count 0"},
	} {
		code, _, stderr := ebmRun(t, c.args...)
		if code != 2 || !strings.Contains(stderr, c.want) {
			t.Errorf("ebm %s: exit status %d, %q, want 2 and %q", strings.Join(c.args, " "), code, stderr, c.want)
		}
	}
}

func TestFailuresAreStatus1AndOneClearError(t *testing.T) {
	damaged := filepath.Join(t.TempDir(), "damaged.safetensors")
	testkit.Write(t, damaged, []byte("not weights at all"))
	out := t.TempDir()
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"train", "--config", filepath.Join(out, "none.toml")}, []string{"none.toml"}},
		{[]string{"train", "--resume", "--out", filepath.Join(out, "none")}, []string{"none"}},
		{[]string{"export", "--run", "nowhere", "--out", out}, []string{"nowhere", "shipped model"}},
		{[]string{"export", "--weights", "nowhere.pt", "--out", out}, []string{"nowhere.pt"}},
		{[]string{"export", "--weights", damaged, "--out", out}, []string{"damaged.safetensors"}},
		{[]string{"runtime", "info", "--ort-library", damaged}, []string{"damaged.safetensors"}},
		{[]string{"inspect", damaged}, []string{"damaged.safetensors"}},
		{[]string{"convert", damaged, filepath.Join(out, "x.npz")}, []string{"damaged.safetensors"}},
	} {
		code, stdout, stderr := ebmRun(t, c.args...)
		if code != 1 || stdout != "" {
			t.Errorf("ebm %s: exit status %d, standard output %q, want 1 and none\n%s", strings.Join(c.args, " "), code, stdout, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("ebm %s: error %q does not say %q", strings.Join(c.args, " "), stderr, want)
			}
		}
	}
}

func TestEveryFlagHasHelp(t *testing.T) {
	root := newRoot(&app{})
	for _, cmd := range append(root.Commands(), root) {
		if cmd.Short == "" {
			t.Errorf("%s has no description", cmd.Name())
		}
		for _, fs := range []interface{ FlagUsages() string }{cmd.LocalFlags(), cmd.PersistentFlags()} {
			for _, line := range strings.Split(fs.FlagUsages(), "\n") {
				if words := strings.Fields(line); len(words) == 1 || len(words) == 2 && strings.HasPrefix(words[0], "--") {
					t.Errorf("%s: flag without help: %s", cmd.Name(), line)
				}
			}
		}
	}
}

func TestExportWritesTheKindsAskedFor(t *testing.T) {
	out := filepath.Join(t.TempDir(), "onnx")
	text := mustRun(t, "export", "--weights", tinyWeights(t), "--out", out, "--kinds", "energy,score,hvp,train,sampler,denoise", "--json")
	var files []assess.Exported
	if err := json.Unmarshal([]byte(text), &files); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		info, err := os.Stat(f.Path)
		if err != nil || info.Size() != f.Bytes {
			t.Errorf("%v: %v", f, err)
		}
		names = append(names, filepath.Base(f.Path))
	}
	if want := []string{"energy.onnx", "score.onnx", "hvp.onnx", "train.onnx", "sampler.onnx", "denoise.onnx"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
}

func TestConvertKeepsEveryTensor(t *testing.T) {
	tiny, dir := tinyWeights(t), t.TempDir()
	want, err := weights.Load(tiny)
	if err != nil {
		t.Fatal(err)
	}
	last := tiny
	for _, name := range []string{"a.pt", "b.npz", "c.safetensors"} {
		next := filepath.Join(dir, name)
		mustRun(t, "convert", last, next)
		last = next
	}
	got, err := weights.Load(last)
	if err != nil || got.Hash() != want.Hash() {
		t.Errorf("after .pt and .npz the weights differ (%v)", err)
	}
	if code, _, stderr := ebmRun(t, "convert", tiny, last); code != 1 || !strings.Contains(stderr, "--force") {
		t.Errorf("replaced a file without being asked to: %d %s", code, stderr)
	}
}

// A run that is stopped in the middle and goes on gives the weights, bit for
// bit, of one that was not.
func TestTrainResumesExactly(t *testing.T) {
	testkit.Long(t)
	dir := t.TempDir()
	args := func(out string, more ...string) []string {
		return append([]string{"train", "--preset", "demo", "--steps", "6", "--batch", "4", "--dim", "4", "--net", "res6",
			"--checkpoint-every", "2", "--keep-checkpoints", "0", "--quiet", "--out", out}, more...)
	}
	whole, parts := filepath.Join(dir, "whole"), filepath.Join(dir, "parts")
	mustRun(t, args(whole)...)
	mustRun(t, args(parts)...)
	// What a kill after step 4's checkpoint leaves behind.
	if err := os.RemoveAll(filepath.Join(parts, "checkpoints", "step-00000006")); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := ebmRun(t, args(parts)...); code != 1 || !strings.Contains(stderr, "--resume") {
		t.Errorf("began a run over another one: %d %s", code, stderr)
	}
	if code, _, stderr := ebmRun(t, args(parts, "--resume", "--batch", "5")...); code != 1 ||
		!strings.Contains(stderr, "--batch 4, want 5: leave out --batch to go on, or begin another run with its weights: --start "+parts) {
		t.Errorf("went on with other settings: %d %s", code, stderr)
	}
	mustRun(t, "train", "--resume", "--out", parts, "--quiet")
	for _, name := range []string{"model.safetensors", "state.safetensors"} {
		a, errA := os.ReadFile(filepath.Join(whole, "checkpoints", "step-00000006", name))
		b, errB := os.ReadFile(filepath.Join(parts, "checkpoints", "step-00000006", name))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs after resuming (%v, %v)", name, errA, errB)
		}
	}
}

func TestInterruptIsStatus130(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	code := run(ctx, []string{"train", "--preset", "demo", "--out", filepath.Join(t.TempDir(), "run"), "--quiet"}, &out, &errs)
	if code != 130 {
		t.Errorf("exit status %d, want 130\n%s", code, errs.String())
	}
}
