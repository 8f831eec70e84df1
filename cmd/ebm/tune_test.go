package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// On the CPU nothing is chosen: --autotune says so, and samples have the bits that they have without it.
func TestAutotuneOnTheCPU(t *testing.T) {
	weights, dir := tinyWeights(t), t.TempDir()
	var said string
	sample := func(name string, more ...string) []byte {
		out := filepath.Join(dir, name)
		code, _, stderr := ebmRun(t, append([]string{"sample", "--provider", "cpu", "--run", weights, "--count", "3", "--steps", "4", "--float32",
			"--out", out}, more...)...)
		if code != 0 {
			t.Fatalf("exit status %d\n%s", code, stderr)
		}
		said = stderr
		b, err := os.ReadFile(filepath.Join(out, "samples_float32.npy"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	want, got := sample("plain"), sample("tuned", "--autotune")
	if !bytes.Equal(got, want) || !strings.Contains(said, "--autotune: nothing to choose on the CPU") {
		t.Errorf("%d bytes, want the %d without --autotune, and a line of it:\n%s", len(got), len(want), said)
	}
	record, err := os.ReadFile(filepath.Join(dir, "tuned", "samples.json"))
	if err != nil || bytes.Contains(record, []byte("choices")) {
		t.Errorf("error %v, the record is\n%s, want none of choices", err, record)
	}
}
