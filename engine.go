package ebm

import (
	"context"
	"errors"
	"fmt"

	"ebm/export"
	"ebm/export/session"
	"ebm/mdsm/langevin"
	"ebm/models/tensor"
	"ebm/runtime"
)

// Config says which ONNX Runtime an engine uses; the zero value finds the
// library by itself and takes the best provider. See runtime.Config.
type Config = runtime.Config

// Engine computes with one energy through ONNX Runtime. Its methods may be
// called from several goroutines.
type Engine struct {
	Model   *Model // nil for that of an ONNX file, see OpenONNX
	name    string
	models  langevin.Files // of an ONNX file
	rt      *runtime.Runtime
	score   function
	denoise function // nil for an ONNX file
}

// function computes outputs of inputs by name: a session of a file, or those of
// a model that take parts of a batch side by side.
type function interface {
	Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error)
	Close() error
}

// Open opens ONNX Runtime for the model; what computes with it is loaded when it is
// first used. Close the engine when done.
func (m *Model) Open(ctx context.Context, c Config) (*Engine, error) {
	rt, err := runtime.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	rows := func(k Kind) function {
		return session.NewRows(rt, m.Network.InputShape(), func(block int) ([]byte, error) { return m.onnx(k, block) })
	}
	return &Engine{Model: m, name: m.Name, rt: rt, score: rows(ScoreKind), denoise: rows(DenoiseKind)}, nil
}

// Close frees what the engine holds.
func (e *Engine) Close() error {
	var errs []error
	for _, f := range []function{e.score, e.denoise} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(append(errs, e.rt.Close())...)
}

// Score returns the energies E(x) [N], in nats, and the scores −∇E(x) of x's
// shape, for float32 pictures x [N C H W]. The energies are nil where an ONNX
// file computes none.
func (e *Engine) Score(ctx context.Context, x *tensor.Tensor) (energy, score *tensor.Tensor, err error) {
	out, err := e.run(ctx, e.score, x)
	if err != nil {
		return nil, nil, err
	}
	if energy = out["energy"]; energy != nil && energy.Len() == x.Shape()[0] {
		energy = energy.Reshape(energy.Len()) // files of others may have [N 1]
	}
	return energy, out["score"], nil
}

// Denoise returns x − σ₀²∇E(x), the single denoising jump of eq. (9), for
// float32 pictures x [N C H W].
func (e *Engine) Denoise(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	if e.denoise == nil {
		return e.jump(ctx, x)
	}
	out, err := e.run(ctx, e.denoise, x)
	if err != nil {
		return nil, err
	}
	return out["denoised"], nil
}

// jump is Denoise with the score of an ONNX file.
func (e *Engine) jump(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	_, score, err := e.Score(ctx, x)
	if err != nil {
		return nil, err
	}
	if score.DType() != tensor.Float32 || score.Len() != x.Len() {
		return nil, fmt.Errorf("%s: the score of %v is %v, want the same type and shape", e.name, x, score)
	}
	return langevin.Jump(x, tensor.Data[float32](score), e.models.Sigma0), nil
}

func (e *Engine) run(ctx context.Context, f function, x *tensor.Tensor) (map[string]*tensor.Tensor, error) {
	out, err := f.Run(ctx, map[string]*tensor.Tensor{"x": x})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.name, err)
	}
	return out, nil
}

// Sampling says what Engine.Sample draws; the zero value of each field but
// Count is the paper's.
type Sampling struct {
	Count    int     // number of samples
	Seed     uint64  // sample i of one seed is the same in any batch
	Steps    int     // Langevin steps, 2700
	StepSize float64 // ε, 0.02
}

// Sample draws samples by annealed Langevin dynamics (eq. 8) and one
// denoising jump (eq. 9), as float32 pictures [Count C H W] with values around
// [0, 1].
func (e *Engine) Sample(ctx context.Context, s Sampling) (*tensor.Tensor, error) {
	models := e.models
	if e.Model != nil {
		var err error
		if models, err = e.Model.Files(); err != nil {
			return nil, err
		}
	}
	sampler, err := langevin.New(e.rt, models)
	if err != nil {
		return nil, err
	}
	defer sampler.Close()
	settings := langevin.Default(s.Count)
	settings.Seed = s.Seed
	if s.Steps > 0 {
		settings.Schedule.Steps = s.Steps
	}
	if s.StepSize > 0 {
		settings.StepSize = s.StepSize
	}
	var samples []float32
	_, err = sampler.Sample(ctx, settings, func(_ int, x *tensor.Tensor) error {
		samples = append(samples, tensor.Data[float32](x)...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return tensor.Of(samples, append([]int{s.Count}, sampler.Shape()...)...), nil
}

// Files returns the model as the sampler wants it.
func (m *Model) Files() (langevin.Files, error) {
	models, err := m.files(0)
	models.Fast = func(rt *runtime.Runtime) (langevin.Files, error) { return m.files(session.Block(rt)) }
	return models, err
}

// files returns the files of the sampler, laid out in blocks of
// channels for a session if block is not 0.
func (m *Model) files(block int) (langevin.Files, error) {
	return langevin.NewFiles(m.Network, m.Weights, m.Sigma0, func(graph string) export.Options { return m.sessionOptions(Kind(graph), block) })
}
