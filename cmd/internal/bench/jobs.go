package bench

import (
	"context"

	"ebm/evaluate/features"
	"ebm/export"
	"ebm/export/session"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/train"
	"ebm/models/graph"
	"ebm/models/inception"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// loadScore times mdsm.ScoreGraph on a batch, as ebm.Engine computes it.
func loadScore(rt *runtime.Runtime, s Spec) (*Work, error) {
	n, batch := s.Settings.Network(), s.Settings.Batch
	g := mdsm.ScoreGraph(n, s.Weights)
	w := new(Work)
	if err := w.count(map[string]int{"N": batch}, g); err != nil {
		return nil, err
	}
	rows := session.NewRows(rt, n.InputShape(), func(form session.Form) ([]byte, error) {
		return export.Bytes(g, form.In(export.Options{}))
	})
	x := tensor.New(tensor.Float32, append([]int{batch}, n.InputShape()...)...)
	rng.New(1).Uniform(tensor.Data[float32](x), rng.Probe, 0, 0)
	w.run = func(ctx context.Context) error {
		_, err := rows.Run(ctx, map[string]*tensor.Tensor{"x": x})
		return err
	}
	w.close = func() { rows.Close() }
	return w, nil
}

// loadTrain times updates on pictures of noise: what they show changes no
// time.
func loadTrain(rt *runtime.Runtime, s Spec) (*Work, error) {
	n, batch := s.Settings.Network(), s.Settings.Batch
	w := new(Work)
	if err := w.count(map[string]int{"N": batch}, mdsm.TrainGraph(n, s.Settings.Denoising(), s.Settings.Adam())); err != nil {
		return nil, err
	}
	problem, err := train.NewProblem(s.Settings, noise(4*batch, n.InputShape()), s.Weights)
	if err != nil {
		return nil, err
	}
	trial, err := train.NewTrial(rt, problem, s.Settings.Optimiser.LearningRate.Initial)
	if err != nil {
		return nil, err
	}
	w.run, w.close = trial.Step, trial.Close
	return w, nil
}

// noise returns n pictures [C H W] of random bytes.
func noise(n int, shape []int) *dataset.Set {
	set := &dataset.Set{Name: "noise", Channels: shape[0], Height: shape[1], Width: shape[2], Pixels: make([]uint8, n*tensor.Volume(shape))}
	values := make([]float32, len(set.Pixels))
	rng.New(2).Uniform(values, rng.Probe, 0, 0)
	for i, v := range values {
		set.Pixels[i] = uint8(255 * v)
	}
	return set
}

// loadSample times whole chains.
func loadSample(rt *runtime.Runtime, s Spec) (*Work, error) {
	n, count := s.Settings.Network(), s.Settings.Batch
	set := langevin.Default(count)
	set.Schedule.Steps = s.Steps
	if err := set.Validate(); err != nil {
		return nil, err
	}
	w := new(Work)
	err := w.count(map[string]int{"N": count, "K": s.Steps},
		mdsm.SamplerGraph(n, s.Weights), mdsm.DenoiseGraph(n, s.Weights, s.Settings.Noise.Sigma0))
	if err != nil {
		return nil, err
	}
	sampler, err := langevin.New(rt, s.Chains)
	if err != nil {
		return nil, err
	}
	chains := func(steps int) func(context.Context) error {
		set := set
		set.Schedule.Steps = steps
		return func(ctx context.Context) error {
			_, err := sampler.Sample(ctx, set, func(int, *tensor.Tensor) error { return nil })
			return err
		}
	}
	w.run, w.warm = chains(s.Steps), chains(min(s.Steps, 2))
	w.close = func() { sampler.Close() }
	return w, nil
}

// loadFeatures times the FID Inception network with random weights on bytes,
// with the resizing to its input.
func loadFeatures(rt *runtime.Runtime, s Spec) (*Work, error) {
	shape, batch := s.Settings.Network().InputShape(), s.Settings.Batch
	weights := inception.Random(rng.New(3))
	w := new(Work)
	g := graph.New("inception")
	x := g.Input("x", tensor.Float32, graph.Batch(shape...))
	if shape[0] == 1 {
		x = graph.Concat(1, x, x, x)
	}
	y, err := inception.Preprocess(x, inception.PyTorchFID)
	if err != nil {
		return nil, err
	}
	out, err := inception.Build(y, weights)
	if err != nil {
		return nil, err
	}
	g.Output("pool3", out.Pool3)
	if err := w.count(map[string]int{"N": batch}, g); err != nil {
		return nil, err
	}
	extractor, err := features.NewInception(rt, features.InceptionOptions{
		Weights: weights, Channels: shape[0], Height: shape[1], Width: shape[2],
	})
	if err != nil {
		return nil, err
	}
	pictures := tensor.Of(noise(batch, shape).Pixels, append([]int{batch}, shape...)...)
	w.run = func(ctx context.Context) error {
		_, err := extractor.Features(ctx, pictures, nil)
		return err
	}
	w.close = func() { extractor.Close() }
	return w, nil
}
