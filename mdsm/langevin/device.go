package langevin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"ebm/export"
	"ebm/export/session"
	"ebm/mdsm"
	"ebm/models/tensor"
	"ebm/runtime"
)

// deviceModels are the models of chains that stay in the memory of a device: one step of a
// fixed number of chains, without a Scan, which devices do not have.
type deviceModels struct {
	rt    *runtime.Runtime
	model func(name string, batch int, counted bool, form session.Form) ([]byte, error)
	// counts says that models draw noise themselves: CUDA has the operators, WebGPU has no
	// 64-bit integers.
	counts bool

	mu       sync.Mutex
	sessions map[string]*runtime.Session
}

func newDeviceModels(rt *runtime.Runtime, model func(string, int, bool, session.Form) ([]byte, error)) *deviceModels {
	return &deviceModels{rt: rt, model: model, counts: rt.Info().Provider == runtime.CUDA, sessions: make(map[string]*runtime.Session)}
}

// session returns that of a model for a batch, loaded when it is first wanted.
func (m *deviceModels) session(name string, batch int, counted bool) (*runtime.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := fmt.Sprintf("%s %d %t", name, batch, counted)
	if s := m.sessions[key]; s != nil {
		return s, nil
	}
	model, err := m.model(name, batch, counted, session.FormFor(m.rt))
	if err != nil {
		return nil, err
	}
	s, err := m.rt.Load(model, runtime.SessionOptions{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m.sessions[key] = s
	return s, nil
}

func (m *deviceModels) close() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, s := range m.sessions {
		errs = append(errs, s.Close())
	}
	clear(m.sessions)
	return errors.Join(errs...)
}

// resident is a batch of chains whose x, and memory, stay on a device, in turn in two
// places: a step reads one and writes the other. What a step takes of the host is its
// number and size, or its noise where the model does not draw that.
type resident struct {
	models *deviceModels
	sigma0 float64
	held   *runtime.Held
	places [2]state
	turn   int // the place of the chains now
	steps  [2]*runtime.Binding
	jumps  [2]*runtime.Binding // nil until the first
	moved  bool                // since the host has seen the chains

	noise                      map[string]*tensor.Tensor // the inputs that noise is made of: itself, or counters
	stepSize, temperature, row *tensor.Tensor
	energy                     *tensor.Tensor // before the last step, on the device
	clean, cleanEnergy         *tensor.Tensor // of the last jump
}

// counters are what a model draws the noise of a batch of chains from.
type counters struct {
	key   uint64
	first int // the index of the first chain's sample
}

// inputs makes the inputs of a model that draws the noise of n chains.
func (c counters) inputs(n int) map[string]*tensor.Tensor {
	samples := tensor.New(tensor.Int64, n)
	for i := range n {
		tensor.Data[int64](samples)[i] = int64(c.first + i)
	}
	return map[string]*tensor.Tensor{
		export.SamplesInput: samples, export.StepsInput: tensor.New(tensor.Int64, 1), export.KeyInput: tensor.Of([]int64{int64(c.key)}, 1),
	}
}

// place moves chains to the device. Their noise is drawn there from counters, unless those are
// nil.
func (m *deviceModels) place(at state, sigma0 float64, from *counters) (_ *resident, err error) {
	like := func(t *tensor.Tensor) *tensor.Tensor { return tensor.New(tensor.Float32, t.Shape()...) }
	n := at.x.Shape()[0]
	r := &resident{
		models: m, sigma0: sigma0, places: [2]state{at, {x: like(at.x), hidden: at.hidden}},
		stepSize:    tensor.New(tensor.Float32, 1),
		temperature: tensor.New(tensor.Float32, 1), row: tensor.New(tensor.Float32, 1, mdsm.Coefficients),
		energy: tensor.New(tensor.Float32, 1, n), clean: like(at.x), cleanEnergy: tensor.New(tensor.Float32, n),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	first := []*tensor.Tensor{at.x}
	if from != nil {
		r.noise = from.inputs(n)
		first = append(first, r.noise[export.SamplesInput], r.noise[export.KeyInput])
	} else {
		r.noise = map[string]*tensor.Tensor{"noise": tensor.New(tensor.Float32, append([]int{1}, at.x.Shape()...)...)}
	}
	if at.memory != nil {
		r.places[1].memory = like(at.memory)
		if at.hidden == nil { // the model of chains with a memory wants a mask
			all := like(at.x)
			values := tensor.Data[float32](all)
			for i := range values {
				values[i] = 1
			}
			r.places[0].hidden, r.places[1].hidden = all, all
		}
		first = append(first, at.memory)
	}
	if mask := r.places[0].hidden; mask != nil {
		first = append(first, mask)
	}
	all := append(slices.Clone(first), r.energy, r.places[1].x)
	if at.memory != nil {
		all = append(all, r.places[1].memory)
	}
	if r.held, err = m.rt.Hold(all...); err != nil {
		return nil, err
	}
	if err := r.held.Upload(first...); err != nil {
		return nil, err
	}
	return r, r.bind(n)
}

// bind ties the model of a step to both places.
func (r *resident) bind(n int) error {
	name, in := "sampler", map[string]*tensor.Tensor{"step_size": r.stepSize, "temperature": r.temperature}
	switch {
	case r.places[0].memory != nil:
		name, in = "updates", map[string]*tensor.Tensor{"updates": r.row, "hidden": r.places[0].hidden}
	case r.places[0].hidden != nil:
		name, in["hidden"] = "inpaint", r.places[0].hidden
	}
	maps.Copy(in, r.noise)
	session, err := r.models.session(name, n, r.noise["noise"] == nil)
	if err != nil {
		return err
	}
	for i := range r.steps {
		from, to := r.places[i], r.places[1-i]
		inputs, outputs := maps.Clone(in), map[string]*tensor.Tensor{"x_next": to.x, "energy": r.energy}
		inputs["x"] = from.x
		if from.memory != nil {
			inputs["memory"], outputs["memory_next"] = from.memory, to.memory
		}
		if r.steps[i], err = session.BindHeld(r.held, inputs, outputs); err != nil {
			return err
		}
	}
	return nil
}

// step makes one update with the noise that r.noise has or makes.
func (r *resident) step(ctx context.Context, u mdsm.Update) error {
	tensor.Data[float32](r.stepSize)[0], tensor.Data[float32](r.temperature)[0] = float32(u.StepSize), float32(u.Temperature)
	copy(tensor.Data[float32](r.row), u.Row(r.sigma0))
	if err := r.steps[r.turn].Run(ctx); err != nil {
		return err
	}
	r.turn, r.moved = 1-r.turn, true
	return nil
}

// energies returns those before the last step [N].
func (r *resident) energies() ([]float32, error) {
	return tensor.Data[float32](r.energy), r.held.Download(r.energy)
}

// fetch brings the chains to the host.
func (r *resident) fetch() (state, error) {
	at := r.places[r.turn]
	if !r.moved {
		return at, nil
	}
	list := []*tensor.Tensor{at.x}
	if at.memory != nil {
		list = append(list, at.memory)
	}
	err := r.held.Download(list...)
	r.moved = err != nil
	return at, err
}

// jump makes the denoising jump of the chains, which stay where they are. masked says
// that given pixels are kept.
func (r *resident) jump(ctx context.Context, masked bool) (clean, energy *tensor.Tensor, err error) {
	if r.jumps[r.turn] == nil {
		at := r.places[r.turn]
		name, in := "denoise", map[string]*tensor.Tensor{"x": at.x}
		if masked {
			name, in["hidden"] = "denoise_hidden", at.hidden
		}
		session, err := r.models.session(name, at.x.Shape()[0], false)
		if err != nil {
			return nil, nil, err
		}
		out := map[string]*tensor.Tensor{"denoised": r.clean, "energy": r.cleanEnergy}
		if r.jumps[r.turn], err = session.BindHeld(r.held, in, out); err != nil {
			return nil, nil, err
		}
	}
	if err := r.jumps[r.turn].Run(ctx); err != nil {
		return nil, nil, err
	}
	return r.clean.Clone(), r.cleanEnergy.Clone(), nil
}

func (r *resident) close() error {
	if r == nil {
		return nil
	}
	var errs []error
	for _, b := range slices.Concat(r.steps[:], r.jumps[:]) {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	return errors.Join(errors.Join(errs...), r.held.Close())
}
