package main

import (
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/samples"
)

// TestSampleTempering draws by parallel tempering, in one piece and in two, with the same
// bits, and says how often chains swapped.
func TestSampleTempering(t *testing.T) {
	testkit.Long(t)
	run := finishedRun(t)
	whole, grown := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "grown")
	args := func(out, count string) []string {
		return []string{"sample", "--run", run, "--sampler", "tempering", "--ladder", "1,2,4", "--swap-every", "2", "--steps", "8", "--float32",
			"--chains", "4", "--count", count, "--out", out}
	}
	code, _, stderr := ebmRun(t, args(whole, "20")...)
	if code != 0 || !strings.Contains(stderr, "swaps accepted: ") || !strings.Contains(stderr, "between T = 2 and 4") {
		t.Fatalf("exit status %d, %q, want the swaps", code, stderr)
	}
	mustRun(t, args(grown, "6")...)
	mustRun(t, args(grown, "20")...)
	testkit.SameFiles(t, grown, whole, samples.Float32File, samples.ArchiveFile)
	p, err := samples.ReadProcess(whole)
	if err != nil || len(p.Swaps) != 2 || p.Swaps[0].Tried != 2*4 || len(p.Temperature) != 3*8 || len(p.Energy) != 4 {
		t.Errorf("the trace is %+v, error %v", p, err)
	}
	for args, want := range map[string]string{
		"--ladder 1,0.5": "that rise", "--replicas 1": "--replicas 1", "--swap-every 0": "--swap-every 0", "--hot 1": "--hot 1",
		"--draws 2 --count 4": "--draws 2", "--fast": "--fast",
	} {
		code, _, stderr := ebmRun(t, append([]string{"sample", "--run", run, "--sampler", "tempering", "--out", grown},
			strings.Fields(args)...)...)
		if code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit status %d, %q, want 2 and %q", args, code, stderr, want)
		}
	}
}
