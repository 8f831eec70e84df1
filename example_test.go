package ebm_test

import (
	"context"
	"fmt"
	"log"

	"ebm"
	"ebm/export"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/train"
	"ebm/models/autodiff"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Open a shipped model, draw samples with a short schedule, and score them.
func Example() {
	ctx := context.Background()
	engine, err := ebm.Open(ctx, "mnist16", ebm.Config{})
	check(err)
	defer engine.Close()
	samples, err := engine.Sample(ctx, ebm.Sampling{Count: 4, Steps: 50})
	check(err)
	energy, score, err := engine.Score(ctx, samples)
	check(err)
	fmt.Println(samples, energy, score)
	// Output: float32[4 1 16 16] float32[4] float32[4 1 16 16]
}

// Open an energy that PyTorch exported to ONNX, draw samples with the score that
// is derived from it, fill in their lower halves anew, and multiply its Hessian.
func ExampleOpen() {
	ctx := context.Background()
	engine, err := ebm.Open(ctx, "testdata/energy.onnx", ebm.Config{})
	check(err)
	defer engine.Close()
	samples, err := engine.Sample(ctx, ebm.Sampling{Count: 4, Steps: 50})
	check(err)
	hidden, err := langevin.ReadMask("bottom", engine.Model.Shape(), engine.Model.Pad)
	check(err)
	filled, err := engine.Fill(ctx, samples, hidden, 2, ebm.Sampling{Steps: 50})
	check(err)
	hvp, err := engine.HessianVector(ctx, samples, samples)
	check(err)
	fmt.Println(samples, filled, hvp)
	// Output: float32[4 3 8 8] float32[8 3 8 8] float32[4 3 8 8]
}

// Write an energy of one's own, differentiate it, export it and run it: a
// normal distribution in the plane, whose score at x is −x.
func Example_ownEnergy() {
	g := graph.New("normal")
	x := g.Input("x", tensor.Float32, graph.Batch(2))
	energy := graph.Scale(graph.ReduceSum(graph.Mul(x, x), 1), 0.5) // ‖x‖²/2
	g.Output("energy", energy)
	g.Output("score", graph.Neg(autodiff.Gradient(energy, x)[0]))
	onnx, err := export.Bytes(g, export.Options{})
	check(err)

	ctx := context.Background()
	rt, err := runtime.Open(ctx, runtime.Config{})
	check(err)
	defer rt.Close()
	session, err := rt.Load(onnx, runtime.SessionOptions{})
	check(err)
	defer session.Close()
	out, err := session.Run(ctx, map[string]*tensor.Tensor{"x": tensor.Of([]float32{3, -4}, 1, 2)})
	check(err)
	fmt.Println(tensor.Data[float32](out["energy"]), tensor.Data[float32](out["score"]))
	// Output: [12.5] [-3 4]
}

// Train an energy of one's own on points of one's own, look at every hundredth
// step, and use it like any other model.
func Example_training() {
	ctx := context.Background()
	rt, err := runtime.Open(ctx, runtime.Config{})
	check(err)
	defer rt.Close()
	data, err := dataset.Rows(tensor.Of([]float32{0, 1, 1, 0, 0, -1, -1, 0}, 4, 2)) // your x's, float32 [N …]
	check(err)
	net := energy.Perceptron{In: 2, Hidden: 32, Layers: 2} // or a type of yours with the same three methods
	problem, err := train.Matching{
		Network: net, Data: data, Batch: 64, Noise: train.NoiseSettings{Sigma0: 0.2, Min: 0.2, Max: 1},
	}.Problem()
	check(err)
	result, err := train.Run(ctx, rt, problem, train.Loop{
		Steps: 300, LearningRate: train.LearningRate{Schedule: train.Cosine, Initial: 1e-2},
		// With a Dir there are checkpoints, and Resume goes on from them to the same bits.
		Hook: func(_ context.Context, u train.Update) error {
			if u.Step%100 == 0 {
				fmt.Println("step", u.Step)
			}
			return nil // or train.ErrStop
		},
	})
	check(err)

	model := &ebm.Model{Name: "cross", Network: net, Weights: result.Weights, Meta: ebm.Meta{Sigma0: 0.2, SigmaMin: 0.2, SigmaMax: 1}}
	engine, err := model.Open(ctx, ebm.Config{})
	check(err)
	defer engine.Close()
	samples, err := engine.Sample(ctx, ebm.Sampling{Count: 8, Steps: 100, StepSize: 0.1})
	check(err)
	onnx, err := model.ONNX(ebm.ScoreKind)
	check(err)
	fmt.Println(samples, len(onnx) > 0)
	// Output:
	// step 100
	// step 200
	// step 300
	// float32[8 2] true
}
