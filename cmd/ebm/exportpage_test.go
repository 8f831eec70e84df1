package main

import (
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/testkit"
)

// TestInstallForPages refuses a file that is not onnxruntime-web's, and that
// provider anywhere else.
func TestInstallForPages(t *testing.T) {
	file := testkit.Write(t, filepath.Join(t.TempDir(), "package.tgz"), []byte("no package"))
	code, _, stderr := ebmRun(t, "runtime", "install", "--provider", "web", file)
	if code != 1 || !strings.Contains(stderr, "install onnxruntime-web: "+file+" has SHA-256") {
		t.Errorf("exit status %d, %q, want 1 and the file's hash", code, stderr)
	}
	code, _, stderr = ebmRun(t, "sample", "--provider", "web", "--run", "mnist16", "--out", t.TempDir())
	if code != 2 || !strings.Contains(stderr, `"web"`) {
		t.Errorf("exit status %d, %q, want 2 and the provider", code, stderr)
	}
}
