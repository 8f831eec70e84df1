package train_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/export/onnximport"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/train"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/runtime"
)

// TestLoRAAgreesWithPeft trains what testdata/make_lora.py has trained with peft: the
// adapters are peft's, and so is the folder that they are written to and what a
// merged model computes.
func TestLoRAAgreesWithPeft(t *testing.T) {
	rt := testkit.Open(t, 1)
	path, want := filepath.Join("testdata", "lora", "model.onnx"), testkit.Arrays(t, "testdata/lora/lora.npz")
	f, model, err := train.ModelSettings{Path: path, LoRA: "rank=2,alpha=6"}.Read(onnximport.Options{}, true)
	if err != nil {
		t.Fatal(err)
	}
	first := f.First(model)
	for name, v := range adapterOf(t, "testdata/lora/first") {
		if first[name] == nil || !slices.Equal(first[name].Shape(), v.Shape()) {
			t.Fatalf("there is no parameter %s of shape %v", name, v.Shape())
		}
		if strings.Contains(name, "lora_B") && slices.Max(first[name].Float64s()) != 0 {
			t.Errorf("%s begins with %v, want zeros", name, first[name])
		}
		first[name] = v
	}
	examples := golden{want["x"], want["target"]}
	p, err := train.Supervised{Function: f, Loss: train.Loss{Name: train.CrossEntropy},
		Optimiser: mdsm.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: 0.01}, Data: examples, Batch: 6, First: first}.Problem()
	if err != nil {
		t.Fatal(err)
	}
	p.Fill = func(t int) { examples.fill(p.Batch, t) }
	losses := want["losses"].Float64s()
	r, err := train.Run(t.Context(), rt, p, train.Loop{
		Steps: len(losses), LearningRate: train.LearningRate{Schedule: train.Constant, Initial: 0.02},
		Hook: func(_ context.Context, u train.Update) error {
			if l := losses[u.Step-1]; math.Abs(u.Loss-l) > 1e-6*l {
				t.Errorf("step %d: loss %g, want %g", u.Step, u.Loss, l)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	after := adapterOf(t, "testdata/lora/adapter")
	for name, v := range after {
		testkit.Near(t, name, r.Weights[name], v.Float64s(), 1e-5)
	}

	dir := filepath.Join(t.TempDir(), "adapter")
	if err := f.WriteAdapter(dir, "model.onnx", r.Weights); err != nil {
		t.Fatal(err)
	}
	ours, theirs := configOf(t, dir), configOf(t, "testdata/lora/adapter")
	for key, v := range ours {
		if has, ok := theirs[key]; !ok ||
			key != "base_model_name_or_path" && key != "target_modules" && key != "fan_in_fan_out" && !equalJSON(has, v) {
			t.Errorf("adapter_config.json has %s %v, peft's has %v", key, v, has)
		}
	}
	if has := adapterOf(t, dir); len(has) != len(after) {
		t.Errorf("%d tensors in the adapter, want %d", len(has), len(after))
	}

	// What is merged of the folder that peft wrote, and of ours, computes what peft's
	// merged network does.
	for _, from := range []string{"testdata/lora/adapter", dir} {
		values, err := train.MergeAdapter(path, from)
		if err != nil {
			t.Fatal(err)
		}
		merged, err := onnximport.Patch(testkit.Read(t, path), "testdata/lora", values)
		if err != nil {
			t.Fatal(err)
		}
		session, err := rt.Load(merged, runtime.SessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := session.Run(t.Context(), map[string]*tensor.Tensor{"x": want["x"].Rows(0, 1).Reshape(6, 3, 4, 4)})
		session.Close()
		if err != nil {
			t.Fatal(err)
		}
		bound := 1e-6
		if from == dir {
			bound = 1e-5 // of trained numbers
		}
		testkit.Near(t, "y of "+filepath.Base(from), out["y"], want["y"].Float64s(), bound)
	}
}

func adapterOf(t *testing.T, dir string) map[string]*tensor.Tensor {
	t.Helper()
	set, err := weights.Load(filepath.Join(dir, train.AdapterFile))
	if err != nil {
		t.Fatal(err)
	}
	return set.Tensors()
}

func configOf(t *testing.T, dir string) (c map[string]any) {
	t.Helper()
	if err := json.Unmarshal(testkit.Read(t, filepath.Join(dir, train.AdapterConfigFile)), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func equalJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// TestAdaptersThatCannotBe are refused with what was wanted.
func TestAdaptersThatCannotBe(t *testing.T) {
	path := "testdata/lora/model.onnx"
	for setting, want := range map[string]string{
		"rank=0": "want rank=NUMBER", "rank=2,alpha=-1": "want rank=NUMBER", "alpha=2": "want rank=NUMBER", "rank=2,beta=1": "want rank=NUMBER",
	} {
		testkit.WantError(t, setting, train.ModelSettings{Path: path, LoRA: setting}.Validate(), want)
	}
	testkit.WantError(t, "targets alone", train.ModelSettings{Path: path, Target: []string{"x"}}.Validate(), "model.target")
	testkit.WantError(t, "train beside it", train.ModelSettings{Path: path, LoRA: "rank=2", Train: []string{"x"}}.Validate(), "model.lora")
	_, _, err := train.ModelSettings{Path: path, LoRA: "rank=2", Target: []string{"*.bias"}}.Read(onnximport.Options{}, true)
	testkit.WantError(t, "biases", err, "1×1 convolutions")
	_, err = train.MergeAdapter("testdata/fit.onnx", "testdata/lora/adapter")
	testkit.WantError(t, "another model", err, "8 of 8 tensors change no initialiser", "base_model.model.")

	for change, want := range map[[2]string]string{
		{`"LORA"`, `"IA3"`}: "want LORA", {`"r": 2`, `"r": 3`}: "want [3", {`"use_dora": false`, `"use_dora": true`}: "without biases and DoRA",
		{`{`, `[`}: train.AdapterConfigFile,
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("testdata/lora/adapter")); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, train.AdapterConfigFile)
		testkit.Write(t, file, []byte(strings.Replace(string(testkit.Read(t, file)), change[0], change[1], 1)))
		_, err := train.MergeAdapter(path, dir)
		testkit.WantError(t, change[1], err, want)
	}
	_, err = train.MergeAdapter(path, t.TempDir())
	testkit.WantError(t, "no folder", err, train.AdapterConfigFile)
}
