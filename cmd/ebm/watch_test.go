package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/testkit"
)

// TestWatchOnce prints a table of runs, without what a terminal would obey.
func TestWatchOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "run\x1b[2J"), os.DirFS("testdata/formats/run")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "samples"), os.DirFS("testdata/formats/samples")); err != nil {
		t.Fatal(err)
	}
	out := mustRun(t, "watch", dir, "--once")
	for _, want := range []string{"run\ufffd[2J\tmnist\t6\t6\t237.1\t\t47.56\tdone\n", "samples\t6\t6\t\t\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("the table is %q, want %q in it", out, want)
		}
	}
	testkit.Write(t, filepath.Join(dir, "job", "parts.json"), []byte(`{"command": "restore", "flags": {}}`))
	testkit.Write(t, filepath.Join(dir, "job", "parts", "000002-of-000003.json"),
		[]byte(`{"part": "2/3", "host": "n7", "done": 20, "total": 30, "unit": "steps", "rate": 5, "problem": "no space left"}`))
	out = mustRun(t, "watch", dir, "--once")
	for _, want := range []string{"job\trestore\t0\t3\t0\t1\t20\t90\tsteps\t22\t\t\n",
		"job: part 2/3 on n7, 66 % done, ended: no space left\n",
		"job: 2 of 3 parts have not begun\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("the table is %q, want %q in it", out, want)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("the table is %q, want no escape in it", out)
	}
	for args, want := range map[string]string{
		"--once --address 127.0.0.1:0": "--address", "--json --open": "--open",
	} {
		code, _, errs := ebmRun(t, append([]string{"watch", dir}, strings.Fields(args)...)...)
		if code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit status %d, %q, want 2 and %s", args, code, errs, want)
		}
	}
	file := testkit.Write(t, filepath.Join(dir, "file"), nil)
	for _, none := range []string{file, filepath.Join(dir, "none"), testkit.Mkdir(t, dir, "empty")} {
		if code, _, errs := ebmRun(t, "watch", none, "--once"); code != 1 || !strings.Contains(errs, none) {
			t.Errorf("%s: exit status %d, %q, want 1 and the name", none, code, errs)
		}
	}
}
