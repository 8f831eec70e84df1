package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/mdsm/train"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

const stepData = "../../mdsm/train/testdata"

// circle writes a table of points with the class of each, 1 in a circle.
func circle(t *testing.T, n int) string {
	t.Helper()
	x := make([]float32, 4*n)
	rng.New(3).Normal(x, rng.Density, 0, 0)
	text := "a;b;c;d;inside\n"
	for i := range n {
		p, class := x[4*i:4*i+4], 0
		if p[0]*p[0]+p[1]*p[1] < 1.4 {
			class = 1
		}
		text += fmt.Sprintf("%g;%g;%g;%g;%d\n", p[0], p[1], p[2], p[3], class)
	}
	path := filepath.Join(t.TempDir(), "circle.csv")
	testkit.Write(t, path, []byte(text))
	return path
}

// TestFit trains a network with batch normalisation and dropout to tell classes
// apart: in one go and in parts, to the same bytes, and the files that it leaves
// compute what was measured.
func TestFit(t *testing.T) {
	if testing.Short() {
		t.Skip("trains")
	}
	data, whole, parts := circle(t, 600), filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "parts")
	model := filepath.Join(stepData, "fit.onnx")
	args := []string{"fit", model, "--data", data, "--learning-rate", "0.02", "--checkpoint-every", "20", "--validate-every", "30"}
	type result struct {
		Step int
		Best struct {
			Step           int
			Loss, Accuracy float64
		}
	}
	r := decode[result](t, mustRun(t, append(args, "--steps", "120", "--out", whole, "--json")...))
	if r.Step != 120 || !(r.Best.Accuracy > 0.8) || !(r.Best.Loss < 0.6) {
		t.Errorf("the result is %+v", r)
	}
	mustRun(t, append(args, "--steps", "120", "--out", parts)...)
	// As after a kill between checkpoints: the newest one and what followed is gone.
	for _, name := range []string{"step-00000120", "step-00000100"} {
		if err := os.RemoveAll(filepath.Join(parts, "checkpoints", name)); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, "fit", "--resume", "--out", parts)
	testkit.SameFiles(t, parts, whole, train.FitModelFile, train.FitBestFile, train.FitBestScore)

	rt := testkit.Open(t, 1)
	best, err := rt.LoadFile(filepath.Join(whole, train.FitBestFile), runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer best.Close()
	x := tensor.Of([]float32{0, 0, 0, 0, 3, 3, 0, 0}, 2, 4)
	out, err := best.Run(t.Context(), map[string]*tensor.Tensor{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	if y := tensor.Data[float32](out["y"]); !(y[1] > y[0]) || !(y[2] > y[3]) {
		t.Errorf("the logits of a point inside and one outside are %v", y)
	}
	var line map[string]float64
	lines := strings.Split(strings.TrimSpace(string(testkit.Read(t, filepath.Join(whole, "metrics.jsonl")))), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil || math.IsNaN(line["validation_accuracy"]) ||
		line["validation_loss"] == 0 {
		t.Errorf("the last metrics are %v (%v)", line, err)
	}
}

func TestFitErrors(t *testing.T) {
	dir, model := t.TempDir(), filepath.Join(stepData, "fit.onnx")
	data := circle(t, 40)
	short := filepath.Join(dir, "short.csv")
	testkit.Write(t, short, []byte("1,2,3\n4,5,6\n"))
	text := filepath.Join(dir, "text.csv")
	testkit.Write(t, text, []byte("1,2,3,4,0\n1,2,cat,4,0\n"))
	classes := filepath.Join(dir, "classes.csv")
	testkit.Write(t, classes, []byte("1,2,3,4,0.5\n"))
	arrays := filepath.Join(dir, "a.npz")
	f, err := os.Create(arrays)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := npz.Write(f, map[string]*tensor.Tensor{"x": tensor.New(tensor.Float32, 3, 4)}, npz.Store); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "run")
	for want, args := range map[string][]string{
		"want --out DIR":                         {model, "--data", data},
		"want an ONNX file":                      {"--data", data, "--out", out},
		"want --data":                            {model, "--out", out},
		"3 columns, want 4 of the input and 1":   {model, "--data", short, "--out", out},
		`line 2, column 3: "cat", want a number`: {model, "--data", text, "--out", out},
		"0.5 in row 0, want whole numbers":       {model, "--data", classes, "--out", out},
		"want one called target or y":            {model, "--data", arrays, "--out", out},
		"no such file":                           {model, "--data", filepath.Join(dir, "none.npz"), "--out", out},
		"not an ONNX model":                      {data, "--data", data, "--out", out},
		`--optimizer "rms", want one of`:         {model, "--data", data, "--optimizer", "rms", "--out", out},
		"--weight-decay 0.1, want 0 for adam":    {model, "--data", data, "--optimizer", "adam", "--weight-decay", "0.1", "--out", out},
		"no initialiser is called body.*":        {model, "--data", data, "--freeze", "body.*", "--out", out},
		"no output called z":                     {model, "--data", data, "--output", "z", "--out", out},
		"has no target":                          {model, "--data", data, "--loss", "output", "--out", out},
	} {
		code, _, stderr := ebmRun(t, append([]string{"fit"}, args...)...)
		if code == 0 || !strings.Contains(stderr, want) || strings.Count(stderr, "ebm: ") != 1 {
			t.Errorf("%q: exit status %d and %q, want %q", args, code, stderr, want)
		}
	}
}

// TestTrainingStep makes the step of a network as a file, and runs it: a step is a
// function of its inputs, and lowers the loss.
func TestTrainingStep(t *testing.T) {
	dir, model := t.TempDir(), filepath.Join(stepData, "fit.onnx")
	step, first := filepath.Join(dir, "train.onnx"), filepath.Join(dir, "first.npz")
	mustRun(t, "training-step", model, "--optimizer", "lion", "--clip", "1", "--freeze", "0.*", "--out", step, "--weights", first)
	values, err := npz.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	if len(values) != 6 || values["0.weight"] != nil || values["1.running_mean"] == nil {
		t.Errorf("the first values are %v", values)
	}
	rt := testkit.Open(t, 1)
	s, err := rt.LoadFile(step, runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := make([]float32, 64)
	rng.New(1).Normal(x, rng.Density, 0, 0)
	target := make([]int64, 16)
	for i := range target {
		if x[4*i] > 0 {
			target[i] = 1
		}
	}
	in := map[string]*tensor.Tensor{
		"x": tensor.Of(x, 16, 4), "target": tensor.Of(target, 16), "learning_rate": tensor.Of([]float32{0.02}, 1),
		"dropout_seed": tensor.Of([]int64{5}, 1),
	}
	for name, v := range values {
		in[name] = v
		if !strings.Contains(name, "running") {
			in[name+".m"] = tensor.New(tensor.Float32, v.Shape()...)
		}
	}
	var losses []float32
	for i := range 40 {
		in["step"] = tensor.Of([]int64{int64(i + 1)}, 1)
		out, err := s.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			again, err := s.Run(t.Context(), in)
			if err != nil || testkit.Apart(again["loss"], out["loss"]) != 0 {
				t.Errorf("the same step twice has losses %v and %v (%v)", out["loss"].Raw(), again["loss"].Raw(), err)
			}
			in["dropout_seed"] = tensor.Of([]int64{6}, 1)
			if other, err := s.Run(t.Context(), in); err != nil || testkit.Apart(other["loss"], out["loss"]) == 0 {
				t.Errorf("another seed of dropout has the same loss (%v)", err)
			}
		}
		losses = append(losses, tensor.Data[float32](out["loss"])[0])
		for name, v := range out {
			if input, ok := strings.CutSuffix(name, ".next"); ok {
				in[input] = v
			}
		}
	}
	if !(losses[39] < 0.7*losses[0]) {
		t.Errorf("the losses are %v", losses)
	}

	energy := filepath.Join(formats, "energy.onnx")
	if text := mustRun(t, "training-step", energy, "--loss", "mdsm", "--out", step); !strings.Contains(text, "weights of") {
		t.Errorf("it says %q", text)
	}
	for want, args := range map[string][]string{
		"want --out":            {model},
		`--energy-of "cubes"`:   {energy, "--loss", "mdsm", "--energy-of", "cubes", "--out", step},
		"no output called heat": {energy, "--loss", "mdsm", "--energy", "heat", "--out", step},
		"--sigma0 -1":           {energy, "--loss", "mdsm", "--sigma0", "-1", "--out", step},
		"label_smoothing":       {model, "--label-smoothing", "2", "--out", step},
	} {
		if code, _, stderr := ebmRun(t, append([]string{"training-step"}, args...)...); code == 0 ||
			!strings.Contains(strings.ReplaceAll(stderr, "label-smoothing", "label_smoothing"), want) {
			t.Errorf("%q: exit status %d and %q, want %q", args, code, stderr, want)
		}
	}
}

// TestFitLoRA trains low-rank changes, in one go and in parts, and merges them with
// the file that was trained: to the bytes of the run's model.
func TestFitLoRA(t *testing.T) {
	data, folder := circle(t, 200), t.TempDir()
	model := filepath.Join(stepData, "fit.onnx")
	args := []string{"fit", model, "--data", data, "--lora", "rank=2,alpha=4", "--learning-rate", "0.02", "--checkpoint-every", "7", "--quiet",
		"--mode", "inference"} // running statistics, which are no part of an adapter, stay
	whole, parts := filepath.Join(folder, "whole"), filepath.Join(folder, "parts")
	mustRun(t, append(args, "--steps", "20", "--out", whole)...)
	mustRun(t, append(args, "--steps", "20", "--out", parts)...)
	if err := os.RemoveAll(filepath.Join(parts, "checkpoints", "step-00000020")); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "fit", "--resume", "--quiet", "--out", parts)
	testkit.SameFiles(t, parts, whole, train.FitModelFile, filepath.Join(train.FitAdapterDir, train.AdapterFile))
	for _, dir := range []string{train.FitAdapterDir, train.FitBestAdapterDir} {
		set := mustRun(t, "inspect", filepath.Join(whole, dir, train.AdapterFile))
		for _, want := range []string{"base_model.model.0.lora_A.weight", "base_model.model.4.lora_B.weight"} {
			if !strings.Contains(set, want) {
				t.Errorf("%s has no %s: %s", dir, want, set)
			}
		}
	}
	merged := filepath.Join(folder, "merged.onnx")
	mustRun(t, "convert", model, merged, "--adapter", filepath.Join(whole, train.FitAdapterDir))
	if !bytes.Equal(testkit.Read(t, filepath.Join(whole, train.FitModelFile)), testkit.Read(t, merged)) {
		t.Error("the merged file is not the run's model")
	}
	if code, _, stderr := ebmRun(t, "fit", "--resume", "--lora", "rank=3", "--out", parts); code == 0 || !strings.Contains(stderr, "--lora") {
		t.Errorf("another rank: exit status %d, %q, want the flag", code, stderr)
	}
	if code, _, stderr := ebmRun(t, append(args, "--train", "0.*", "--out", filepath.Join(folder, "both"))...); code != 2 ||
		!strings.Contains(stderr, "--lora") {
		t.Errorf("--train beside it: exit status %d, %q, want 2 and the flag", code, stderr)
	}
}
