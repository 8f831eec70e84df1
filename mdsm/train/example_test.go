package train_test

import (
	"context"
	"fmt"
	"log"

	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/energy"
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
