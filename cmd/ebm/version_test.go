package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	asked, flag := mustRun(t, "version"), mustRun(t, "--version")
	if asked != flag || !strings.Contains(asked, "commit ") || !strings.Contains(asked, "built with ") ||
		!strings.Contains(asked, "ONNX Runtime ") {
		t.Errorf("ebm version prints %q, --version %q, want the same, with commit, build and ONNX Runtime", asked, flag)
	}
	var b build
	if err := json.Unmarshal([]byte(mustRun(t, "version", "--json")), &b); err != nil || b.Version == "" || b.Go == "" {
		t.Errorf("%+v (%v), want a version and Go's", b, err)
	}
}

// What goes into files is the version of a release, never a commit.
func TestVersionOfFilesHasNoCommit(t *testing.T) {
	for _, c := range []struct{ main, commit, want string }{
		{"v1.2.3", "0123456789abcdef0123", "v1.2.3"}, {"(devel)", "", "(devel)"}, {"", "", "(devel)"},
		{"v0.0.0-20261129120000-0123456789ab", "0123456789abcdef0123", "(devel)"},
		{"v1.2.4-0.20261129120000-0123456789ab+dirty", "0123456789abcdef0123", "(devel)"}, {"v1.2.3+dirty", "0123456789abcdef0123", "(devel)"},
	} {
		if got := release(c.main, c.commit); got != c.want {
			t.Errorf("version %q of commit %q is release %q, want %q", c.main, c.commit, got, c.want)
		}
	}
}

// Nothing is fetched or removed unasked where nobody can be asked.
func TestRuntimeInstallAsksFirst(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	code, _, errs := ebmRun(t, "runtime", "install")
	if entries, err := os.ReadDir(cache); code != 2 || len(entries) > 0 || err != nil || !strings.Contains(errs, "fetch ") ||
		!strings.Contains(errs, cache) || !strings.Contains(errs, "--yes") {
		t.Errorf("exit status %d, %q, %d files in the cache (%v), want 2, what would be changed, and nothing changed", code,
			errs, len(entries), err)
	}
	dir := filepath.Join(cache, "ebm", "onnxruntime")
	for _, name := range []string{"1.30.0-cpu", "1.31.1-cuda", "notes"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, errs := ebmRun(t, "runtime", "uninstall"); code != 2 || !strings.Contains(errs, "1.30.0-cpu") ||
		!strings.Contains(errs, "1.31.1-cuda") || strings.Contains(errs, "notes") {
		t.Errorf("exit status %d, %q, want 2 and the folders that would go", code, errs)
	}
	mustRun(t, "runtime", "uninstall", "--provider", "cuda", "--yes")
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 || left[0].Name() != "1.30.0-cpu" || left[1].Name() != "notes" {
		t.Errorf("%v (%v) are left, want the CPU's build and what is no build", left, err)
	}
}
