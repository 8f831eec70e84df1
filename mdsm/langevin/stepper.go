package langevin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"ebm/mdsm/groups"
	"ebm/models/tensor"
	"ebm/runtime"
)

// Models are the ONNX files that chains run through, as bytes: either Sampler
// (and Denoise), or Score.
type Models struct {
	Sampler []byte // as of mdsm.SamplerModel: several steps in one run
	Denoise []byte // as of mdsm.DenoiseModel: the denoising jump

	// Score is any model x [N …] → score (of x's shape) and perhaps energy [N].
	// Its steps are made one by one in Go, and its jump is x + Sigma0²·score.
	Score  []byte
	Sigma0 float64

	// Shape is the shape of one x where the model leaves it open.
	Shape []int
}

// Hash returns the SHA-256 of the models, in hexadecimal.
func (m Models) Hash() string {
	h := sha256.New()
	for _, part := range [][]byte{m.Sampler, m.Denoise, m.Score} {
		fmt.Fprintf(h, "%d\n", len(part))
		h.Write(part)
	}
	if m.Score != nil {
		fmt.Fprintf(h, "%g", m.Sigma0)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Stepper makes the updates of a batch of chains. It may be used from several
// goroutines at once.
type Stepper interface {
	// Steps makes one step of eq. (8) for each temperature, on x [N …] with
	// noise [K N …]. It returns the new x and the energies [K N] before each
	// step, nil when the model has none.
	Steps(ctx context.Context, x, noise *tensor.Tensor, temperature []float32, stepSize float32) (next, energy *tensor.Tensor, err error)
	// Denoise makes the jump of eq. (9). It returns the energies [N] before
	// it, nil when the model has none.
	Denoise(ctx context.Context, x *tensor.Tensor) (clean, energy *tensor.Tensor, err error)
	// Close frees the models.
	Close() error
}

var errNoDenoise = errors.New("there is no model of the denoising jump, or no sigma0 for a score: give one, or leave out the jump and snapshots")

// load makes the stepper of the models and describes its x.
func load(rt *runtime.Runtime, m Models, threads int) (Stepper, runtime.ValueInfo, error) {
	o := runtime.SessionOptions{Threads: threads}
	switch {
	case m.Sampler != nil && m.Score != nil:
		return nil, runtime.ValueInfo{}, errors.New("both a sampler and a score are given: one of them is wanted")
	case m.Sampler != nil:
		return loadGraphs(rt, m, o)
	case m.Score != nil:
		return loadScore(rt, m, o)
	case m.Denoise != nil:
		return loadGraphs(rt, m, o)
	}
	return nil, runtime.ValueInfo{}, errors.New("no model is given: a sampler or a score is wanted")
}

// graphs is the stepper whose arithmetic is all in the models.
type graphs struct{ sampler, denoise *runtime.Session }

func loadGraphs(rt *runtime.Runtime, m Models, o runtime.SessionOptions) (_ Stepper, x runtime.ValueInfo, err error) {
	g := &graphs{}
	defer func() {
		if err != nil {
			g.Close()
		}
	}()
	if m.Denoise != nil {
		if g.denoise, x, err = groups.Load(rt, m.Denoise, o, []string{"x"}, []string{"denoised"}); err != nil {
			return nil, x, fmt.Errorf("denoising model: %w", err)
		}
	}
	if m.Sampler == nil {
		return g, x, nil
	}
	jump := x
	if g.sampler, x, err = groups.Load(rt, m.Sampler, o, []string{"x", "noise", "step_size", "temperature"}, []string{"x_next", "energy"}); err != nil {
		return nil, x, fmt.Errorf("sampler: %w", err)
	}
	if m.Denoise != nil && !slices.Equal(x.Shape, jump.Shape) {
		return nil, x, fmt.Errorf("the sampler's x is %v, the denoising model's %v", x, jump)
	}
	return g, x, nil
}

func (g *graphs) Steps(ctx context.Context, x, noise *tensor.Tensor, temperature []float32, stepSize float32) (next, energy *tensor.Tensor, err error) {
	if g.sampler == nil {
		return nil, nil, errors.New("there is no sampler, only a denoising model")
	}
	out, err := g.sampler.Run(ctx, map[string]*tensor.Tensor{
		"x": x, "noise": noise,
		"temperature": tensor.Of(temperature, len(temperature)),
		"step_size":   tensor.Of([]float32{stepSize}, 1),
	})
	if err != nil {
		return nil, nil, err
	}
	return out["x_next"], out["energy"], nil
}

func (g *graphs) Denoise(ctx context.Context, x *tensor.Tensor) (clean, energy *tensor.Tensor, err error) {
	if g.denoise == nil {
		return nil, nil, errNoDenoise
	}
	out, err := g.denoise.Run(ctx, map[string]*tensor.Tensor{"x": x})
	if err != nil {
		return nil, nil, err
	}
	return out["denoised"], out["energy"], nil
}

func (g *graphs) Close() error {
	var errs []error
	for _, s := range []*runtime.Session{g.sampler, g.denoise} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
