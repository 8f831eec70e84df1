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

// Engine computes with one model through ONNX Runtime. Its methods may be called
// from several goroutines.
type Engine struct {
	Model *Model

	rt                  *runtime.Runtime
	score, denoise, hvp function
}

// function computes outputs of inputs by name.
type function interface {
	Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error)
	Close() error
}

// Open finds a model as Load does, and opens ONNX Runtime for it. Close the engine
// when done.
func Open(ctx context.Context, ref string, c Config) (*Engine, error) {
	m, err := Load(ref)
	if err != nil {
		return nil, err
	}
	return m.Open(ctx, c)
}

// Open opens ONNX Runtime for the model. What computes with a network is loaded
// when it is first used. Close the engine when done.
func (m *Model) Open(ctx context.Context, c Config) (*Engine, error) {
	rt, err := runtime.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	rows := func(k Kind) function {
		return session.NewRows(rt, m.Shape(), func(form session.Form) ([]byte, error) { return m.onnx(k, form) })
	}
	e := &Engine{Model: m, rt: rt, hvp: rows(HVPKind)}
	if m.file == nil {
		e.score, e.denoise = rows(ScoreKind), rows(DenoiseKind)
		return e, nil
	}
	if p := rt.Info().Precision; p.Half() {
		return nil, errors.Join(fmt.Errorf("--precision %s with %s, want fp32 or tf32: an ONNX file keeps its own", p, m.Name), rt.Close())
	}
	score, err := rt.Load(m.file.score, runtime.SessionOptions{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, errors.Join(err, rt.Close()))
	}
	e.score, e.denoise = score, jump{score, m.Sigma0}
	return e, nil
}

// jump is eq. (9) after a score.
type jump struct {
	score  *runtime.Session
	sigma0 float64
}

func (j jump) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	out, err := j.score.Run(ctx, inputs)
	if err != nil {
		return nil, err
	}
	x, score := inputs["x"], out["score"]
	if score.DType() != tensor.Float32 || score.Len() != x.Len() {
		return nil, fmt.Errorf("the score of %v is %v, want the same type and shape", x, score)
	}
	out["denoised"] = langevin.Jump(x, tensor.Data[float32](score), j.sigma0)
	return out, nil
}

func (j jump) Close() error { return nil } // the score is the engine's

// Close frees what the engine holds.
func (e *Engine) Close() error {
	return errors.Join(e.denoise.Close(), e.hvp.Close(), e.score.Close(), e.rt.Close())
}

// Score returns the energies E(x) [N], in nats, and the scores −∇E(x) of x's
// shape, for float32 pictures x [N C H W]. The energies are nil where an ONNX
// file computes none.
func (e *Engine) Score(ctx context.Context, x *tensor.Tensor) (energy, score *tensor.Tensor, err error) {
	out, err := e.run(ctx, e.score, map[string]*tensor.Tensor{"x": x})
	if err != nil {
		return nil, nil, err
	}
	if energy = out["energy"]; energy != nil && energy.Len() == x.Shape()[0] {
		energy = energy.Reshape(energy.Len()) // files of others may have [N 1]
	}
	return energy, out["score"], nil
}

// Denoise returns x − σ₀²∇E(x), the single denoising jump of eq. (9), for
// float32 pictures x [N C H W]. A model whose σ₀ is not known is an error.
func (e *Engine) Denoise(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	if err := e.Model.KnowsSigma0(); err != nil {
		return nil, err
	}
	out, err := e.run(ctx, e.denoise, map[string]*tensor.Tensor{"x": x})
	return out["denoised"], err
}

// HessianVector returns the products ∇²E(x)·v of the energy's Hessians at
// float32 pictures x [N C H W] with v, of x's shape. The energy of an ONNX file
// must be one that can be imported.
func (e *Engine) HessianVector(ctx context.Context, x, v *tensor.Tensor) (*tensor.Tensor, error) {
	out, err := e.run(ctx, e.hvp, map[string]*tensor.Tensor{"x": x, "v": v})
	return out["hvp"], err
}

func (e *Engine) run(ctx context.Context, f function, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	out, err := f.Run(ctx, inputs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Model.Name, err)
	}
	return out, nil
}

// Files returns the ONNX files that package langevin samples the model from.
func (m *Model) Files() (langevin.Files, error) {
	if m.file != nil {
		return langevin.Files{Score: m.file.score, Sigma0: m.Sigma0}, nil
	}
	options := func(form session.Form) func(graph string) export.Options {
		return func(graph string) export.Options { return form.In(m.ExportOptions(Kind(graph), 0)) }
	}
	files, err := langevin.NewFiles(m.Network, m.Weights, m.Sigma0, options(session.Form{}))
	files.Fast = func(rt *runtime.Runtime, memory bool) (langevin.Files, error) {
		newFiles := langevin.NewFiles
		if memory {
			newFiles = langevin.NewMemoryFiles
		}
		return newFiles(m.Network, m.Weights, m.Sigma0, options(session.Form{Block: session.Block(rt)}))
	}
	return files, err
}
