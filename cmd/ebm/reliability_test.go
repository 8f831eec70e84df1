package main

import (
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/models/tensor"
)

// TestNoPictures gives arrays without a picture to the commands that take pictures.
func TestNoPictures(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none.npy")
	if err := atomicfile.Write(none, func(w io.Writer) error {
		return npz.WriteNpy(w,
			tensor.New(tensor.Float32, 0, 1, 16, 16))
	}); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"denoise --noise 0.1", "denoise", "inpaint --mask left --steps 3", "score"} {
		args := append(strings.Fields(line), "--run", formats+"/weights.safetensors", "--images", none, "--provider", "cpu", "-q")
		if !strings.HasPrefix(line, "score") {
			args = append(args, "--out", filepath.Join(dir, "out"))
		}
		code, stdout, stderr := ebmRun(t, args...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, none) {
			t.Errorf("ebm %s: exit status %d, %q, %q, want 1 and an error that names the file", line, code, stdout, stderr)
		}
		if atomicfile.Exists(filepath.Join(dir, "out")) {
			t.Errorf("ebm %s left a folder", line)
		}
	}
}

// TestDamagedONNX turns a bit of an exported file, which every command that opens
// it names, and one that fits no hash any more.
func TestDamagedONNX(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, "export", "--provider", "cpu", "--run", formats+"/weights.safetensors", "--kinds", "energy,score", "--out", dir, "-q")
	for _, name := range []string{"energy.onnx", "score.onnx"} {
		good := testkit.Read(t, dir, name)
		mustRun(t, "inspect", filepath.Join(dir, name))
		bad := slices.Clone(good)
		bad[len(bad)/2] ^= 0x40
		path := testkit.Write(t, filepath.Join(dir, "bad", name), bad)
		for _, line := range []string{"inspect", "inspect --verify", "sample --count 1 --steps 2 --out OUT --run",
			"gradient --of energy --wrt x --out OUT/g.onnx", "verify --run"} {
			args := append(strings.Fields(strings.ReplaceAll(line, "OUT", filepath.Join(dir, "out"))), path)
			if line == "inspect --verify" {
				args[len(args)-1] = filepath.Dir(path)
			}
			code, stdout, stderr := ebmRun(t, append(args, "--provider", "cpu", "-q")...)
			if code != 1 || !strings.Contains(stdout+stderr, "damaged") {
				t.Errorf("ebm %s: exit status %d, %q, %q, want 1 and what is damaged", strings.Join(args, " "), code, stdout, stderr)
			}
		}
	}
}
