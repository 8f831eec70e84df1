package langevin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
)

// Stepper makes the updates of a batch of chains. It may be used from several
// goroutines at once.
type Stepper interface {
	// Steps makes one step of eq. (8) for each temperature, on x [N …] with
	// noise [K N …], of hidden pixels alone if there is a mask. It returns the
	// new x and the energies [K N] before each step, nil when the model has none.
	Steps(ctx context.Context, x, hidden, noise *tensor.Tensor, temperature []float32, stepSize float32) (next, energy *tensor.Tensor, err error)
	// Denoise makes the jump of eq. (9), of hidden pixels alone if there is a
	// mask. It returns the energies [N] before it, nil when the model has none.
	Denoise(ctx context.Context, x, hidden *tensor.Tensor) (clean, energy *tensor.Tensor, err error)
	// Close frees the models.
	Close() error
}

var errNoInpaint = errors.New("there is no model that fills in hidden pixels")

var errNoDenoise = errors.New("there is no model of the denoising jump, or no sigma0 for a score: give one, or leave out the jump and snapshots")

// load makes the stepper of the models and describes its x.
func load(rt *runtime.Runtime, m Files, threads int) (Stepper, runtime.ValueInfo, error) {
	if m.Fast != nil {
		var err error
		if m, err = m.Fast(rt); err != nil {
			return nil, runtime.ValueInfo{}, err
		}
	}
	o := runtime.SessionOptions{Threads: threads}
	switch {
	case m.Sampler != nil && m.Score != nil:
		return nil, runtime.ValueInfo{}, errors.New("both a sampler and a score are given, want one of them")
	case m.Score != nil:
		return loadScore(rt, m, o)
	case m.Sampler != nil || m.Denoise != nil || m.Inpaint != nil || m.DenoiseHidden != nil:
		return loadGraphs(rt, m, o)
	}
	return nil, runtime.ValueInfo{}, errors.New("no model is given, want a sampler or a score")
}

// graphs is the stepper whose arithmetic is all in the models. Any of them may
// be missing.
type graphs struct{ sampler, denoise, inpaint, denoiseHidden *runtime.Session }

func loadGraphs(rt *runtime.Runtime, m Files, o runtime.SessionOptions) (_ Stepper, x runtime.ValueInfo, err error) {
	g := &graphs{}
	defer func() {
		if err != nil {
			g.Close()
		}
	}()
	chain := []string{"x", "noise", "step_size", "temperature"}
	for _, part := range []struct {
		name            string
		session         **runtime.Session
		model           []byte
		inputs, outputs []string
	}{
		{"denoising model", &g.denoise, m.Denoise, []string{"x"}, []string{"denoised"}},
		{"sampler", &g.sampler, m.Sampler, chain, []string{"x_next", "energy"}},
		{"denoising model of hidden pixels", &g.denoiseHidden, m.DenoiseHidden, []string{"x", "hidden"}, []string{"denoised"}},
		{"inpainting model", &g.inpaint, m.Inpaint, append([]string{"hidden"}, chain...), []string{"x_next", "energy"}},
	} {
		if part.model == nil {
			continue
		}
		before := x
		if *part.session, x, err = parallel.Load(rt, part.model, o, part.inputs, part.outputs); err != nil {
			return nil, x, fmt.Errorf("%s: %w", part.name, err)
		}
		if before.Shape != nil && !slices.Equal(x.Shape, before.Shape) {
			return nil, x, fmt.Errorf("the %s's x is %v, that of another model %v", part.name, x, before)
		}
	}
	return g, x, nil
}

func (g *graphs) Steps(ctx context.Context, x, hidden, noise *tensor.Tensor, temperature []float32, stepSize float32) (next, energy *tensor.Tensor, err error) {
	in := map[string]*tensor.Tensor{
		"x": x, "noise": noise,
		"temperature": tensor.Of(temperature, len(temperature)),
		"step_size":   tensor.Of([]float32{stepSize}, 1),
	}
	session := g.sampler
	if hidden != nil {
		in["hidden"], session = hidden, g.inpaint
	}
	switch {
	case session == nil && hidden != nil:
		return nil, nil, errNoInpaint
	case session == nil:
		return nil, nil, errors.New("there is no sampler, only a denoising model")
	}
	out, err := session.Run(ctx, in)
	if err != nil {
		return nil, nil, err
	}
	return out["x_next"], out["energy"], nil
}

func (g *graphs) Denoise(ctx context.Context, x, hidden *tensor.Tensor) (clean, energy *tensor.Tensor, err error) {
	in, session := map[string]*tensor.Tensor{"x": x}, g.denoise
	if hidden != nil {
		in["hidden"], session = hidden, g.denoiseHidden
	}
	if session == nil {
		return nil, nil, errNoDenoise
	}
	out, err := session.Run(ctx, in)
	if err != nil {
		return nil, nil, err
	}
	return out["denoised"], out["energy"], nil
}

func (g *graphs) Close() error {
	var errs []error
	for _, s := range []*runtime.Session{g.sampler, g.denoise, g.inpaint, g.denoiseHidden} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
