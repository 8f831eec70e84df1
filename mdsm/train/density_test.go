package train_test

import (
	"math"
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

// points is the problem of learning a density of points in the plane at the
// one noise level σ₀.
func points(net energy.Network, m energy.Mixture, sigma0 float64, batch int, adam mdsm.Adam) train.Problem {
	source := rng.New(1)
	x, noise := tensor.New(tensor.Float32, batch, 2), tensor.New(tensor.Float32, batch, 2)
	sigma := tensor.New(tensor.Float32, batch)
	for i := range tensor.Data[float32](sigma) {
		tensor.Data[float32](sigma)[i] = float32(sigma0)
	}
	problem := train.Problem{
		Step:      mdsm.TrainGraph(net, mdsm.Objective{Sigma0: sigma0, Weighting: mdsm.InverseVariance}, adam),
		Optimiser: adam, Initial: energy.Init(net, source),
		Batch: map[string]*tensor.Tensor{"x": x, "noise": noise, "sigma": sigma},
	}
	for _, q := range net.Parameters() {
		problem.Order = append(problem.Order, q.Name)
	}
	problem.Fill = func(t int) {
		draw(m, source, tensor.Data[float32](x), uint32(t))
		source.Normal(tensor.Data[float32](noise), rng.TrainNoise, 0, uint32(t))
	}
	return problem
}

// draw fills points [n 2] from a mixture.
func draw(m energy.Mixture, source rng.Source, points []float32, step uint32) {
	source.Normal(points, rng.Density, 0, step)
	for i := range len(points) / 2 {
		mean := m.Means[source.IntN(len(m.Means), rng.Density, uint64(i+1), step)]
		for j := range 2 {
			points[2*i+j] = float32(mean[j] + m.Sigma*float64(points[2*i+j]))
		}
	}
}

// TestDensityIsRecovered trains a perceptron on a mixture of three Gaussians
// in the plane and compares its score, run in ONNX Runtime, with the score of
// the mixture smoothed by σ₀, which is what the objective aims at when σ = σ₀:
// the mean squared error over points of that density must be 2 % of the mean
// square of the true score, or less.
func TestDensityIsRecovered(t *testing.T) {
	testkit.Long(t)
	const sigma0, tolerance, n = 0.25, 0.02, 2000
	mixture := energy.Mixture{Means: [][]float64{{0, 0.9}, {-0.8, -0.5}, {0.8, -0.5}}, Sigma: 0.15}
	net := energy.Perceptron{In: 2, Hidden: 48, Layers: 2}
	adam := mdsm.PaperAdam()
	adam.EMA = 0.995
	dir := t.TempDir()
	rt := testkit.Open(t, 0)
	result, err := train.Run(t.Context(), rt, points(net, mixture, sigma0, 512, adam), train.Loop{
		Steps: 2000, LearningRate: train.LearningRate{Schedule: train.Cosine, Initial: 1e-2, Final: 1e-4}, Dir: dir, LogEvery: 500,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := train.Newest(dir)
	if err != nil || c.Dir != result.Checkpoint {
		t.Fatalf("checkpoint %v, result %+v, error %v", c, result, err)
	}
	w, err := c.Weights()
	if err != nil {
		t.Fatal(err)
	}

	x := tensor.New(tensor.Float32, n, 2)
	draw(mixture.Smoothed(sigma0), rng.New(99), tensor.Data[float32](x), 0)
	g := graph.New("truth")
	in := g.Input("x", tensor.Float64, graph.Batch(2))
	score, e := mdsm.Score(mixture.Smoothed(sigma0).Energy, in)
	g.Output("score", score)
	g.Output("energy", e)
	truth := testkit.Interpret(t, g, map[string]*tensor.Tensor{"x": x})
	model := testkit.Encode(t, mdsm.ScoreGraph(net, w))
	session := testkit.Load(t, rt, model)
	got := testkit.Run(t, session, map[string]*tensor.Tensor{"x": x})
	var wrong, square float64
	a, b := got["score"].Float64s(), truth["score"].Float64s()
	for i := range b {
		wrong += (a[i] - b[i]) * (a[i] - b[i])
		square += b[i] * b[i]
	}
	if r := wrong / square; !(r <= tolerance) {
		t.Errorf("the score is wrong by %.2g of its mean square, want %g or less", r, tolerance)
	} else {
		t.Logf("the score is wrong by %.2g of its mean square", r)
	}
	// Energies agree up to a constant: their differences correlate.
	if r := correlation(got["energy"].Float64s(), truth["energy"].Float64s()); !(r > 0.98) {
		t.Errorf("energies correlate with −log p by %.4f, want more than 0.98", r)
	}
	// The trained weights themselves are in the file beside the averages.
	set, err := weights.Load(c.Dir + "/model.safetensors")
	if err != nil || set.Len() != len(net.Parameters()) {
		t.Errorf("model.safetensors has %v tensors, error %v", set, err)
	}
}

func correlation(a, b []float64) float64 {
	var ma, mb, sab, saa, sbb float64
	for i := range a {
		ma += a[i] / float64(len(a))
		mb += b[i] / float64(len(b))
	}
	for i := range a {
		sab += (a[i] - ma) * (b[i] - mb)
		saa += (a[i] - ma) * (a[i] - ma)
		sbb += (b[i] - mb) * (b[i] - mb)
	}
	return sab / math.Sqrt(saa*sbb)
}
