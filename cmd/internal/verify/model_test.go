package verify_test

import (
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"ebm/cmd/internal/verify"
	"ebm/export"
	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// TestForeignModel certifies the energy that PyTorch exported, and a score
// model without its weights' file.
func TestForeignModel(t *testing.T) {
	rt := testkit.Open(t, 0)
	o := quick
	o.Reference = reference(t, goldenFile)
	c, err := verify.Model(t.Context(), rt, "../../../testdata/energy.onnx", o)
	if want := []string{"energy", "reference", "reference in float64"}; err != nil || !c.Passed() || !slices.Equal(names(c), want) {
		t.Errorf("checks %q, failed %q, error %v", names(c), failed(c), err)
	}
	if !strings.Contains(text(t, c), "computes only the energy") {
		t.Errorf("the certificate does not say what the file lacks:\n%s", text(t, c))
	}

	net, w := torch(t)
	score := model(t, mdsm.ScoreGraph(net, w))
	c, err = verify.Model(t.Context(), rt, score, o)
	if want := []string{"energy", "score", "score in float64", "reference", "reference in float64"}; err != nil || !c.Passed() ||
		!slices.Equal(names(c), want) {
		t.Errorf("checks %q, failed %q, error %v", names(c), failed(c), err)
	}
	if i := slices.IndexFunc(c.Files, func(f verify.File) bool {
		return f.Role == "model" && f.SHA256 == c.Model &&
			f.Name == "score.onnx"
	}); i < 0 {
		t.Errorf("the files %v lack the model", c.Files)
	}
	if c.Weights != "" {
		t.Errorf("the weights' hash is %s, though there are none beside the file", c.Weights)
	}
}

// TestFixedBatch certifies a file that takes two pictures, no more and no
// less.
func TestFixedBatch(t *testing.T) {
	net, w := torch(t)
	path := filepath.Join(t.TempDir(), "two.onnx")
	if err := export.WriteFile(path, mdsm.ScoreGraph(net, w), export.Options{Sizes: map[string]int{"N": 2}}); err != nil {
		t.Fatal(err)
	}
	o := verify.Options{Sigmas: []float64{0, 1, 2}, Directions: 1, Reference: reference(t, goldenFile), WithoutTraining: true}
	rt := testkit.Open(t, 0)
	c, err := verify.Model(t.Context(), rt, path, o)
	if err != nil || !c.Passed() || len(c.Checks) != 5 {
		t.Errorf("alone: checks %q, failed %q, error %v", names(c), failed(c), err)
	}
	o.Model = path
	c, err = verify.Score(t.Context(), rt, net, w, o)
	if err != nil || !c.Passed() || len(c.Checks) != 5 {
		t.Errorf("with weights: checks %q, failed %q, error %v", names(c), failed(c), err)
	}
}

func TestModelErrors(t *testing.T) {
	rt := testkit.Open(t, 0)
	build := func(f func(g *graph.Graph)) string {
		g := graph.New("odd")
		f(g)
		return model(t, g)
	}
	for want, path := range map[string]string{
		"one input x": build(func(g *graph.Graph) {
			g.Output("energy", g.Input("pictures", tensor.Float32, graph.Batch(2)))
		}),
		"neither an output energy": build(func(g *graph.Graph) {
			g.Output("y", g.Input("x", tensor.Float32, graph.Batch(2)))
		}),
		"all but its batch": build(func(g *graph.Graph) {
			g.Output("energy", graph.ReduceSum(g.Input("x", tensor.Float32, graph.Shape{graph.Sym("N"), graph.Sym("C")}), 1))
		}),
		"none.onnx": filepath.Join(t.TempDir(), "none.onnx"),
	} {
		if _, err := verify.Model(t.Context(), rt, path, quick); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// fakePython writes a program that stands for a Python: it prints a report and
// leaves outputs. It gets the script's arguments.
func fakePython(t *testing.T, script string) (path string) {
	t.Helper()
	if goruntime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	path = filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nset -e\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

const ran = `{"python": "3.0", "runtimes": {"onnxruntime": {"status": "ran", "version": "9.9"}, "onnx": {"status": %s}}}`

// TestOtherRuntimes compares with what a Python says, which here is no Python:
// energy and score of the golden tensors, right and wrong ones.
func TestOtherRuntimes(t *testing.T) {
	net, w := torch(t)
	rt := testkit.Open(t, 0)
	golden := reference(t, goldenFile)
	write := func(change float32) string {
		path := filepath.Join(t.TempDir(), "out.npz")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		score := golden.Score.Clone()
		tensor.Data[float32](score)[17] += change
		if err := npz.Write(f, map[string]*tensor.Tensor{"onnxruntime/energy": golden.Energy, "onnxruntime/score": score},
			npz.Store); err != nil {
			t.Fatal(err)
		}
		return path
	}
	right := fmt.Sprintf("cp %s \"$4\"\n", write(0))
	for _, c := range []struct {
		name, script string
		checks       int // of other runtimes
		passed       bool
		want         string // in the certificate
	}{
		{"agrees", right + "echo '" + fmt.Sprintf(ran, `"absent", "reason": "No module named onnx"`) + "'", 1, true,
			"reference evaluator was not run: No module named onnx"},
		{"differs", fmt.Sprintf("cp %s \"$4\"\n", write(0.01)) + "echo '" + fmt.Sprintf(ran, `"absent"`) + "'", 1, false,
			"ONNX Runtime of Python 9.9 (Python 3.0)"},
		{"one fails", right + "echo '" + fmt.Sprintf(ran, `"failed", "reason": "no such operator"`) + "'", 2, false, "failed: no such operator"},
		{"nothing there", `echo '{"python": "3.0", "runtimes": {"onnxruntime": {"status": "absent", "reason": "no numpy"}, ` +
			`"onnx": {"status": "absent", "reason": "no numpy"}}}'`,
			0, true, "ONNX Runtime of Python was not run: no numpy"},
	} {
		o := verify.Options{Reference: golden, WithoutTraining: true, WithoutInterpreter: true, OtherRuntimes: true,
			Python: fakePython(t, c.script)}
		cert, err := verify.Score(t.Context(), rt, net, w, o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		found := 0
		for _, name := range names(cert) {
			if name == "other runtime" {
				found++
			}
		}
		if found != c.checks || cert.Passed() != c.passed || !strings.Contains(text(t, cert), c.want) {
			t.Errorf("%s: %d checks, passed %t, want %d, %t and %q\n%s", c.name, found, cert.Passed(), c.checks, c.passed, c.want, text(t, cert))
		}
	}
	for want, script := range map[string]string{
		"it hurts":  "echo it hurts >&2\nexit 3\n",
		"no report": "echo hello",
	} {
		o := verify.Options{Reference: golden, WithoutTraining: true, WithoutInterpreter: true, OtherRuntimes: true,
			Python: fakePython(t, script)}
		if _, err := verify.Score(t.Context(), rt, net, w, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	o := verify.Options{Reference: golden, WithoutTraining: true, WithoutInterpreter: true, OtherRuntimes: true,
		Python: filepath.Join(t.TempDir(), "none")}
	if _, err := verify.Score(t.Context(), rt, net, w, o); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("error %v, want one that names the program", err)
	}
	t.Setenv("PATH", t.TempDir())
	o.Python = ""
	if c, err := verify.Score(t.Context(), rt, net, w, o); err != nil || !strings.Contains(text(t, c), "no other runtime was run") {
		t.Errorf("error %v without any Python; the certificate does not say what was not run", err)
	}
}
