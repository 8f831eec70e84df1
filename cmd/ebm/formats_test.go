package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/models/weights"
)

// formats holds files that version 0.1 wrote (testdata/formats/README has the
// commands). Every later version opens, resumes and reads them.
const formats = "testdata/formats"

// finishedRun returns the old version's run with its last checkpoint, whatever
// this processor would train.
func finishedRun(t *testing.T) string {
	t.Helper()
	run := testkit.Copy(t, filepath.Join(formats, "run"))
	last := filepath.Join(run, "checkpoints", "step-00000006")
	if err := os.CopyFS(last, os.DirFS(filepath.Join(formats, "step-00000006"))); err != nil {
		t.Fatal(err)
	}
	return run
}

// TestFormatsResumeRun goes on from an old checkpoint and comes to the weights
// that the old version came to.
func TestFormatsResumeRun(t *testing.T) {
	testkit.Long(t)
	run := testkit.Copy(t, filepath.Join(formats, "run"))
	mustRun(t, "train", "--provider", "cpu", "--threads", "2", "--resume", "--out", run)
	got, err := weights.Load(filepath.Join(run, "checkpoints", "step-00000006", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := weights.Load(filepath.Join(formats, "step-00000006", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Len() != want.Len() {
		t.Fatalf("%d tensors, want %d", got.Len(), want.Len())
	}
	// Another kind of processor may round differently.
	for name, w := range want.All() {
		g, _ := got.Get(name)
		if g == nil || testkit.Difference(g.Float64s(), w.Float64s()) > 1e-5 {
			t.Errorf("%s is %v, want the old version's %v within 1e-5", name, g, w)
		}
	}
	lines, err := os.ReadFile(filepath.Join(run, "metrics.jsonl"))
	if err != nil || bytes.Count(lines, []byte("\n")) != 6 {
		t.Errorf("metrics.jsonl is %q, %v, want six lines", lines, err)
	}
}

// TestFormatsWeights reads the same weights out of each format.
func TestFormatsWeights(t *testing.T) {
	want, err := weights.Load(filepath.Join(formats, "weights.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"weights.npz", "weights.pt"} {
		got, err := weights.Load(filepath.Join(formats, file))
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want.All() {
			if g, ok := got.Get(name); !ok || !slices.Equal(g.Float64s(), w.Float64s()) {
				t.Errorf("%s: %s is %v, want the %v of safetensors", file, name, g, w)
			}
		}
	}
}

// TestFormatsSamples reads finished samples and finishes killed ones.
func TestFormatsSamples(t *testing.T) {
	unfinished := testkit.Copy(t, filepath.Join(formats, "unfinished"))
	out := mustRun(t, "sample", "--provider", "cpu", "--run", finishedRun(t), "--count", "8", "--batch", "2", "--steps", "1500",
		"--seed", "5", "--float32", "--chains", "0", "--grid", "4", "--out", unfinished)
	if !strings.Contains(out, "0 drawn now") {
		t.Errorf("the shards of the old version were not taken: %s", out)
	}
	got := testkit.Read(t, unfinished, "samples_float32.npy")
	want := testkit.Read(t, formats, "unfinished.npy")
	if !bytes.Equal(got, want) {
		t.Error("samples_float32.npy differs from the old version's")
	}
	for _, source := range []string{"samples", "samples/samples.npz", "features.npz", "statistics.npz"} {
		if out := mustRun(t, "evaluate", "--provider", "cpu", "--samples", filepath.Join(formats, source), "--reference",
			filepath.Join(formats, "statistics.npz"),
			"--features", "classifier", "--metrics", "fid", "--json"); !json.Valid([]byte(out)) {
			t.Errorf("evaluate %s printed %s", source, out)
		}
	}
}

// TestFormatsONNX draws the old version's samples from its ONNX files.
func TestFormatsONNX(t *testing.T) {
	want, err := npz.ReadNpyFile(filepath.Join(formats, "samples", "samples_float32.npy"))
	if err != nil {
		t.Fatal(err)
	}
	// The files are of the whole 16×16 pictures, the samples of their middle.
	for _, name := range []string{"energy.onnx", "score.onnx"} {
		out := filepath.Join(t.TempDir(), "samples")
		mustRun(t, "sample", "--provider", "cpu", "--run", filepath.Join(formats, name), "--count", "6", "--steps", "20", "--seed", "5",
			"--float32", "--crop", "14", "--out", out)
		got, err := npz.ReadNpyFile(filepath.Join(out, "samples_float32.npy"))
		if err != nil {
			t.Fatal(err)
		}
		if d := testkit.Difference(got.Float64s(), want.Float64s()); d > 1e-4 {
			t.Errorf("%s: samples are off by %.2g of the largest value", name, d)
		}
	}
}

// TestFormatsLikelihood takes up finished chains of the old version.
func TestFormatsLikelihood(t *testing.T) {
	out := testkit.Copy(t, filepath.Join(formats, "likelihood"))
	before, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, "likelihood", "--provider", "cpu", "--run", finishedRun(t), "--count", "2", "--chains", "2",
		"--distributions", "12", "--out", out)
	after, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(before) {
		t.Errorf("the folder has %v now, want the old chains taken up: %v", after, before)
	}
}
