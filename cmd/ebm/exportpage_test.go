package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/langevin"
	"ebm/models/energy"
	"ebm/runtime"
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

// TestPageOfARun says how a page is to be had where onnxruntime-web is not, and
// writes it where it is, as the demo does.
func TestPageOfARun(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir()) // where other systems have their caches
	run := filepath.Join(t.TempDir(), "run")
	if err := os.CopyFS(run, os.DirFS("testdata/formats/run")); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	a := &app{stdout: io.Discard, stderr: &said}
	defer a.close()
	path, err := writePage(t.Context(), a, run)
	if err != nil || path != "" || !strings.Contains(said.String(), "ebm runtime install --provider web") {
		t.Fatalf("without onnxruntime-web: %q, %v, and it says %q", path, err, said.String())
	}
	_, lacks := runtime.WebFolder()
	_, web, _ := strings.Cut(lacks.Error(), "\n")
	web, _, _ = strings.Cut(web, ": there is no")
	for _, name := range runtime.WebFiles() {
		testkit.Write(t, filepath.Join(testkit.Mkdir(t, web), name), []byte(name))
	}
	path, err = writePage(t.Context(), a, run)
	if err != nil || path != filepath.Join(run, "page.html") {
		t.Fatalf("with onnxruntime-web: %q, %v", path, err)
	}
	page := string(testkit.Read(t, path))
	for _, want := range []string{"Pictures from an energy: run", "Weights as int8", `"classes":["0",`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}

	// Energies of points have no levels for few steps, and samples in units of the data.
	points := &ebm.Model{Network: energy.Perceptron{In: 2, Hidden: 4}, Meta: ebm.Meta{Sigma0: 0.1, SigmaMax: 0.2,
		Mean: []float64{1, 2}, Deviation: []float64{3, 4}}}
	list, err := samplersOf(points, nil, mdsm.Chain{Updates: langevin.Default(1).Updates})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"quick", "langevin", "constant"} {
		if i >= len(list) || list[i].Name != want || list[i].Mean != 0 {
			t.Errorf("samplers of points: %+v, want %s from around 0 as number %d", list, want, i)
		}
	}

	// Wrong pictures and masks, and models that have none.
	for args, want := range map[string]string{
		"--run mnist16 --mask nowhere":                         "nowhere",
		"--run mnist16 --images none.png":                      "none.png",
		"--run testdata/formats/energy.onnx --precision int3":  "int3",
		"--run testdata/formats/energy.onnx --for triton":      "energy.onnx",
		"--run testdata/formats/energy.onnx --activation relu": "energy.onnx",
		"--run mnist16 --for triton --mask left":               "--mask",
		"--run mnist16 --out folder":                           "FILE.html",
	} {
		code, _, errs := ebmRun(t, append([]string{"export", "--for", "page", "--out", filepath.Join(t.TempDir(), "p.html")},
			strings.Fields(args)...)...)
		if code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit status %d, %q, want an error with %q", args, code, errs, want)
		}
	}
}
