package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/testkit"
)

// unetRun trains a small U-Net on real digits up to a step.
func unetRun(t *testing.T, dir string, more ...string) {
	t.Helper()
	mustRun(t, append([]string{"train", "--preset", "demo", "--net", "unet", "--dim", "4", "--multipliers", "1,2", "--head", "residual",
		"--batch", "4", "--shards", "1", "--schedule", "constant", "--quiet", "--out", dir}, more...)...)
}

// TestUNet takes a U-Net through the commands: trained, stopped and resumed with the same bits,
// exported, certified, sampled, measured.
func TestUNet(t *testing.T) {
	testkit.Long(t)
	dir := t.TempDir()
	run, again := filepath.Join(dir, "run"), filepath.Join(dir, "again")
	unetRun(t, run, "--steps", "4")
	unetRun(t, again, "--steps", "2")
	mustRun(t, "train", "--resume", "--steps", "4", "--quiet", "--out", again)
	for _, file := range []string{"model.safetensors", "state.safetensors"} {
		at := filepath.Join("checkpoints", "step-00000004", file)
		if !bytes.Equal(testkit.Read(t, run, at), testkit.Read(t, again, at)) {
			t.Errorf("%s of a resumed run has other bits", file)
		}
	}

	if text := mustRun(t, "verify", "--run", run, "--each", "1"); !strings.Contains(text, "all checks passed") ||
		!strings.Contains(text, "unet dim 4, multipliers 1,2, 1×16×16, residual head, elu") {
		t.Errorf("the certificate is\n%s", text)
	}
	mustRun(t, "export", "--run", run, "--out", filepath.Join(dir, "onnx"), "--quiet", "--kinds", "energy,score,hvp,train,sampler,denoise")
	mustRun(t, "export", "--run", run, "--out", filepath.Join(dir, "hub"), "--quiet", "--for", "huggingface")
	if config := string(testkit.Read(t, dir, "hub", "config.json")); !strings.Contains(config, `"architecture": "unet"`) {
		t.Errorf("the hub's config.json is %s", config)
	}
	mustRun(t, "sample", "--run", run, "--count", "2", "--steps", "4", "--quiet", "--out", filepath.Join(dir, "samples"))
	mustRun(t, "likelihood", "--run", run, "--images", "mnist:test", "--count", "2", "--chains", "2", "--distributions", "12", "--quiet",
		"--out", filepath.Join(dir, "bits"))
	mustRun(t, "score", "--run", run, "--images", "mnist:test", "--count", "4", "--quiet")
	mustRun(t, quick(run, "--parts", "noise")...)

	// Its weights go out, and are the network again with what their metadata say, or flags.
	file, bare := filepath.Join(dir, "unet.safetensors"), filepath.Join(dir, "unet.npz")
	mustRun(t, "convert", run, file, "--quiet")
	mustRun(t, "convert", file, bare, "--quiet")
	if text := mustRun(t, "inspect", file); !strings.Contains(text, "unet dim 4, multipliers 1,2, 1×16×16, residual head, elu") {
		t.Errorf("inspect says\n%s", text)
	}
	if text := mustRun(t, "inspect", bare); !strings.Contains(text, "unet dim 4, multipliers 1,2, 1×any size, residual head") {
		t.Errorf("inspect says\n%s", text)
	}
	mustRun(t, "export", "--weights", file, "--out", filepath.Join(dir, "a"), "--quiet", "--kinds", "score", "--net", "unet", "--dim", "4")
	mustRun(t, "export", "--weights", bare, "--size", "24", "--out", filepath.Join(dir, "b"), "--quiet", "--kinds", "score")
	code, _, stderr := ebmRun(t, "export", "--weights", bare, "--out", filepath.Join(dir, "c"))
	if want := "want the size of the pictures (--size)"; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("exit status %d, %q, want 1 and %q", code, stderr, want)
	}
	unetRun(t, filepath.Join(dir, "finer"), "--start", bare, "--steps", "1")
}

// TestUNetOfLargePictures trains on colour pictures of 64×64, exports and samples.
func TestUNetOfLargePictures(t *testing.T) {
	testkit.Long(t)
	run := filepath.Join(t.TempDir(), "run")
	mustRun(t, "train", "--data", colourPictures(t, 4), "--size", "64", "--net", "unet", "--dim", "4", "--multipliers", "1,1,2",
		"--activation", "swish", "--batch", "2", "--shards", "1", "--steps", "2", "--ema", "0.9", "--quiet", "--out", run)
	mustRun(t, "export", "--run", run, "--out", filepath.Join(run, "onnx"), "--quiet")
	mustRun(t, "sample", "--run", run, "--count", "2", "--steps", "3", "--quiet", "--out", filepath.Join(run, "samples"))
	if text := mustRun(t, "inspect", filepath.Join(run, "onnx", "score.onnx")); !strings.Contains(text, "3") {
		t.Errorf("inspect says\n%s", text)
	}
}

func TestUNetWrongUsage(t *testing.T) {
	train := func(flags ...string) []string {
		return append([]string{"train", "--preset", "demo", "--out", t.TempDir(), "--steps", "1"}, flags...)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{train("--net", "unet", "--multipliers", "1,0"), "--multipliers [1 0], want up to 16 numbers from 1 to 1024, one for each level"},
		{train("--net", "unet", "--multipliers", "1,1,1,1,1,1"), "--size 16, want a multiple of 32 for unet"},
		{train("--net", "unet", "--blocks", "-2"), "--blocks -2, want a number up to 1024"},
		{train("--net", "unet", "--head", "cubic"), `--head "cubic", want one of quadratic, linear, residual`},
		{train("--head", "residual"), `--head "residual", want one of quadratic, linear`},
		{train("--multipliers", "1,2"), "--multipliers [1 2], want none for res12, but for unet"},
		{[]string{"bench", "--net", "unet", "--size", "18"}, "unet of pictures of size 18, want a multiple of 4"},
	} {
		if code, _, stderr := ebmRun(t, c.args...); code != 2 || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit status %d, %q, want 2 and %q", c.args, code, stderr, c.want)
		}
	}
}
