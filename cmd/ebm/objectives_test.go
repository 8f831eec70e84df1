package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/models/tensor"
)

// TestTrainByObjectives trains points, an ONNX file and pictures by other objectives than
// the paper's, samples each by the sampler that is its own, and exports the step.
func TestTrainByObjectives(t *testing.T) {
	testkit.Long(t)
	dir := t.TempDir()
	finite := func(path string) {
		t.Helper()
		all, err := npz.ReadFile(filepath.Join(path, "samples.npz"))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range all["arr_0"].Float64s() {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("%s: a sample is %g", path, v)
			}
		}
	}
	for objective, c := range map[string]struct {
		flags  []string
		inputs []string // of the exported step
	}{
		"posterior":       {[]string{"--neighbours", "40"}, []string{"neighbours", "own", "sigma"}},
		"ncsn":            {nil, []string{"noise", "sigma"}},
		"score-matching":  {[]string{"--projections", "2"}, []string{"noise", "direction"}},
		"persistent":      {[]string{"--chain-steps", "2", "--replay", "50"}, []string{"noise", "start", "chain_noise", "chain_end"}},
		"energy-matching": {[]string{"--chain-steps", "2"}, []string{"from", "time", "start", "start_time", "chain_noise"}},
	} {
		run := filepath.Join(dir, objective)
		args := append([]string{"train", "--data", "rings", "--points", "100", "--hidden", "8,8", "--batch", "16", "--steps", "20", "--objective",
			objective, "--out", run}, c.flags...)
		mustRun(t, args...)
		mustRun(t, "train", "--resume", "--out", run, "--steps", "24")
		mustRun(t, "sample", "--run", run, "--count", "10", "--steps", "20")
		finite(filepath.Join(run, "samples"))
		files := filepath.Join(dir, objective+"-files")
		mustRun(t, "export", "--run", run, "--kinds", "train,energy,score", "--out", files)
		text := mustRun(t, "inspect", filepath.Join(files, "train.onnx"))
		for _, name := range append(c.inputs, objective) {
			if !strings.Contains(text, name) {
				t.Errorf("the training step of %s has no %s:\n%s", objective, name, text)
			}
		}
		own := filepath.Join(dir, objective+"-model")
		mustRun(t, append([]string{"train", "--model", filepath.Join(files, "energy.onnx"), "--data", "moons", "--points", "60", "--batch", "8",
			"--steps", "4", "--objective", objective, "--out", own}, c.flags...)...)

		// The file says by what it was trained, and is sampled alike.
		mustRun(t, "sample", "--run", filepath.Join(files, "score.onnx"), "--count", "10", "--steps", "20", "--out", filepath.Join(files, "s"))
		pictures := filepath.Join(dir, objective+"-pictures")
		mustRun(t, append([]string{"train", "--preset", "demo", "--net", "res6", "--dim", "2", "--size", "16", "--batch", "4", "--shards", "2",
			"--steps", "4", "--objective", objective, "--out", pictures}, c.flags...)...)
		mustRun(t, "sample", "--run", pictures, "--count", "2", "--steps", "4")
		finite(filepath.Join(pictures, "samples"))
	}

	matching, ncsn := filepath.Join(dir, "energy-matching"), filepath.Join(dir, "ncsn")
	for want, args := range map[string][]string{
		"--fast is for energies that are annealed":    {"sample", "--run", matching, "--fast"},
		"--sampler is for energies that are annealed": {"sample", "--run", ncsn, "--sampler", "heun"},
		"--draws is for energies that are annealed":   {"sample", "--run", matching, "--draws", "2"},
		"want an energy that takes away noise":        {"likelihood", "--run", matching, "--count", "2"},
		"which was trained by persistent":             {"sample", "--run", filepath.Join(dir, "persistent-pictures"), "--fast"},
		"--until 2, want":                             {"sample", "--run", ncsn, "--until", "2"},
		"which samplers of few evaluations are not":   {"export", "--run", ncsn, "--kinds", "sampler", "--fast"},
		"x's of 256 values, want 32 at most":          {"train", "--preset", "demo", "--objective", "score-matching", "--projections", "0"},
		"data.flip":                                   {"train", "--preset", "demo", "--flip", "--objective", "posterior"},
	} {
		if code, _, stderr := ebmRun(t, append(args, "--out", filepath.Join(dir, "bad"))...); code == 0 || !strings.Contains(stderr, want) &&
			!strings.Contains(stderr, strings.ReplaceAll(want, "data.flip", "--flip")) {
			t.Errorf("%q: exit status %d and %q, want %q", args, code, stderr, want)
		}
	}

	// Transport alone has no density: samples are taken where it ends.
	alone := filepath.Join(dir, "alone")
	mustRun(t, "train", "--data", "rings", "--points", "100", "--hidden", "8", "--batch", "8", "--steps", "4", "--objective",
		"energy-matching",
		"--contrast", "0", "--out", alone)
	mustRun(t, "sample", "--run", alone, "--count", "4", "--float32")
	drawn, err := npz.ReadFile(filepath.Join(alone, "samples", "samples.npz"))
	if err != nil || drawn["arr_0"].DType() != tensor.Float32 {
		t.Errorf("samples are %v (%v)", drawn["arr_0"], err)
	}
}
