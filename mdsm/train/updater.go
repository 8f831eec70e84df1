package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"

	"ebm/export/session"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
)

// Shards is an update in two parts. A step on all cores spends much of its
// time in operators that one core computes; parts of a batch on a core each
// do not.
type Shards struct {
	Count    int
	Gradient *graph.Graph // as of mdsm.GradientGraph: the batch, every P → loss, P.grad
	Update   *graph.Graph // as of mdsm.UpdateGraph, for Count gradients
	Summed   *graph.Graph // and for the one gradient that they add up to
}

// updater makes one update: it reads one set of the state's tensors and
// writes the other one, loss and gradNorm.
type updater interface {
	update(ctx context.Context, from int) error
	close()
}

// newUpdater loads the update in shards where there are any, and as one graph elsewhere.
func (s *state) newUpdater(rt *runtime.Runtime) (updater, error) {
	// What made the state goes back before the first step takes its memory.
	defer debug.FreeOSMemory()
	if s.Before != nil && s.step < s.Before.Until {
		return newStaged(rt, s)
	}
	return s.wholeUpdater(rt)
}

// wholeUpdater is newUpdater of a run without a stage before.
func (s *state) wholeUpdater(rt *runtime.Runtime) (updater, error) {
	if rt.Info().Precision == runtime.FP16 {
		if s.Float16 == nil || s.Before != nil {
			return nil, errors.New("--precision fp16, want fp32, tf32 or bf16: this training's gradients leave the range of float16")
		}
		var err error
		if s.Step, s.Shards, err = s.Float16(); err != nil {
			return nil, err
		}
		s.skips = true
	}
	if err := checkRanks(s.Ranks, len(rt.Each()), s.Shards); err != nil {
		return nil, err
	}
	switch {
	case s.Shards == nil:
		return newWhole(rt, s)
	case s.Ranks != nil || len(rt.Each()) > 1:
		return newRanked(rt, s)
	}
	return newSharded(rt, s)
}

// Stage is the first part of a run.
type Stage struct {
	Until  int          // the last of its updates
	Share  float64      // of the run's updates
	Step   *graph.Graph // as that of the Problem, with some of the inputs of Batch
	Shards *Shards
}

// staged makes the updates of the first stage of a run, and then those after it.
type staged struct {
	updater
	s  *state
	rt *runtime.Runtime // nil once the stage is over
}

func newStaged(rt *runtime.Runtime, s *state) (*staged, error) {
	later := s.Problem
	defer func() { s.Problem = later }()
	s.Step, s.Shards, s.Batch = s.Before.Step, s.Before.Shards, maps.Clone(s.Batch)
	maps.DeleteFunc(s.Batch, func(name string, _ *tensor.Tensor) bool {
		return !slices.ContainsFunc(s.Step.Inputs(), func(in *graph.Node) bool { return in.InputName() == name })
	})
	u, err := s.wholeUpdater(rt)
	return &staged{u, s, rt}, err
}

func (u *staged) update(ctx context.Context, from int) error {
	if u.rt != nil && u.s.step >= u.s.Before.Until {
		next, err := u.s.wholeUpdater(u.rt)
		if err != nil {
			return err
		}
		u.updater.close()
		u.updater, u.rt = next, nil
	}
	return u.updater.update(ctx, from)
}

// load loads a graph for the batch at hand, which lets the runtime plan ahead.
func load(rt *runtime.Runtime, g *graph.Graph, batch map[string]*tensor.Tensor, threads int) (*runtime.Session, error) {
	return session.Load(rt, g, sizes(g, batch), runtime.SessionOptions{Threads: threads, Replay: true})
}

// sizes returns the sizes that the batch's tensors give to symbols.
func sizes(g *graph.Graph, batch map[string]*tensor.Tensor) map[string]int {
	sizes := make(map[string]int)
	for _, in := range g.Inputs() {
		t, ok := batch[in.InputName()]
		if !ok {
			continue
		}
		for i, d := range in.Shape() {
			if _, constant := d.Constant(); !constant {
				sizes[d.String()] = t.Shape()[i]
			}
		}
	}
	return sizes
}

// bound is a session with tensors tied to it once for each direction between
// the two sets of the state.
type bound struct {
	session  *runtime.Session
	bindings [2]*runtime.Binding
}

func (b *bound) bind(held *runtime.Held, tensors func(from int) (in, out map[string]*tensor.Tensor)) error {
	for i := range b.bindings {
		in, out := tensors(i)
		binding, err := b.session.BindHeld(held, in, out)
		if err != nil {
			return err
		}
		b.bindings[i] = binding
	}
	return nil
}

func (b *bound) close() {
	for _, binding := range b.bindings {
		if binding != nil {
			binding.Close()
		}
	}
	b.session.Close()
}

// whole makes an update in one run of one graph.
type whole struct{ bound }

