package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm"
	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/report"
	"ebm/internal/testkit"
)

// smallRun trains a few steps of a small network on real digits, with three
// checkpoints.
func smallRun(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	mustRun(t, "train", "--preset", "demo", "--steps", "6", "--batch", "4", "--dim", "4", "--net", "res6",
		"--checkpoint-every", "2", "--keep-checkpoints", "0", "--quiet", "--out", dir)
	return dir
}

// quick are flags with which an evaluation takes seconds.
func quick(args ...string) []string {
	return append(append([]string{"evaluate"}, args...), "--quiet", "--limit", "300", "--count", "8", "--steps", "20", "--pictures", "30")
}

func readReport(t *testing.T, dir string) *report.Document {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, report.JSONFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := report.ReadJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A run is evaluated whole: its best checkpoint is found, marked, exported and
// measured, and the report has every part; what is there is used again.
func TestEvaluateARun(t *testing.T) {
	testkit.Long(t)
	dir := smallRun(t)
	// A report of what was done before stays, after the evaluation's.
	before := &report.Document{Title: "Before", Summary: "Trained.",
		Sections: []report.Section{report.Text{Title: "Checked", Paragraphs: []string{"all"}}}}
	if err := before.Write(dir); err != nil {
		t.Fatal(err)
	}
	text := mustRun(t, quick(dir, "--select", "--select-count", "8", "--select-steps", "20", "--against",
		"stacked-mnist", "--parts", "noise")...)
	if !strings.Contains(text, "best checkpoint") {
		t.Errorf("printed\n%s", text)
	}
	s, err := assess.ReadSelection(dir)
	if err != nil || len(s.Candidates) != 3 || s.Samples != 8 || s.Reference != 300 {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, path := range []string{"model/energy.onnx", "model/score.onnx", "report.html"} {
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			t.Error(err)
		}
	}

	// Noise needs no samples, and none were drawn.
	if _, err := os.Stat(filepath.Join(dir, "samples-"+s.Best)); err == nil {
		t.Error("samples were drawn that no part needs")
	}

	text = mustRun(t, quick(dir, "--checkpoint", "best", "--against", "mnist:train", "--json")...)
	var result struct {
		Metrics []report.Metric
		Weights string `json:"weights_sha256"`
	}
	if err := json.Unmarshal([]byte(text), &result); err != nil {
		t.Fatal(err)
	}
	best, err := ebm.Load(filepath.Join(dir, "checkpoints", s.Best))
	if err != nil {
		t.Fatal(err)
	}
	if result.Weights != best.Hash || best.About["step"] != strings.TrimLeft(strings.TrimPrefix(s.Best, "step-"), "0") {
		t.Errorf("measured %s of step %s, want the best checkpoint's weights", result.Weights, best.About["step"])
	}
	found := map[string]report.Metric{}
	for _, m := range result.Metrics {
		found[m.Key] = m
	}
	for key, samples := range map[string]int{
		"classifier_frechet": 8, "classifier_recall": 8, "modes_covered": 8, "auroc_energy_mnist_train": 30,
		"auroc_loss_mnist_train": 30, "held_out_loss": 30,
	} {
		if m, ok := found[key]; !ok || m.Samples != samples {
			t.Errorf("%s: %+v, want one of %d samples", key, m, samples)
		}
	}
	if s.Best == "" || !strings.Contains(text, "samples\": 8") {
		t.Errorf("samples are not counted: %.300s", text)
	}
	var all any
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	walkKeys(all, "", func(path, key string) {
		if !snakeCase.MatchString(key) {
			t.Errorf("key %q of %q, want snake_case", key, path)
		}
	})
	d := readReport(t, dir)
	ids, titles := map[string]int{}, map[string]int{}
	for _, section := range d.Sections {
		b, err := json.Marshal(section)
		if err != nil {
			t.Fatal(err)
		}
		var named struct{ ID, Title string }
		if err := json.Unmarshal(b, &named); err != nil {
			t.Fatal(err)
		}
		ids[named.ID]++
		titles[named.Title]++
	}
	for _, id := range []string{
		"samples", "numbers", "mode-numbers", "modes", "outliers", "outliers-by-energy", "outliers-by-loss", "outlier-scores",
		"noise", "noise-numbers",
		"neighbours", "neighbour-numbers", "selection", "selection-numbers", "training", "settings", "conditions", "timings", "again",
	} {
		if ids[id] != 1 {
			t.Errorf("the report has %d sections %q, want one", ids[id], id)
		}
	}
	if titles["Checked"] != 1 || titles["Before"] != 1 {
		t.Errorf("sections %v, want what was there before too", titles)
	}

	text = mustRun(t, "compare", dir, dir, "--json", "--html", filepath.Join(t.TempDir(), "table.html"))
	var c assess.Comparison
	if err := json.Unmarshal([]byte(text), &c); err != nil || len(c.Runs) != 2 || len(c.Settings) != 0 || len(c.Rows) < 10 {
		t.Errorf("%v: %s", err, text)
	}
	out := filepath.Join(t.TempDir(), "best")
	mustRun(t, "export", "--run", dir, "--checkpoint", "best", "--kinds", "energy", "--out", out)
	a, errA := os.ReadFile(filepath.Join(out, "energy.onnx"))
	b, errB := os.ReadFile(filepath.Join(dir, "model", "energy.onnx"))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("--checkpoint best exports another energy than the selection did (%v, %v)", errA, errB)
	}
}

