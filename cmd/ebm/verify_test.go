package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm/cmd/internal/verify"
	"ebm/internal/testkit"
)

const verifyData = "../../testdata"

// TestVerifyReference certifies weights that PyTorch saved against what
// PyTorch says of them, as docs/cross-checking.md shows it.
func TestVerifyReference(t *testing.T) {
	testkit.Long(t)
	out := filepath.Join(t.TempDir(), "certificate.json")
	text := mustRun(t, "verify", "--weights", filepath.Join(verifyData, "weights.pth"), "--reference",
		filepath.Join(verifyData, "reference.npz"), "--out", out)
	for _, want := range []string{"reference's gradient in float64", "made by PyTorch", "12 parameters that the network does not use",
		"weights.pth", "all checks passed"} {
		if !strings.Contains(text, want) {
			t.Errorf("the certificate does not say %q:\n%s", want, text)
		}
	}
	b := testkit.Read(t, out)
	var c struct {
		Passed bool
		verify.Certificate
	}
	if err := json.Unmarshal(b, &c); err != nil || !c.Passed || len(c.Files) != 2 {
		t.Errorf("error %v, passed %t, files %v", err, c.Passed, c.Files)
	}
}

func TestVerifyONNXAlone(t *testing.T) {
	text := mustRun(t, "verify", "--onnx", filepath.Join(verifyData, "energy.onnx"), "--reference", filepath.Join(verifyData, "reference.npz"),
		"--without-interpreter", "--json")
	if !strings.Contains(text, `"passed": true`) || strings.Contains(text, `"weights_sha256"`) {
		t.Errorf("the certificate is\n%s", text)
	}
}

// TestVerifyFails certifies other weights against the reference.
func TestVerifyFails(t *testing.T) {
	testkit.Long(t)
	golden := filepath.Join(verifyData, "reference.npz")
	code, stdout, stderr := ebmRun(t, "verify", "--weights", filepath.Join(verifyData, "weights.pth"), "--activation", "softplus",
		"--reference", golden, "--without-training")
	if code != 1 || !strings.Contains(stdout, "FAILED") || !strings.Contains(stderr, "a check failed") {
		t.Errorf("exit status %d for another activation\n%s%s", code, stdout, stderr)
	}
	for _, c := range []struct {
		status int
		args   []string
		want   string
	}{
		{1, []string{"verify", "--weights", tinyWeights(t), "--reference", golden}, "the model takes [N 1 16 16]"},
		{1, []string{"verify", "--run", "mnist16", "--reference", filepath.Join(verifyData, "none.npz")}, "none.npz"},
		{1, []string{"verify", "--run", "mnist16", "--runtimes", "--without-training", "--python", "no-such-python"}, "no-such-python"},
		{2, []string{"verify", "--run", "mnist16", "--without-interpreter"}, "--reference"},
		{2, []string{"verify", "--run", "mnist16", "--python", "python3"}, "--runtimes"},
		{2, []string{"verify", "--onnx", "score.onnx", "--images", "."}, "--images"},
		{2, []string{"verify", "--run", "mnist16", "--tolerance", "-1"}, "--tolerance -1"},
	} {
		code, _, stderr := ebmRun(t, c.args...)
		if code != c.status || !strings.Contains(stderr, c.want) {
			t.Errorf("ebm %s: exit status %d, %q, want %d and %q", strings.Join(c.args, " "), code, stderr, c.status, c.want)
		}
	}
}

// TestExportListsWhatDoesNotFit exports a checkpoint with a parameter missing,
// one too many, and one of another shape.
func TestExportListsWhatDoesNotFit(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	code, _, stderr := ebmRun(t, "export", "--weights", filepath.Join(verifyData, "bad.pth"), "--out", out)
	if code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	for _, want := range []string{
		"bad.pth", "closest is res6 dim 2, 3×8×8",
		"missing rb2.conv_2.conv.bias [8]", "unexpected extra.weight [7]", "rb1.conv_1.conv.weight has shape [2 2 5 5], want [2 2 3 3]",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("the error does not say %q:\n%s", want, stderr)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the folder was made")
	}
}
