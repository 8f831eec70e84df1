package train_test

import (
	"cmp"
	"context"
	"fmt"
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
)

// golden are examples of testdata/make_steps.py: batches that take turns.
type golden struct{ x, target *tensor.Tensor }

func (g golden) Len() int { return g.x.Shape()[0] * g.x.Shape()[1] }

// Fill takes rows in order whatever their numbers: PyTorch shuffled nothing.
func (g golden) fill(batch map[string]*tensor.Tensor, t int) {
	n := g.x.Shape()[0]
	for name, from := range map[string]*tensor.Tensor{"x": g.x, train.TargetInput: g.target} {
		at := (t - 1) % n
		rows := from.Rows(at, at+1)
		batch[name].CopyFrom(rows.Reshape(rows.Shape()[1:]...))
	}
}

func (g golden) Fill(batch map[string]*tensor.Tensor, _ []int) { g.fill(batch, 1) }

// fullSteps names the environment variable with the folder of what
// make_steps.py --full has written.
const fullSteps = "EBM_FULL_STEPS"

// TestStepsAgreeWithPyTorch trains four kinds of networks, as PyTorch exports them,
// for twenty steps of three optimisers: losses and weights are PyTorch's. The
// networks are small ones, or those of the folder that EBM_FULL_STEPS names, of which it
// says how far they are apart: large ones part by rounding alone.
func TestStepsAgreeWithPyTorch(t *testing.T) {
	if testing.Short() {
		t.Skip("trains four networks three times")
	}
	rt, folder := testkit.Open(t, 1), cmp.Or(os.Getenv(fullSteps), "testdata")
	full := folder != "testdata"
	for name, loss := range map[string]train.LossName{"resnet18": train.CrossEntropy, "vit": train.CrossEntropy,
		"gpt2": train.CrossEntropy, "lstm": train.MSE} {
		if _, err := os.Stat(filepath.Join(folder, "steps_"+name+".npz")); full && err != nil {
			t.Logf("%s: not there", name)
			continue
		}
		want := testkit.Arrays(t, filepath.Join(folder, "steps_"+name+".npz"))
		f, model, err := train.ModelSettings{Path: filepath.Join(folder, "steps_"+name+".onnx")}.Read(onnximport.Options{}, true)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		first := f.First(model)
		for kind, c := range map[string]struct {
			o    mdsm.Optimiser
			rate float64
		}{
			"sgd":   {mdsm.SGD{Momentum: 0.9, Decay: 1e-3}, 0.01},
			"adam":  {mdsm.Adam{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8}, 1e-3},
			"adamw": {mdsm.Adam{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Decay: 0.1}, 1e-3},
		} {
			examples := golden{want["x"], want["target"]}
			p, err := train.Supervised{
				Function: f, Loss: train.Loss{Name: loss}, Optimiser: c.o, Data: examples, Batch: want["x"].Shape()[1], Seed: 1, First: first,
			}.Problem()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			p.Fill = func(t int) { examples.fill(p.Batch, t) }
			var losses []float64
			r, err := train.Run(t.Context(), rt, p, train.Loop{
				Steps: 20, LearningRate: train.LearningRate{Schedule: train.Constant, Initial: c.rate},
				Hook: func(_ context.Context, u train.Update) error { losses = append(losses, u.Loss); return nil },
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			what := fmt.Sprintf("%s, %s", name, kind)
			worst := 0.0
			for i, l := range want[kind+"/loss"].Float64s() {
				worst = math.Max(worst, math.Abs(losses[i]-l)/math.Abs(l))
			}
			if !full && !(worst <= 1e-5) {
				t.Errorf("%s: losses are off by %.2g", what, worst)
			}
			compared, off := 0, 0.0
			far, all := 0, 0 // elements of a full size, and those that are off by more than 1e-5
			var after, largest []float64
			var whole *onnximport.Model
			if full {
				whole, err = onnximport.Read(filepath.Join(folder, "after_"+kind+"_"+name+".onnx"),
					onnximport.Options{InUse: true, Free: func(name string) bool { return first[name] != nil }})
				if err != nil {
					t.Fatal(err)
				}
			} else {
				after, largest = want[kind+"/weights"].Float64s(), want[kind+"/largest"].Float64s()
			}
			for i, p := range strings.Split(string(tensor.Data[uint8](want["names"])), "\n") {
				if r.Weights[p] == nil {
					continue
				}
				compared++
				if kind != "sgd" && (strings.HasSuffix(p, "in_proj_bias") || strings.HasSuffix(p, "qkv.bias")) {
					continue // the keys' part has no gradient but by rounding, which Adam takes for one
				}
				values := r.Weights[p].Float64s()
				if full {
					if strings.Contains(p, ".running_") {
						continue // which exporting has renewed once more
					}
					theirs := whole.Initial[p].Float64s()
					off = math.Max(off, testkit.Difference(values, theirs))
					most := math.Max(slices.Max(theirs), -slices.Min(theirs))
					for k, v := range theirs {
						if math.Abs(values[k]-v) > 1e-5*most {
							far++
						}
					}
					all += len(theirs)
					continue
				}
				for k := range 16 {
					off = math.Max(off, math.Abs(values[k*(len(values)-1)/15]-after[16*i+k])/largest[i])
				}
			}
			if !full && !(off <= 1e-5) || compared != len(r.Weights) || compared == 0 {
				t.Errorf("%s: %d of %d weights are off by up to %.2g", what, compared, len(r.Weights), off)
			} else {
				t.Logf("%s: %d weights, losses off by %.2g, weights by %.2g", what, compared, worst, off)
				if full {
					t.Logf("%s: %d of %d elements are off by more than 1e-5 of the largest", what, far, all)
				}
			}
		}
	}
}