func newWhole(rt *runtime.Runtime, s *state) (*whole, error) {
	inputs := maps.Clone(s.Batch)
	maps.Copy(inputs, s.Fixed)
	loaded, err := load(rt, s.Step, inputs, 0)
	if err != nil {
		return nil, err
	}
	w := &whole{bound{session: loaded}}
	err = w.bind(s.held[0], func(from int) (in, out map[string]*tensor.Tensor) {
		in, out = s.updated(from)
		maps.Copy(in, inputs)
		maps.Copy(out, s.Returned)
		out["loss"] = s.loss
		return in, out
	})
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// updated returns what every update reads and writes.
func (s *state) updated(from int) (in, out map[string]*tensor.Tensor) {
	in = map[string]*tensor.Tensor{"learning_rate": s.rate, "step": s.t}
	out = map[string]*tensor.Tensor{"grad_norm": s.gradNorm}
	for name, t := range s.values[from] {
		in[name] = t
		out[name+".next"] = s.values[1-from][name]
	}
	return in, out
}

func (w *whole) update(ctx context.Context, from int) error { return w.bindings[from].Run(ctx) }

// sharded computes gradients of parts of the batch side by side, and then one
// update with their mean. How many threads there are changes no bit. A device computes
// them one after another, and keeps the gradients.
type sharded struct {
	held      *runtime.Held // of the gradients
	gradients []bound       // of each part; they share a session
	losses    []*tensor.Tensor
	loss      *tensor.Tensor // the mean
	last      bound
	abreast   int
}

func newSharded(rt *runtime.Runtime, s *state) (_ *sharded, err error) {
	n, threads := s.Shards.Count, max(rt.Info().Threads, 1)
	u := &sharded{abreast: min(n, abreast(rt)), loss: s.loss}
	defer func() {
		if err != nil {
			u.close()
		}
	}()
	grads := make(map[string]*tensor.Tensor)
	for i := range n {
		for _, name := range s.Order {
			grads[fmt.Sprintf("%s.grad/%d", name, i)] = tensor.New(tensor.Float32, s.values[0][name].Shape()...)
		}
	}
	if u.held, err = s.held[0].With(slices.Collect(maps.Values(grads))...); err != nil {
		return nil, err
	}
	parts, returned := s.parts(n), rowsOf(s.Returned, n)
	loaded, err := load(rt, s.Shards.Gradient, parts[0], max(threads/n, 1))
	if err != nil {
		return nil, err
	}
	for i := range n {
		u.losses = append(u.losses, tensor.New(tensor.Float32, 1))
		b := bound{session: loaded}
		err := b.bind(u.held, func(from int) (in, out map[string]*tensor.Tensor) {
			in, out = maps.Clone(parts[i]), maps.Clone(returned[i])
			out["loss"] = u.losses[i]
			for _, name := range s.Order {
				in[name], out[name+".grad"] = s.values[from][name], grads[fmt.Sprintf("%s.grad/%d", name, i)]
			}
			return in, out
		})
		u.gradients = append(u.gradients, b)
		if err != nil {
			return nil, err
		}
	}
	if u.last.session, err = load(rt, s.Shards.Update, nil, 0); err != nil {
		return nil, err
	}
	return u, u.last.bind(u.held, func(from int) (in, out map[string]*tensor.Tensor) {
		in, out = s.updated(from)
		for name, t := range grads {
			in[name] = t
		}
		return in, out
	})
}

// parts cuts the tensors of the batch into those of n shards, which have the fixed ones
// too.
func (s *state) parts(n int) []map[string]*tensor.Tensor {
	parts := rowsOf(s.Batch, n)
	for _, part := range parts {
		maps.Copy(part, s.Fixed)
	}
	return parts
}

// rowsOf cuts tensors with rows into n equal parts.
func rowsOf(whole map[string]*tensor.Tensor, n int) []map[string]*tensor.Tensor {
	parts := make([]map[string]*tensor.Tensor, n)
	for i := range parts {
		parts[i] = make(map[string]*tensor.Tensor)
		for name, t := range whole {
			each := t.Shape()[0] / n
			parts[i][name] = t.Rows(i*each, (i+1)*each)
		}
	}
	return parts
}

// compute computes the gradients of the shards, some side by side.
func (u *sharded) compute(ctx context.Context, from int) error {
	return runAll(ctx, u.gradients, from, u.abreast)
}

// runAll runs bindings, some side by side.
func runAll(ctx context.Context, all []bound, from, abreast int) error {
	errs := make([]error, len(all))
	slots := make(chan struct{}, abreast)
	var wait sync.WaitGroup
	for i := range all {
		slots <- struct{}{}
		wait.Go(func() {
			errs[i] = all[i].bindings[from].Run(ctx)
			<-slots
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (u *sharded) update(ctx context.Context, from int) error {
	if err := u.compute(ctx, from); err != nil {
		return err
	}
	var sum float64
	for _, l := range u.losses {
		sum += float64(tensor.Data[float32](l)[0])
	}
	tensor.Data[float32](u.loss)[0] = float32(sum / float64(len(u.losses)))
	return u.last.bindings[from].Run(ctx)
}

func (u *sharded) close() {
	for i := range u.gradients {
		u.gradients[i].close() // closing a session again does nothing
	}
	if u.last.session != nil {
		u.last.close()
	}
	u.held.Close()
}

// abreast returns how many shards are computed side by side: one on each device, or
// thread.
func abreast(rt *runtime.Runtime) int {
	if rt.Info().Provider != runtime.CPU {
		return len(rt.Each())
	}
	return max(rt.Info().Threads, 1)
}
