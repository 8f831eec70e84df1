package main

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm"
	"ebm/internal/testkit"
	"ebm/models/tensor"
	"ebm/models/zoo"
)

// A sum of an energy with itself, at half the temperature, has twice the
// energy over that temperature; the files are sampled from like any other.
func TestComposeWritesEnergies(t *testing.T) {
	testkit.Long(t)
	weights, dir := tinyWeights(t), t.TempDir()
	mustRun(t, "compose", "-q", "--run", weights, "--run", weights, "--weights", "1,2", "--temperature", "1.5", "--out", dir)
	m, err := ebm.Load(weights)
	if err != nil {
		t.Fatal(err)
	}
	one, err := m.Open(t.Context(), ebm.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	x := tensor.New(tensor.Float32, 2, 1, 16, 16)
	for i := range tensor.Data[float32](x) {
		tensor.Data[float32](x)[i] = float32(i%17) / 17
	}
	energy, score, err := one.Score(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"energy.onnx", "score.onnx"} {
		sum, err := ebm.Open(t.Context(), filepath.Join(dir, file), ebm.Config{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		e, s, err := sum.Score(t.Context(), x)
		if err != nil {
			t.Fatal(err)
		}
		for i := range e.Len() {
			if got, want := e.Float64s()[i], 2*energy.Float64s()[i]; math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
				t.Errorf("%s: energy %g, want %g", file, got, want)
			}
		}
		for i := range s.Len() {
			if got, want := s.Float64s()[i], 2*score.Float64s()[i]; math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
				t.Fatalf("%s: score %g, want %g", file, got, want)
			}
		}
		sum.Close()
	}
	out := filepath.Join(dir, "samples")
	mustRun(t, "sample", "-q", "--run", filepath.Join(dir, "score.onnx"), "--count", "2", "--steps", "3", "--out", out)
	if code, _, stderr := ebmRun(t, "inspect", filepath.Join(dir, "sampler.onnx")); code != 0 {
		t.Error(stderr)
	}
}

// The shipped classifier makes its class less energetic than others.
func TestComposeByAClass(t *testing.T) {
	weights := tinyWeights(t)
	value := func(class string) float64 {
		dir := t.TempDir()
		mustRun(t, "compose", "-q", "--run", weights, "--classifier", class, "--classifier-noisy", "--out", dir)
		e, err := ebm.Open(t.Context(), filepath.Join(dir, "energy.onnx"), ebm.Config{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		// A one: a stroke from top to bottom.
		x := tensor.New(tensor.Float32, 1, 1, 16, 16)
		for y := 3; y < 13; y++ {
			tensor.Data[float32](x)[y*16+7], tensor.Data[float32](x)[y*16+8] = 0.9, 0.5
		}
		energy, _, err := e.Score(t.Context(), x)
		if err != nil {
			t.Fatal(err)
		}
		return energy.Float64s()[0]
	}
	if one, eight := value("mnist:1"), value("mnist:8"); !(one < eight-2) {
		t.Errorf("a stroke has the energy %g as a one and %g as an eight", one, eight)
	}
}

func TestComposeUsage(t *testing.T) {
	weights, dir := tinyWeights(t), t.TempDir()
	for want, args := range map[string][]string{
		"--run":                        {"--out", dir},
		"one for each":                 {"--run", weights, "--weights", "1,2", "--out", dir},
		"number from 0":                {"--run", weights, "--classifier", "mnist:seven", "--out", dir},
		"0 to 9":                       {"--run", weights, "--classifier", "mnist:10", "--out", dir},
		"FILE.onnx":                    {"--run", weights, "--classifier", "letters:3", "--out", dir},
		"--images and --mask together": {"--run", weights, "--mask", "bottom", "--out", dir},
	} {
		code, _, stderr := ebmRun(t, append([]string{"compose", "-q"}, args...)...)
		if code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("compose %v: status %d, %q, want 2 and %q", args, code, stderr, want)
		}
	}
}

func TestModelsAreListed(t *testing.T) {
	var list []shippedModel
	if err := json.Unmarshal([]byte(mustRun(t, "models", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range list {
		names = append(names, m.Name)
		if m.Weights < 1000 || m.Steps < 1 || m.Hours <= 0 || m.Command == "" || len(m.Hash) != 64 || m.measured() == "" ||
			m.Kind == "classifier" && !(m.Accuracy > 0.8) {
			t.Errorf("%+v", m)
		}
	}
	if want := append(zoo.Names(), zoo.Classifiers()...); !slices.Equal(names, want) {
		t.Errorf("listed %v, want %v", names, want)
	}
	if out := mustRun(t, "models", "mnist16"); !strings.Contains(out, "ebm train --preset demo") {
		t.Errorf("no command in %s", out)
	}
	if code, _, stderr := ebmRun(t, "models", "mnist17"); code != 2 || !strings.Contains(stderr, "mnist16") {
		t.Errorf("status %d, %s", code, stderr)
	}
}

func TestReproduceListsItsItems(t *testing.T) {
	out := mustRun(t, "reproduce")
	for _, want := range []string{"figure A7A", "likelihood", "single-noise", "table 1"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	for want, args := range map[string][]string{"inpainting": {"table 2"}, "smoke": {"noise", "--scale", "large"}} {
		if code, _, stderr := ebmRun(t, append([]string{"reproduce", "--out", t.TempDir()}, args...)...); code != 2 ||
			!strings.Contains(stderr, want) {
			t.Errorf("reproduce %v: status %d, %q", args, code, stderr)
		}
	}
}

// One item goes all the way, on a model of the user's.
func TestReproduceAnItem(t *testing.T) {
	dir := t.TempDir()
	out := mustRun(t, "reproduce", "-q", "noise", "--scale", "smoke", "--run", "mnist16", "--out", dir)
	if !strings.Contains(out, "exponent of energy") || !strings.Contains(out, "report.html") {
		t.Error(out)
	}
}
