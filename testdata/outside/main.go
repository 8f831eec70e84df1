// Command outside does with energies and data of its own all that the project's
// program does with its: train, stop, resume, sample, fill, estimate a
// likelihood, evaluate and export. It uses public packages alone.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"reflect"

	"ebm"
	"ebm/evaluate"
	"ebm/mdsm"
	"ebm/mdsm/ais"
	"ebm/mdsm/dataset"
	"ebm/mdsm/hmc"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/progress"
)

func main() {
	dir, err := os.MkdirTemp("", "outside")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := run(context.Background(), dir); err != nil {
		log.Print(err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) error {
	rt, err := runtime.Open(ctx, runtime.Config{Provider: runtime.CPU})
	if err != nil {
		return err
	}
	defer rt.Close()
	if err := points(ctx, rt, dir); err != nil {
		return fmt.Errorf("points: %w", err)
	}
	if err := pictures(ctx, rt, dir); err != nil {
		return fmt.Errorf("pictures: %w", err)
	}
	return nil
}

// counter is a progress of this module's own: it counts what was done.
type counter struct{ units int64 }

func (c *counter) Stage(string, int64, string) progress.Stage { return c }
func (c *counter) Skip(int64)                                 {}
func (c *counter) Add(n int64)                                { c.units += n }
func (c *counter) Set(n int64)                                { c.units = n }
func (c *counter) Note(string)                                {}
func (c *counter) Done()                                      {}

// points learns a ring in the plane, measures on points that were held out at
// every hundredth step, and evaluates samples against them.
func points(ctx context.Context, rt *runtime.Runtime, dir string) error {
	all, err := dataset.Rows(ring(2000))
	if err != nil {
		return err
	}
	seen, err := dataset.Part(all, 0, 1500)
	if err != nil {
		return err
	}
	held, err := dataset.Part(all, 1500, 2000)
	if err != nil {
		return err
	}
	m := train.Matching{
		Network: mlp{in: 2, hidden: 32}, Data: seen, Batch: 128, Seed: 1,
		Noise:     train.NoiseSettings{Sigma0: 0.2, Min: 0.2, Max: 1},
		Optimiser: mdsm.Adam{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, EMA: 0.99},
	}
	validation, err := m.Validation(rt, held)
	if err != nil {
		return err
	}
	defer validation.Close()
	problem, err := m.Problem()
	if err != nil {
		return err
	}
	var losses []float64
	show := new(counter)
	loop := train.Loop{
		Steps: 600, LearningRate: train.LearningRate{Schedule: train.Cosine, Initial: 1e-2, Final: 1e-4},
		Dir: filepath.Join(dir, "ring"), CheckpointEvery: 200, LogEvery: 50, Progress: show,
		Hook: func(ctx context.Context, u train.Update) error {
			if u.Step%100 != 0 {
				return nil
			}
			l, err := validation.Measure(ctx, u.Weights())
			if err != nil {
				return err
			}
			u.Log(l.Values())
			if losses = append(losses, l.Mean); len(losses) == 6 {
				return train.ErrStop
			}
			return nil
		},
	}
	result, err := train.Run(ctx, rt, problem, loop)
	if err != nil {
		return err
	}
	fmt.Printf("points: %d steps, %d shown, held-out loss fell: %v\n", result.Step, show.units, losses[5] < losses[0])

	model := &ebm.Model{Name: "ring", Network: m.Network, Weights: result.Weights, Meta: ebm.Meta{Sigma0: 0.2, SigmaMin: 0.2, SigmaMax: 1}}
	engine, err := model.Open(ctx, ebm.Config{Provider: runtime.CPU})
	if err != nil {
		return err
	}
	defer engine.Close()
	samples, err := engine.Sample(ctx, ebm.Sampling{Count: 300, Seed: 2, Steps: 300, StepSize: 0.1})
	if err != nil {
		return err
	}
	near := 0
	for x := tensor.Data[float32](samples); len(x) > 0; x = x[2:] {
		if r := math.Hypot(float64(x[0]), float64(x[1])); r > 0.6 && r < 1.4 {
			near++
		}
	}
	fmt.Printf("points: of 300 samples near the ring: most %v\n", near > 240)

	distance, err := frechet(ctx, samples, dataset.Tensor(held, nil))
	if err != nil {
		return err
	}
	away, err := frechet(ctx, shifted(samples, 1), dataset.Tensor(held, nil))
	if err != nil {
		return err
	}
	fmt.Printf("points: Fréchet distance below that of shifted samples: %v\n", distance < away)

	z, err := logZ(ctx, rt, m.Network, result.Weights)
	if err != nil {
		return err
	}
	fmt.Printf("points: log Z within its interval: %v\n", z.Estimate.Low <= z.Estimate.Value && z.Estimate.Value <= z.Estimate.High)

	file := filepath.Join(dir, "ring.onnx")
	if err := model.WriteONNX(file, ebm.ScoreKind, 0); err != nil {
		return err
	}
	exported, err := ebm.Open(ctx, file, ebm.Config{Provider: runtime.CPU})
	if err != nil {
		return err
	}
	defer exported.Close()
	e1, _, err := engine.Score(ctx, samples)
	if err != nil {
		return err
	}
	e2, _, err := exported.Score(ctx, samples)
	if err != nil {
		return err
	}
	worst := 0.0
	for i, e := range e1.Float64s() {
		worst = max(worst, math.Abs(e-e2.Float64s()[i]))
	}
	fmt.Printf("points: the exported file agrees: %v\n", worst < 1e-3)
	return nil
}

// pictures learns bright squares with a convolutional network, in one go and in
// two parts, and fills in half of a picture.
func pictures(ctx context.Context, rt *runtime.Runtime, dir string) error {
	data, err := dataset.Rows(squares(64))
	if err != nil {
		return err
	}
	m := train.Matching{
		Network: cnn{channels: 8}, Data: data, Batch: 16, Shards: 2, Mirror: true, Seed: 3,
		Noise: train.NoiseSettings{Sigma0: 0.1, Min: 0.1, Max: 1},
	}
	loop := train.Loop{Steps: 120, LearningRate: train.LearningRate{Schedule: train.Constant, Initial: 3e-3}, CheckpointEvery: 50}
	problem, err := m.Problem()
	if err != nil {
		return err
	}
	whole, err := train.Run(ctx, rt, problem, loop) // in memory alone
	if err != nil {
		return err
	}
	loop.Dir = filepath.Join(dir, "squares")
	loop.Hook = func(_ context.Context, u train.Update) error {
		if u.Step == 70 {
			return train.ErrStop
		}
		return nil
	}
	if _, err := train.Run(ctx, rt, problem, loop); err != nil {
		return err
	}
	loop.Hook, loop.Resume = nil, true
	parts, err := train.Run(ctx, rt, problem, loop)
	if err != nil {
		return err
	}
	fmt.Printf("pictures: resumed at step %d to the same bits: %v\n", parts.Step-parts.Made,
		reflect.DeepEqual(raw(whole.Weights), raw(parts.Weights)))

	m.Seed = 4
	other, err := m.Problem()
	if err != nil {
		return err
	}
	_, err = train.Run(ctx, rt, other, loop)
	var refused *train.ResumeError
	fmt.Printf("pictures: another seed is refused: %v\n", errors.As(err, &refused))

	model := &ebm.Model{Name: "squares", Network: m.Network, Weights: parts.Weights, Meta: ebm.PaperMeta()}
	engine, err := model.Open(ctx, ebm.Config{Provider: runtime.CPU})
	if err != nil {
		return err
	}
	defer engine.Close()
	hidden := tensor.New(tensor.Float32, 1, 1, 8, 8)
	for i := 32; i < 64; i++ {
		tensor.Data[float32](hidden)[i] = 1
	}
	given := dataset.Tensor(data, []int{0})
	filled, err := engine.Fill(ctx, given, hidden, 2, ebm.Sampling{Steps: 100, Seed: 1})
	if err != nil {
		return err
	}
	kept := reflect.DeepEqual(tensor.Data[float32](filled)[:32], tensor.Data[float32](given)[:32])
	fmt.Printf("pictures: filled %v, what is given stayed: %v\n", filled, kept)
	return nil
}

// ring returns points [n 2] around the unit circle.
func ring(n int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, n, 2)
	values, source := tensor.Data[float32](x), rng.New(7)
	source.Normal(values, rng.Density, 0, 0)
	for i := range n {
		a := 2 * math.Pi * float64(i*7919%n) / float64(n)
		values[2*i] = float32(math.Cos(a)) + 0.05*values[2*i]
		values[2*i+1] = float32(math.Sin(a)) + 0.05*values[2*i+1]
	}
	return x
}

// squares returns pictures [n 1 8 8] of a bright square somewhere.
func squares(n int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, n, 1, 8, 8)
	for i := range n {
		top, left := i%5, i/5%5
		for p := range 9 {
			tensor.Data[float32](x)[i*64+(top+p/3)*8+left+p%3] = 1
		}
	}
	return x
}

