package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/weights"
)

func TestClassifierCommand(t *testing.T) {
	testkit.Long(t)
	out := filepath.Join(t.TempDir(), "run")
	args := []string{"classifier", "--data-name", "mnist", "--batch", "8", "--dim", "2", "--features", "4", "--seed", "5", "--out",
		out, "--quiet", "--json"}
	run := func(more ...string) (result struct {
		Path     string
		Step     int
		Accuracy float64
		Pictures int
		Loss     *float64
		Hash     string `json:"weights_sha256"`
	}) {
		t.Helper()
		if err := json.Unmarshal([]byte(mustRun(t, append(args, more...)...)), &result); err != nil {
			t.Fatal(err)
		}
		return result
	}
	first := run("--steps", "20", "--checkpoint-every", "10")
	if first.Step != 20 || first.Pictures != 10000 || !(first.Accuracy > 0.05 && first.Accuracy < 1) || first.Loss == nil ||
		math.Abs(*first.Loss-2.3) > 0.5 {
		t.Errorf("after 20 steps: %+v", first)
	}
	set, err := weights.Load(first.Path)
	if err != nil || set.Hash() != first.Hash || set.Metadata["features"] != "4" {
		t.Errorf("%s: %v, metadata %v", first.Path, err, set.Metadata)
	}
	if code, _, stderr := ebmRun(t, args...); code != 1 || !strings.Contains(stderr, "resume it") {
		t.Errorf("began a run over another one: %d %s", code, stderr)
	}
	if err := os.RemoveAll(filepath.Join(out, "checkpoints", "step-00000020")); err != nil {
		t.Fatal(err)
	}
	if again := run("--resume"); again.Hash != first.Hash || again.Step != 20 {
		t.Errorf("resumed to %+v, want %+v", again, first)
	}
	// A finished run only writes its weights again, here in half the size.
	half := run("--resume", "--float16")
	if set, err = weights.Load(half.Path); err != nil || half.Loss != nil || half.Hash == first.Hash {
		t.Errorf("in float16: %+v, %v", half, err)
	}
	if v, _ := set.Get("fc2.weight"); v == nil || v.String() != "float16[10 4]" {
		t.Errorf("fc2.weight is %v", v)
	}
}

func TestClassifierUsage(t *testing.T) {
	out := t.TempDir()
	for want, args := range map[string][]string{
		"--out DIR":   {},
		`"cifar10"`:   {"--data-name", "cifar10", "--out", out},
		"--steps 0,":  {"--steps", "0", "--out", out},
		"--shift -1,": {"--shift", "-1", "--out", out},
		"unknown com": {"--out", out, "extra"},
	} {
		if code, _, stderr := ebmRun(t, append([]string{"classifier"}, args...)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit status %d, %q, want 2 and %q", args, code, stderr, want)
		}
	}
}