func TestEvaluateRunRefuses(t *testing.T) {
	tiny, out := tinyWeights(t), t.TempDir()
	for _, c := range []struct {
		code int
		args []string
		want string
	}{
		{2, []string{"evaluate", "mnist16"}, "--out"},
		{2, []string{"evaluate", "mnist16", "--out", out, "--parts", "beauty"}, "noise, neighbours"},
		{2, []string{"evaluate", "mnist16", "--out", out, "--count", "1"}, "--count 1"},
		{2, []string{"evaluate", "mnist16", "--samples", "x.npz"}, "one or the other"},
		{2, []string{"evaluate", "mnist16", "--out", out, "--select"}, "checkpoints"},
		{2, []string{"evaluate", "mnist16", "--out", out, "--select", "--checkpoint", "best"}, "choose one"},
		{2, []string{"evaluate", tiny, "--out", out}, "--data-name"},
		{2, []string{"compare"}, "RUN"},
		{1, []string{"evaluate", "nowhere", "--out", out}, "nowhere"},
		{1, []string{"compare", out}, "config.toml"},
		{1, []string{"export", "--run", out, "--checkpoint", "best", "--out", out}, "--select first"},
		{1, []string{"export", "--run", out, "--checkpoint", "7", "--out", out}, "no checkpoint of step 7"},
		{2, []string{"sample", "--run", out, "--checkpoint", "last"}, "newest, best"},
	} {
		code, stdout, stderr := ebmRun(t, c.args...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("ebm %s: exit status %d, %q, %q, want %d and %q", strings.Join(c.args, " "), code, stdout, stderr, c.code, c.want)
		}
	}
}

// A report that version 0.1 wrote is read, and an evaluation of the same weights
// replaces its sections and keeps the others.
func TestReportsOfVersion01(t *testing.T) {
	f, err := os.Open(filepath.Join("testdata", "formats", report.JSONFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	old, err := report.ReadJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(old.Subject) != 64 || len(old.Sections) < 10 || len(old.Metrics()) != 4 {
		t.Fatalf("about %q, %d sections, %d metrics", old.Subject, len(old.Sections), len(old.Metrics()))
	}
	now := &report.Document{Subject: old.Subject, Sections: []report.Section{report.Text{ID: "noise", Title: "Energy against noise"}}}
	if now.Keep(old); len(now.Sections) != len(old.Sections) {
		t.Errorf("%d sections of %d, want the noise in place of that which was there", len(now.Sections), len(old.Sections))
	}
	other := &report.Document{Subject: "another", Sections: now.Sections[:1]}
	if other.Keep(old); len(other.Sections) != 1 {
		t.Errorf("%d sections, want none of other weights", len(other.Sections))
	}
}
