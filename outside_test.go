package ebm_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/testkit"
)

// TestOutsideModule builds and runs a module that is not this one and uses its
// public packages alone, with nothing but what this module needs itself.
func TestOutsideModule(t *testing.T) {
	testkit.Long(t)
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "outside"))); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644); err != nil {
		t.Fatal(err)
	}
	// With every requirement listed, as go mod tidy lists them, no more of the
	// module graph is looked up than what this module's own build has fetched.
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, requirements, ok := strings.Cut(string(mod), "\nrequire (")
	if !ok {
		t.Fatal("go.mod has no block of requirements")
	}
	own, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), append(own, "\nrequire ("+requirements...), 0o644); err != nil {
		t.Fatal(err)
	}
	tool := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go %s: %v\n%s%s", strings.Join(args, " "), err, out, errs.String())
		}
		return string(out)
	}
	tool("mod", "edit", "-replace", "ebm="+root)
	want := `points: 600 steps, 600 shown, held-out loss fell: true
points: of 300 samples near the ring: most true
points: Fréchet distance below that of shifted samples: true
points: log Z within its interval: true
points: the exported file agrees: true
pictures: resumed at step 70 to the same bits: true
pictures: another seed is refused: true
pictures: filled float32[2 1 8 8], what is given stayed: true
`
	if got := tool("run", "."); got != want {
		t.Errorf("it printed\n%swant\n%s", got, want)
	}
}
