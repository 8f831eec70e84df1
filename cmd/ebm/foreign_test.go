package main

import (
	"cmp"
	"path/filepath"
	"strings"
	"testing"

	"ebm"
	"ebm/export"
	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/mdsm/samples"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// TestForeignEnergies samples energies of other names and forms, each that of a normal
// distribution in the plane: numbers for each point, one sum, and what is made of
// several numbers, also in float16.
func TestForeignEnergies(t *testing.T) {
	if testing.Short() {
		t.Skip("draws samples of six energies")
	}
	dir := t.TempDir()
	square := func(x *graph.Node) *graph.Node { return graph.Scale(graph.Mul(x, x), 0.5) }
	for name, c := range map[string]struct {
		dtype  tensor.DType
		output func(x *graph.Node) *graph.Node
		args   []string
		is     string // how the energy is wrong, "" if it is not
	}{
		"each":      {tensor.Float32, func(x *graph.Node) *graph.Node { return graph.KeepDims(graph.ReduceSum(square(x), 1), x, 1) }, nil, ""},
		"sum":       {tensor.Float32, func(x *graph.Node) *graph.Node { return graph.ReduceSum(square(x)) }, nil, ""},
		"half":      {tensor.Float16, func(x *graph.Node) *graph.Node { return graph.ReduceSum(square(x), 1) }, nil, ""},
		"linear":    {tensor.Float32, square, []string{"--energy-of", "linear"}, ""},
		"quadratic": {tensor.Float32, func(x *graph.Node) *graph.Node { return x }, []string{"--energy-of", "quadratic"}, ""},
		"logits": {tensor.Float32, func(x *graph.Node) *graph.Node {
			e := graph.KeepDims(graph.ReduceSum(square(x), 1), x, 1)
			return graph.Neg(graph.Concat(1, e, graph.Shift(e, 5)))
		}, []string{"--energy-of", "logits"}, ""},
		"vector": {tensor.Float32, square, nil, "want a float32 for each x"},
	} {
		g := graph.New(name)
		in := g.Input("points", c.dtype, graph.Shape{graph.Sym("B"), graph.Const(2)})
		g.Output("heat", graph.Cast(c.output(graph.Cast(in, tensor.Float32)), c.dtype))
		path := filepath.Join(dir, name+".onnx")
		if err := export.WriteFile(path, g, export.Options{}); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"--run", path, "--input", "points", "--energy", "heat"}, c.args...)
		out := filepath.Join(dir, name)
		code, _, stderr := ebmRun(t, append([]string{"sample", "--count", "200", "--steps", "80", "--schedule", "constant", "--step-size", "0.5",
			"--chains", "0", "--grid", "0", "--out", out}, args...)...)
		if c.is != "" {
			if code == 0 || !strings.Contains(stderr, c.is) {
				t.Errorf("%s: exit status %d and %q, want %q", name, code, stderr, c.is)
			}
			continue
		}
		if code != 0 {
			t.Errorf("%s: %s", name, stderr)
			continue
		}
		tolerance := map[string]string{"half": "0.005"}[name] // the interpreter rounds nothing to float16
		mustRun(t, append([]string{"verify", "--quiet", "--tolerance", cmp.Or(tolerance, "1e-6")}, args...)...)
		drawn, err := npz.ReadFile(filepath.Join(out, samples.ArchiveFile))
		if err != nil {
			t.Fatal(err)
		}
		sum, n := 0.0, 0.0
		for _, v := range tensor.Data[float32](drawn["arr_0"]) {
			sum, n = sum+float64(v)*float64(v), n+1
		}
		// 1/(1 − ε²/4) = 1.07, with a standard error of 0.08.
		if v := sum / n; v < 0.75 || v > 1.4 {
			t.Errorf("%s: the variance is %g", name, v)
		}
	}
	if code, _, stderr := ebmRun(t, "verify", "--run", filepath.Join(dir, "each.onnx"), "--input", "places"); code == 0 ||
		!strings.Contains(stderr, "places") {
		t.Errorf("verify of another input: exit status %d and %q", code, stderr)
	}
	if _, err := ebm.Load(filepath.Join(dir, "each.onnx")); err == nil || !strings.Contains(err.Error(), "want energy or score") {
		t.Errorf("error %v without names", err)
	}
}

// TestEvaluateForeignEnergies measures an energy of pictures with other names and a
// symbolic size, whose σ₀ is said by a flag.
func TestEvaluateForeignEnergies(t *testing.T) {
	testkit.Long(t)
	g := graph.New("bright")
	in := g.Input("pixels", tensor.Float32, graph.Shape{graph.Sym("B"), graph.Const(1), graph.Sym("S"), graph.Sym("S")})
	d := graph.Shift(in, -0.3)
	g.Output("heat", graph.Scale(graph.ReduceSum(graph.Mul(d, d), 1, 2, 3), 5))
	path := filepath.Join(t.TempDir(), "bright.onnx")
	if err := export.WriteFile(path, g, export.Options{}); err != nil {
		t.Fatal(err)
	}
	args := []string{"evaluate", path, "--input", "pixels", "--energy", "heat", "--size", "S=16", "--data-name", "mnist",
		"--parts", "outliers",
		"--pictures", "50", "--out", filepath.Join(t.TempDir(), "report"), "--quiet"}
	text := mustRun(t, append(args, "--sigma0", "0.3")...)
	if !strings.Contains(text, "auroc_energy_mnist_train") || !strings.Contains(text, "held_out_loss") {
		t.Errorf("it says %q, want how well pictures are told apart, and the loss", text)
	}
	if code, _, stderr := ebmRun(t, args...); code != 2 || !strings.Contains(stderr, "does not say its σ₀, want --sigma0") {
		t.Errorf("without σ₀: exit status %d and %q", code, stderr)
	}
}
