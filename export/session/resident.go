package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"ebm/export"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
)

// Fixed makes the model of a name for a batch of a fixed size and without a Scan, which
// devices do not have. A counted one draws its noise itself ([export.CountNoise]), and takes
// the key.
type Fixed func(model string, batch int, counted bool, form Form) ([]byte, error)

// FixedOf returns Fixed of graphs, which make one step in a run where they have K, and take
// their noise in an input.
func FixedOf(noise export.Counted, graphs map[string]func() *graph.Graph) Fixed {
	return func(model string, batch int, counted bool, form Form) ([]byte, error) {
		var g *graph.Graph
		if err := graph.Catch(func() { g = graphs[model]() }); err != nil {
			return nil, err
		}
		o := form.In(export.Options{Sizes: map[string]int{"N": batch, "K": 1}, Unroll: true})
		if counted {
			o.Count = &export.Counted{Input: noise.Input, Single: noise.Single, Halves: form.Halves}
		}
		return export.Bytes(g, o)
	}
}

// Models are the sessions of chains that stay in the memory of a device. They may be used
// from several goroutines at once.
type Models struct {
	// Counts says that models draw noise themselves, as devices do: the CPU is faster with a
	// generator of the host's. Halves is as export.Counted.Halves: WebGPU has no 64-bit integers.
	Counts, Halves bool

	rt       *runtime.Runtime
	model    Fixed
	mu       sync.Mutex
	sessions map[string]*runtime.Session
}

// NewModels returns those of a runtime.
func NewModels(rt *runtime.Runtime, model Fixed) *Models {
	provider := rt.Info().Provider
	return &Models{Counts: provider != runtime.CPU, Halves: provider == runtime.WebGPU, rt: rt, model: model,
		sessions: make(map[string]*runtime.Session)}
}

// Session returns that of a model for a batch, loaded as o says when it is first wanted.
func (m *Models) Session(name string, batch int, counted bool, o runtime.SessionOptions) (*runtime.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := fmt.Sprintf("%s %d %t", name, batch, counted)
	if s := m.sessions[key]; s != nil {
		return s, nil
	}
	form := FormFor(m.rt)
	form.Halves = m.Halves
	model, err := m.model(name, batch, counted, form)
	if err != nil {
		return nil, err
	}
	s, err := m.rt.Load(model, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m.sessions[key] = s
	return s, nil
}

// Place is [Place] on the models' runtime.
func (m *Models) Place(state map[string]*tensor.Tensor, others ...*tensor.Tensor) (*Resident, error) {
	return Place(m.rt, state, others...)
}

// Close frees the sessions.
func (m *Models) Close() error {
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

// Resident is the state of a batch of chains that stays in the memory of the device that
// computes, from the first step to the last. It lies in two places in turn: a step reads one
// and writes the other. On the CPU these are tensors in the host.
type Resident struct {
	*runtime.Held
	places [2]map[string]*tensor.Tensor // by the names of models' inputs
	turn   int                          // where the state is now
	seen   map[*tensor.Tensor]bool      // what the host has of it
	bound  []*Bound
}

// Place sets memory aside for a state, and for others that runs read or write beside it. What
// they have in the host goes to the device by Upload. The state's tensors are the chains' from
// then on.
func Place(rt *runtime.Runtime, state map[string]*tensor.Tensor, others ...*tensor.Tensor) (*Resident, error) {
	r := &Resident{places: [2]map[string]*tensor.Tensor{maps.Clone(state), {}}, seen: make(map[*tensor.Tensor]bool)}
	for name, t := range state {
		r.seen[t], r.places[1][name] = true, tensor.New(t.DType(), t.Shape()...)
	}
	var err error
	r.Held, err = rt.Hold(slices.Concat(others, slices.Collect(maps.Values(r.places[0])), slices.Collect(maps.Values(r.places[1])))...)
	return r, err
}

// At returns the tensor that stands for a part of the state where it is now.
func (r *Resident) At(name string) *tensor.Tensor { return r.places[r.turn][name] }

// Fetch brings a part of the state to the host, in a tensor that the step after the next may
// write.
func (r *Resident) Fetch(name string) (*tensor.Tensor, error) {
	t := r.At(name)
	if r.seen[t] {
		return t, nil
	}
	err := r.Download(t)
	r.seen[t] = err == nil
	return t, err
}

// Turn changes to the other place: to the state that a step has left, or back to what it was
// before.
func (r *Resident) Turn() {
	r.turn = 1 - r.turn
	clear(r.seen)
}

// Bound is a model that is tied to a state, wherever that is.
type Bound struct {
	state   *Resident
	session *runtime.Session
	in, out map[string]*tensor.Tensor
	each    [2]*runtime.Binding // for each place, nil until it is first used
	steps   bool
}

// Bind ties a model to the state: inputs of a name in the state read it, and outputs
// NAME_next are where it is after a run, which then is a step. in and out are all others, and
// cross at every run but for what Place was given.
func (r *Resident) Bind(s *runtime.Session, in, out map[string]*tensor.Tensor) *Bound {
	b := &Bound{state: r, session: s, in: in, out: out}
	r.bound = append(r.bound, b)
	return b
}

// binding ties the model to the place where the state is.
func (b *Bound) binding() (*runtime.Binding, error) {
	r := b.state
	if b.each[r.turn] != nil {
		return b.each[r.turn], nil
	}
	has := func(values []runtime.ValueInfo, name string) bool {
		return slices.ContainsFunc(values, func(v runtime.ValueInfo) bool { return v.Name == name })
	}
	inputs, outputs := make(map[string]*tensor.Tensor), make(map[string]*tensor.Tensor)
	for name, t := range r.places[r.turn] {
		if has(b.session.Inputs(), name) {
			inputs[name] = t
		}
		if next := name + "_next"; has(b.session.Outputs(), next) {
			outputs[next], b.steps = r.places[1-r.turn][name], true
		}
	}
	maps.Copy(inputs, b.in)
	maps.Copy(outputs, b.out)
	bound, err := b.session.BindHeld(r.Held, inputs, outputs)
	if err == nil {
		b.each[r.turn] = bound
	}
	return bound, err
}

// Run runs the model once. After an error the state is what it was.
func (b *Bound) Run(ctx context.Context) error {
	bound, err := b.binding()
	if err != nil {
		return err
	}
	if err := bound.Run(ctx); err != nil {
		return err
	}
	for _, t := range b.out {
		delete(b.state.seen, t)
	}
	if b.steps {
		b.state.Turn()
	}
	return nil
}

// Close frees the memory, and what is bound to it.
func (r *Resident) Close() error {
	if r == nil {
		return nil
	}
	var errs []error
	for _, b := range r.bound {
		for _, each := range b.each {
			if each != nil {
				errs = append(errs, each.Close())
			}
		}
	}
	return errors.Join(errors.Join(errs...), r.Held.Close())
}
