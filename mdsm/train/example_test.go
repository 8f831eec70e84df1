package train_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"

	"ebm/export/onnximport"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// A perceptron learns two points of the plane, in memory alone.
func ExampleMatching() {
	ctx := context.Background()
	rt, err := runtime.Open(ctx, runtime.Config{Provider: runtime.CPU})
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	data, err := dataset.Rows(tensor.Of([]float32{-1, 0, 1, 0}, 2, 2))
	if err != nil {
		log.Fatal(err)
	}
	problem, err := train.Matching{
		Network: energy.Perceptron{In: 2, Hidden: 16, Layers: 1}, Data: data, Batch: 32, Seed: 1,
		Noise: train.NoiseSettings{Sigma0: 0.2, Min: 0.2, Max: 1},
	}.Problem()
	if err != nil {
		log.Fatal(err)
	}
	first, last := 0.0, 0.0
	_, err = train.Run(ctx, rt, problem, train.Loop{
		Steps: 400, LearningRate: train.LearningRate{Schedule: train.Constant, Initial: 1e-2},
		Hook: func(_ context.Context, u train.Update) error {
			if u.Step <= 50 {
				first += u.Loss
			} else if u.Step > 350 {
				last += u.Loss
			}
			return nil
		},
	})
	fmt.Println("the loss fell:", last < first, err)
	// Output: the loss fell: true <nil>
}

// Fine-tune a classifier that PyTorch exported to ONNX, and write its file with the
// new weights: of rows x of four numbers, class 1 has the points in a circle.
func ExampleSupervised() {
	ctx, model := context.Background(), "testdata/fit.onnx"
	rt, err := runtime.Open(ctx, runtime.Config{Provider: runtime.CPU})
	check(err)
	defer rt.Close()
	f, read, err := train.ModelSettings{Path: model}.Read(onnximport.Options{}, true)
	check(err)
	problem, err := train.Supervised{
		Function: f, First: f.First(read), Loss: train.Loss{Name: train.CrossEntropy}, Data: circle{},
		Optimiser: mdsm.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: 0.01}, Batch: 50, Seed: 1,
	}.Problem()
	check(err)
	loop := train.Loop{Steps: 400, LearningRate: train.LearningRate{Schedule: train.Cosine, Initial: 0.02}}
	result, err := train.Run(ctx, rt, problem, loop)
	check(err)
	file, err := os.ReadFile(model)
	check(err)
	tuned, err := onnximport.Patch(file, "testdata", result.Weights)
	check(err)
	fmt.Println("the loss is below 0.6:", result.Loss < 0.6, "the file is another:", !bytes.Equal(tuned, file))
	// Output: the loss is below 0.6: true the file is another: true
}

// circle are examples that are made as they are asked for.
type circle struct{}

func (circle) Len() int { return 1000 }

func (circle) Fill(batch map[string]*tensor.Tensor, index []int) {
	for i, number := range index {
		x := tensor.Data[float32](batch["x"])[4*i : 4*i+4]
		rng.New(3).Normal(x, rng.Density, uint64(number), 0)
		tensor.Data[int64](batch[train.TargetInput])[i] = 0
		if x[0]*x[0]+x[1]*x[1] < 1.4 {
			tensor.Data[int64](batch[train.TargetInput])[i] = 1
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// A preset with other settings, as ebm train takes them from its flags. What
// cannot be is named.
func ExampleSettings_Validate() {
	s, err := train.Preset("demo")
	if err != nil {
		log.Fatal(err)
	}
	s.Steps, s.Data.Size = 500, 20
	fmt.Println(s.Validate())
	s.Data.Size = 16
	fmt.Println(s.Validate(), s.Network())
	// Output:
	// data.size 20, want a multiple of 8 for res12
	// <nil> res12 dim 32, 1×16×16, quadratic head, elu
}

// The learning rate falls as a cosine over a run.
func ExampleLearningRate_At() {
	rate := train.LearningRate{Schedule: train.Cosine, Initial: 1e-3, Final: 1e-5}
	for _, step := range []int{1, 51, 101} {
		fmt.Printf("%.3g ", rate.At(step, 100))
	}
	// Output: 0.001 0.000505 1e-05
}
