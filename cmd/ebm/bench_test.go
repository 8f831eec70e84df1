package main

import (
	"encoding/json"
	"strings"
	"testing"

	"ebm/internal/testkit"
)

func TestBench(t *testing.T) {
	testkit.Long(t)
	model := tinyWeights(t)
	for _, job := range []string{"score", "train", "sample"} {
		text := mustRun(t, "bench", "--quiet", "--provider", "cpu", "--threads", "1", "--run", model, "--job", job,
			"--batch", "4", "--steps", "3", "--shards", "2", "--runs", "2", "--json")
		var r struct {
			Job, Net        string
			Dim, Size, Runs int
			Min             float64 `json:"min_ms"`
			Flops           float64 `json:"flops_written"`
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		if r.Job != job || r.Net != "res6" || r.Dim != 4 || r.Size != 16 || r.Runs != 2 || r.Min <= 0 || r.Flops <= 0 {
			t.Errorf("%s: %s", job, text)
		}
	}
	text := mustRun(t, "bench", "--quiet", "--provider", "cpu", "--net", "res6", "--dim", "2", "--size", "8", "--batch", "2", "--runs", "1")
	if !strings.Contains(text, "res6, 2 channels wide, on pictures of 1×8×8") {
		t.Error(text)
	}
}

func TestBenchUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--job", "nap"}, `unknown job "nap"`},
		{[]string{"--run", "mnist16", "--dim", "8"}, "--dim and --run exclude each other"},
		{[]string{"--net", "res7"}, "res7"},
		{[]string{"--batch", "-1"}, "--batch -1"},
		{[]string{"--job", "sample", "--steps", "0"}, "--steps 0"},
	} {
		code, _, stderr := ebmRun(t, append([]string{"bench"}, c.args...)...)
		if code != 2 || !strings.Contains(stderr, c.want) {
			t.Errorf("ebm bench %s: exit status %d, %q, want 2 and %q", strings.Join(c.args, " "), code, stderr, c.want)
		}
	}
}
