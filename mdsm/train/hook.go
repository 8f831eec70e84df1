package train

import (
	"cmp"
	"context"
	"errors"
	"image"
	"maps"
	"slices"

	"ebm/models/energy"
	"ebm/runtime"
)

// Hook is called after every update, and the run waits for it. It may look at
// the update, log numbers and measure the weights; it changes none of them. An
// error ends the run with that error; ErrStop ends it well, with a checkpoint.
type Hook func(ctx context.Context, u Update) error

// then returns a hook that calls h and, where that is no error but ErrStop, next.
func (h Hook) then(next Hook) Hook {
	if next == nil {
		return h
	}
	return func(ctx context.Context, u Update) error {
		err := h(ctx, u)
		if err != nil && !errors.Is(err, ErrStop) {
			return err
		}
		return cmp.Or(next(ctx, u), err)
	}
}

// ErrStop is what a hook returns to end a run after the update at hand.
var ErrStop = errors.New("stop training")

// Update is one update that was made.
type Update struct {
	Step         int     // its number, from 1
	Loss         float64 // of its batch, before the update
	GradNorm     float64 // of the gradient that the optimiser saw
	LearningRate float64
	Last         bool // of the steps that the run was to make

	weights func() energy.Weights
	log     map[string]float64
	images  map[string]image.Image
}

// Weights returns a copy of the weights after the update: the averaged ones
// where the run averages, as a checkpoint's are used.
func (u Update) Weights() energy.Weights { return u.weights() }

// Log adds numbers to the step's line of metrics, which has them by name.
func (u Update) Log(values map[string]float64) { maps.Copy(u.log, values) }

// LogImage adds a picture to the step in the files of TensorBoard.
func (u Update) LogImage(tag string, img image.Image) { u.images[tag] = img }

// after calls the hook, if there is one, and returns the update with what it logged, and
// whether the run ends.
func (s *state) after(ctx context.Context, u Update, current int) (_ Update, stop bool, err error) {
	if s.Hook == nil {
		return u, false, nil
	}
	u.log, u.images = make(map[string]float64), make(map[string]image.Image)
	var lost error
	u.weights = func() energy.Weights {
		lost = errors.Join(lost, s.fetch(current))
		return s.weights(current)
	}
	err = s.Hook(ctx, u)
	if lost != nil {
		return u, false, lost
	}
	if errors.Is(err, ErrStop) {
		return u, true, nil
	}
	return u, false, err
}

// held is the state in the memory of each device that computes.
type held []*runtime.Held

// hold moves the state to the memory of the devices, where any compute: the first set,
// room for the other, and the inputs that stay.
func (s *state) hold(rt *runtime.Runtime) error {
	first := slices.AppendSeq(slices.Collect(maps.Values(s.values[0])), maps.Values(s.Fixed))
	all := slices.Concat(first, slices.Collect(maps.Values(s.values[1])))
	s.fetched = s.step
	for _, one := range rt.Each() {
		h, err := one.Hold(all...)
		if err == nil {
			s.held = append(s.held, h)
			err = h.Upload(first...)
		}
		if err != nil {
			return errors.Join(err, s.held.close())
		}
	}
	return nil
}

// close frees the state's copies, after the bindings that use them.
func (h held) close() error {
	var errs []error
	for _, one := range h {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

// fetch brings the state after the step at hand, a set of values, from a device: all have
// the same.
func (s *state) fetch(set int) error {
	if s.fetched == s.step {
		return nil
	}
	err := s.held[0].Download(slices.Collect(maps.Values(s.values[set]))...)
	if err == nil {
		s.fetched = s.step
	}
	return err
}

// weights returns copies of the weights of one set, averaged where the run
// averages.
func (s *state) weights(set int) energy.Weights {
	w := make(energy.Weights)
	for _, name := range slices.Concat(s.Order, s.States) {
		t := s.values[set][name]
		if average, ok := s.values[set][name+".ema"]; ok {
			t = average
		}
		w[name] = t.Clone()
	}
	return w
}
