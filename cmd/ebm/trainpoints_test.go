package main

import (
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
)

// TestTrainPoints trains an MLP on a table, goes on after a stop, and samples it in
// the table's units; then trains that energy's own ONNX file further, as anybody's.
func TestTrainPoints(t *testing.T) {
	if testing.Short() {
		t.Skip("trains and samples")
	}
	dir := t.TempDir()
	x := make([]float32, 2*400)
	rng.New(2).Normal(x, rng.Density, 0, 0)
	points := tensor.New(tensor.Float32, 400, 2)
	for i, v := range x { // around (50, -3), with deviations 4 and 0.1
		tensor.Data[float32](points)[i] = []float32{50 + 4*v, -3 + 0.1*v}[i%2]
	}
	data := filepath.Join(dir, "points.npy")
	f, err := os.Create(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := npz.WriteNpy(f, points); err != nil {
		t.Fatal(err)
	}
	f.Close()
	whole, parts := filepath.Join(dir, "whole"), filepath.Join(dir, "parts")
	args := []string{"train", "--data", data, "--hidden", "16,16", "--batch", "64", "--checkpoint-every", "50", "--validate-every", "100"}
	mustRun(t, append(args, "--steps", "300", "--out", whole)...)
	mustRun(t, append(args, "--steps", "300", "--out", parts)...)
	for _, step := range []string{"step-00000300", "step-00000250"} {
		if err := os.RemoveAll(filepath.Join(parts, "checkpoints", step)); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, "train", "--resume", "--out", parts)
	testkit.SameFiles(t, parts, whole, "checkpoints/step-00000300/model.safetensors")
	// The samples' noise and places are their own, so that their pictures are too.
	testkit.SameFiles(t, parts, whole, "grids/step-00000300.png")

	mustRun(t, "sample", "--run", whole, "--count", "200", "--steps", "100", "--step-size", "0.05", "--chains", "2")
	drawn, err := npz.ReadFile(filepath.Join(whole, "samples", "samples.npz"))
	if err != nil || drawn["arr_0"].DType() != tensor.Float32 || drawn["arr_0"].Shape()[1] != 2 {
		t.Fatalf("samples are %v (%v)", drawn["arr_0"], err)
	}
	var mean [2]float64
	for i, v := range tensor.Data[float32](drawn["arr_0"]) {
		mean[i%2] += float64(v) / 200
	}
	if math.Abs(mean[0]-50) > 3 || math.Abs(mean[1]+3) > 0.1 {
		t.Errorf("the samples' mean is %v, want (50, −3)", mean)
	}
	if picture := testkit.Read(t, filepath.Join(whole, "samples", "scatter.png")); !strings.HasPrefix(string(picture), "\x89PNG") {
		t.Error("scatter.png is no picture")
	}
	page := string(testkit.Read(t, filepath.Join(whole, "report.html")))
	for _, want := range []string{"over the contours of the energy", "data:image/png;base64,", "Settings of the run", "Training"} {
		if !strings.Contains(page, want) {
			t.Errorf("the report has no %q", want)
		}
	}

	mustRun(t, "export", "--run", whole, "--kinds", "energy", "--out", filepath.Join(dir, "files"))
	energy, own := filepath.Join(dir, "files", "energy.onnx"), filepath.Join(dir, "own")
	mustRun(t, "train", "--model", energy, "--data", "moons", "--points", "500", "--batch", "64", "--steps", "60", "--out", own)
	mustRun(t, "train", "--resume", "--out", own, "--steps", "80")
	mustRun(t, "sample", "--run", own, "--count", "20", "--steps", "20")
	if text := mustRun(t, "inspect", own); !strings.Contains(text, "an ONNX file") {
		t.Errorf("inspect says %q", text)
	}
	timed := filepath.Join(dir, "timed") // as many updates as fit, over which the rate falls
	mustRun(t, "train", "--model", energy, "--data", "moons", "--points", "500", "--batch", "64", "--time", "1s", "--out", timed)
	s, err := train.ReadSettings(timed)
	if newest, errNewest := train.Newest(timed); err != nil || errNewest != nil || newest.Step < 1 || newest.Step > s.Steps {
		t.Errorf("in a second to %+v of %d steps, errors %v and %v", newest, s.Steps, err, errNewest)
	}

	for want, args := range map[string][]string{
		"want mlp for points":      {"--data", "rings", "--net", "res6"},
		"--data FOLDER":            {"--model", energy},
		"--hidden [0]":             {"--data", "rings", "--hidden", "0"},
		"are outside 0..1":         {"--data", filepath.Join(whole, "samples", "snapshots.npz")},
		`--energy-of "cubes"`:      {"--model", energy, "--data", "rings", "--energy-of", "cubes"},
		"no value is called cubes": {"--model", energy, "--data", "rings", "--energy", "cubes"},
	} {
		if code, _, stderr := ebmRun(t, append([]string{"train", "--out", filepath.Join(dir, "bad")}, args...)...); code == 0 ||
			!strings.Contains(stderr, want) {
			t.Errorf("%q: exit status %d and %q, want %q", args, code, stderr, want)
		}
	}
}
