package main

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm"
	"ebm/internal/testkit"
	"ebm/models/energy"
	"ebm/models/tensor"
	"ebm/runtime"
)

const models = "../../../../mdsm/train/testdata"

// TestRun writes a folder and checks what parity.py asks of the arrays before
// it compares anything.
func TestRun(t *testing.T) {
	testkit.Long(t)
	dir := filepath.Join(t.TempDir(), "deep", "parity")
	if err := run(t.Context(), dir, models); err != nil {
		t.Fatal(err)
	}
	want := []string{"model.safetensors", "points", "steps"}
	var got []string
	for _, k := range ebm.Kinds() {
		want = append(want, string(k)+".npz", string(k)+".onnx")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the folder has %q, want %q", got, want)
	}
	for _, k := range ebm.Kinds() {
		arrays := testkit.Arrays(t, filepath.Join(dir, string(k)+".npz"))
		sides := map[string]int{}
		for name, a := range arrays {
			side, rest, _ := strings.Cut(name, "/")
			sides[side]++
			values := a.Float64s()
			if slices.ContainsFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
				t.Errorf("%s: %s is not finite", k, name)
			}
			if side == "in" && !slices.ContainsFunc(values, func(v float64) bool { return v != 0 }) {
				t.Errorf("%s: %s is zero everywhere", k, rest)
			}
		}
		if sides["in"] == 0 || sides["out"] == 0 || len(sides) != 2 {
			t.Errorf("%s: arrays on the sides %v", k, sides)
		}
		if x := arrays["in/x"]; x == nil || x.Shape()[0] < 2 {
			t.Errorf("%s: x is %v, want two or more", k, x)
		}
	}
	weights := testkit.Arrays(t, filepath.Join(dir, "train.npz"))
	for _, name := range []string{"conv1.conv.weight", "rb3.conv_2.conv.bias", "lq.weight"} {
		for _, suffix := range []string{"", ".m", ".v", ".ema"} {
			before, after := weights["in/"+name+suffix], weights["out/"+name+suffix+".next"]
			if before == nil || after == nil || slices.Equal(before.Float64s(), after.Float64s()) {
				t.Errorf("%s%s: %v before the step, %v after it", name, suffix, before, after)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	testkit.Write(t, file, nil)
	if err := run(t.Context(), file, models); err == nil {
		t.Error("a file was taken for a folder")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, t.TempDir(), models); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	w := energy.Weights{"a": tensor.New(tensor.Float32, 2)}
	for _, info := range []runtime.ValueInfo{
		{Name: "unknown", DType: tensor.Float32, Shape: []int{2}, Symbols: []string{""}},
		{Name: "a.w", DType: tensor.Float32, Shape: []int{2}, Symbols: []string{""}},
		{Name: "x", DType: tensor.Float32, Shape: []int{-1, 2}, Symbols: []string{"M", ""}},
	} {
		if _, err := draw([]runtime.ValueInfo{info}, w, nil); err == nil || !strings.Contains(err.Error(), info.Name) {
			t.Errorf("input %s %v: error %v, want one that names it", info.Name, info, err)
		}
	}
	if a, b := split("a.ema", w); a != "a" || b != ".ema" {
		t.Errorf("a.ema is %q and %q", a, b)
	}
}