func shifted(x *tensor.Tensor, by float32) *tensor.Tensor {
	y := x.Clone()
	for i := range tensor.Data[float32](y) {
		tensor.Data[float32](y)[i] += by
	}
	return y
}

func frechet(ctx context.Context, a, b *tensor.Tensor) (float64, error) {
	sa, err := evaluate.StatisticsOf(a)
	if err != nil {
		return 0, err
	}
	sb, err := evaluate.StatisticsOf(b)
	if err != nil {
		return 0, err
	}
	d, err := evaluate.Frechet(ctx, sa, sb)
	return d.Distance, err
}

// logZ estimates the log normaliser by annealed importance sampling.
func logZ(ctx context.Context, rt *runtime.Runtime, n energy.Network, w energy.Weights) (ais.LogZ, error) {
	set := ais.Cheap()
	set.Distributions, set.Reference = 50, mdsm.Reference{Mean: 0, Sigma: 1}
	files, err := hmc.NewFiles(n, w, set.Reference, set.Leapfrog)
	if err != nil {
		return ais.LogZ{}, err
	}
	kernel, err := hmc.Load(rt, files)
	if err != nil {
		return ais.LogZ{}, err
	}
	defer kernel.Close()
	estimator, err := ais.New(kernel, set)
	if err != nil {
		return ais.LogZ{}, err
	}
	m, err := estimator.Measure(ctx, 32, nil, false)
	if err != nil {
		return ais.LogZ{}, err
	}
	return *m.Forward, nil
}

func raw(w energy.Weights) map[string][]float32 {
	values := make(map[string][]float32)
	for name, t := range w {
		values[name] = tensor.Data[float32](t)
	}
	return values
}
