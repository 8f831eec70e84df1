package langevin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"ebm/mdsm"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
)

// Stepper makes the updates of a batch of chains. It may be used from several
// goroutines at once.
type Stepper interface {
	// Steps makes updates with noise [K N …], of hidden pixels alone if there is a
	// mask. Updates of chains without a memory are eq. (8) with one step size. It
	// returns the chains after them and the energies [K N] before each, nil when the
	// model has none.
	Steps(ctx context.Context, at state, noise *tensor.Tensor, updates []mdsm.Update) (next state, energy *tensor.Tensor, err error)
	// Denoise makes the jump of eq. (9), of hidden pixels alone if there is a
	// mask. It returns the energies [N] before it, nil when the model has none.
	Denoise(ctx context.Context, x, hidden *tensor.Tensor) (clean, energy *tensor.Tensor, err error)
	// Close frees the models.
	Close() error
}

var errNoInpaint = errors.New("there is no model that fills in hidden pixels")

var errNoDenoise = errors.New("there is no model of the denoising jump, or no sigma0 for a score: give one, or leave out the jump and " +
	"snapshots")

// state is where a batch of chains is.
type state struct {
	x      *tensor.Tensor // [N …]
	memory *tensor.Tensor // of x's shape, nil for chains of eq. (8) alone
	hidden *tensor.Tensor // of x's shape, nil when all values move
}

// slice returns the chains from lo to before hi.
func (s state) slice(lo, hi int) state {
	rows := func(t *tensor.Tensor) *tensor.Tensor {
		if t == nil {
			return nil
		}
		return t.Rows(lo, hi)
	}
	return state{rows(s.x), rows(s.memory), rows(s.hidden)}
}

// load makes the stepper of the models and describes its x.
func load(rt *runtime.Runtime, m Files, threads int) (Stepper, runtime.ValueInfo, error) {
	if m.Fast != nil {
		memory := m.Memory
		var err error
		if m, err = m.Fast(rt, memory); err != nil {
			return nil, runtime.ValueInfo{}, err
		}
		m.Memory = memory
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
type graphs struct {
	sampler, denoise, inpaint, denoiseHidden *runtime.Session

	sigma0  float64
	updates func() (*runtime.Session, error) // loads the model of chains with a memory when they are first used
	loaded  func() *runtime.Session          // it, or nil
}

func loadGraphs(rt *runtime.Runtime, m Files, o runtime.SessionOptions) (_ Stepper, x runtime.ValueInfo, err error) {
	g := &graphs{sigma0: m.Sigma0}
	g.prepare(rt, m, o)
	defer func() {
		if err != nil {
			g.Close()
		}
	}()
	updates := make(chan error, 1)
	if m.Memory {
		m.Sampler = nil
		go func() {
			_, err := g.updates()
			updates <- err
		}()
		defer func() { err = errors.Join(err, <-updates) }()
	}
	chain := []string{"x", "noise", "step_size", "temperature"}
	parts := slices.DeleteFunc([]part{
		{"denoising model", &g.denoise, m.Denoise, []string{"x"}, []string{"denoised"}},
		{"sampler", &g.sampler, m.Sampler, chain, []string{"x_next", "energy"}},
		{"denoising model of hidden pixels", &g.denoiseHidden, m.DenoiseHidden, []string{"x", "hidden"}, []string{"denoised"}},
		{"inpainting model", &g.inpaint, m.Inpaint, append([]string{"hidden"}, chain...), []string{"x_next", "energy"}},
	}, func(p part) bool { return p.model == nil })
	// Side by side, since who wants one sample waits for all of them.
	load := func(_ context.Context, i int) (x runtime.ValueInfo, err error) {
		p := parts[i]
		if *p.session, x, err = parallel.Load(rt, p.model, o, p.inputs, p.outputs); err != nil {
			err = fmt.Errorf("%s: %w", p.name, err)
		}
		return x, err
	}
	err = parallel.Ordered(context.Background(), len(parts), len(parts), load, func(i int, found runtime.ValueInfo) error {
		if i > 0 && !slices.Equal(found.Shape, x.Shape) {
			return fmt.Errorf("the %s's x is %v, that of another model %v", parts[i].name, found, x)
		}
		x = found
		return nil
	})
	return g, x, err
}

// part is a model of graphs, and where its session belongs.
type part struct {
	name            string
	session         **runtime.Session
	model           []byte
	inputs, outputs []string
}

func (g *graphs) Steps(ctx context.Context, at state, noise *tensor.Tensor, updates []mdsm.Update) (state, *tensor.Tensor, error) {
	if at.memory != nil {
		return g.remembering(ctx, at, noise, updates)
	}
	temperature := make([]float32, len(updates))
	for i, u := range updates {
		temperature[i] = float32(u.Temperature)
	}
	in := map[string]*tensor.Tensor{
		"x": at.x, "noise": noise,
		"temperature": tensor.Of(temperature, len(temperature)),
		"step_size":   tensor.Of([]float32{float32(updates[0].StepSize)}, 1),
	}
	session := g.sampler
	if at.hidden != nil {
		in["hidden"], session = at.hidden, g.inpaint
	}
	switch {
	case session == nil && at.hidden != nil:
		return at, nil, errNoInpaint
	case session == nil:
		return at, nil, errors.New("there is no sampler, only a denoising model")
	}
	out, err := session.Run(ctx, in)
	if err != nil {
		return at, nil, err
	}
	at.x = out["x_next"]
	return at, out["energy"], nil
}

// remembering makes updates of chains with a memory.
func (g *graphs) remembering(ctx context.Context, at state, noise *tensor.Tensor, updates []mdsm.Update) (state, *tensor.Tensor, error) {
	session, err := g.updates()
	if err != nil {
		return at, nil, err
	}
	hidden := at.hidden
	if hidden == nil {
		hidden = tensor.New(tensor.Float32, at.x.Shape()...)
		for i := range hidden.Len() {
			tensor.Data[float32](hidden)[i] = 1
		}
	}
	out, err := session.Run(ctx, map[string]*tensor.Tensor{
		"x": at.x, "memory": at.memory, "hidden": hidden, "noise": noise, "updates": mdsm.Rows(updates, g.sigma0),
	})
	if err != nil {
		return at, nil, err
	}
	at.x, at.memory = out["x_next"], out["memory_next"]
	return at, out["energy"], nil
}

// prepare sets how the model of chains with a memory is loaded, by the first of them.
func (g *graphs) prepare(rt *runtime.Runtime, m Files, o runtime.SessionOptions) {
	var session *runtime.Session
	g.loaded = func() *runtime.Session { return session }
	g.updates = sync.OnceValues(func() (*runtime.Session, error) {
		if m.Updates == nil {
			return nil, errors.New("there is no model of updates with a memory, want one for this sampler")
		}
		model, err := m.Updates()
		if err == nil {
			session, err = rt.Load(model, o)
		}
		return session, err
	})
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
	for _, s := range []*runtime.Session{g.sampler, g.denoise, g.inpaint, g.denoiseHidden, g.loaded()} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
