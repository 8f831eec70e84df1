package train_test

import (
	"math"
	"path/filepath"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// bowl is E(x) = k·|x|²/2 with one parameter, the density of which is normal
// with variance 1/k.
type bowl struct{}

func (bowl) InputShape() []int { return []int{2} }
func (bowl) Parameters() []energy.Parameter {
	return []energy.Parameter{{Name: "k", Shape: []int{1}, FanIn: 1}}
}
func (bowl) Energy(x *graph.Node, p energy.Params) *graph.Node {
	square := graph.ReduceSum(graph.Mul(x, x), 1)
	return graph.Scale(graph.Mul(graph.Broadcast(p["k"], square.Shape()), square), 0.5)
}

// TestLikelihoodFindsTheVariance trains k on points of standard deviation 0.5
// by chains that are long enough to forget their start: k must come within 5 %
// of what discretised chains of that k have as their variance,
// 1/(k(1−ε²k/4)) = 0.25.
func TestLikelihoodFindsTheVariance(t *testing.T) {
	testkit.Long(t)
	const batch, eps, variance = 512, 0.4, 0.25
	run := mdsm.ShortRun{Steps: 30, StepSize: eps, Temperature: 1}
	adam := mdsm.PaperAdam()
	source := rng.New(7)
	x, noise, start := tensor.New(tensor.Float32, batch, 2), tensor.New(tensor.Float32, batch, 2), tensor.New(tensor.Float32, batch, 2)
	kicks := tensor.New(tensor.Float32, batch, run.Steps, 2)
	p := train.Problem{
		Step: mdsm.TrainGraph(bowl{}, run, adam), Optimiser: adam, Order: []string{"k"},
		Initial: map[string]*tensor.Tensor{"k": tensor.Of([]float32{1}, 1)},
		Batch:   map[string]*tensor.Tensor{"x": x, "noise": noise, "start": start, "chain_noise": kicks},
		Fill: func(t int) {
			source.Normal(tensor.Data[float32](x), rng.Density, 0, uint32(t))
			for i := range tensor.Data[float32](x) {
				tensor.Data[float32](x)[i] *= float32(math.Sqrt(variance))
			}
			source.Uniform(tensor.Data[float32](start), rng.ChainStart, 0, uint32(t))
			source.Normal(tensor.Data[float32](kicks), rng.ChainNoise, 0, uint32(t))
		},
	}
	dir := t.TempDir()
	_, err := train.Run(t.Context(), testkit.Open(t, 0), p, train.Loop{
		Steps: 400, Dir: dir, LogEvery: 100,
		LearningRate: train.LearningRate{Schedule: train.Cosine, Initial: 0.05, Final: 1e-3},
	})
	if err != nil {
		t.Fatal(err)
	}
	last, err := train.Newest(dir)
	if err != nil {
		t.Fatal(err)
	}
	set, err := weights.Load(filepath.Join(last.Dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	learnt, ok := set.Get("k")
	if !ok {
		t.Fatal("the checkpoint has no k")
	}
	k := learnt.Float64s()[0]
	// Solve 1/(k(1−ε²k/4)) = variance for k.
	want := 2 / (eps * eps) * (1 - math.Sqrt(1-eps*eps/variance))
	if math.Abs(k/want-1) > 0.05 {
		t.Errorf("k = %g, want %g", k, want)
	}
}
