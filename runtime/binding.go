package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"ebm/models/tensor"
)

// Binding is a session with the tensors that it reads and writes. Close frees
// it, but not the tensors, which belong to the caller.
type Binding struct {
	session *Session

	mu      sync.Mutex // held by a run and by Close
	in, out []*value
	options *ort.RunOptions
	graph   graph
	closed  bool
}

// Bind fixes the tensors that the session's runs read and write: every input
// and every output of the model by name. On the CPU nothing is copied: a run
// reads the inputs' elements as they are at that moment and overwrites the
// outputs'. Two bindings of one session may use each other's outputs as
// inputs. On a device, a run copies the inputs there and the outputs back, but for
// those that are held there, see BindHeld.
//
// A tensor that does not fit is a *ValueError, as is memory that an output
// shares with an input or with another output (ONNX Runtime would give wrong
// numbers without an error).
func (s *Session) Bind(inputs, outputs map[string]*tensor.Tensor) (*Binding, error) {
	return s.BindHeld(nil, inputs, outputs)
}

// BindHeld is Bind where runs read and write the copies of the tensors that h holds on
// the device, in place of their own elements; of several devices, that one computes.
// Close the binding before h.
func (s *Session) BindHeld(h *Held, inputs, outputs map[string]*tensor.Tensor) (*Binding, error) {
	s = s.beside(h)
	b, err := s.bind(h, inputs, outputs)
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", s.name, err)
	}
	return b, nil
}

func (s *Session) bind(h *Held, inputs, outputs map[string]*tensor.Tensor) (*Binding, error) {
	sizes := symbols{}
	given, err := checkAll("input", s.inputs, inputs, sizes)
	if err != nil {
		return nil, err
	}
	taken, err := checkAll("output", s.outputs, outputs, sizes)
	if err != nil {
		return nil, err
	}
	if err := s.checkOverlap(given, taken); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ort == nil {
		return nil, ErrClosed
	}
	// The binding's values need the library for as long as they live.
	if err := s.runtime.acquireShared(); err != nil {
		return nil, err
	}
	b := &Binding{session: s}
	if b.in, err = s.place(h, given, s.inPlace); err == nil {
		if b.out, err = s.place(h, taken, s.outPlace); err == nil {
			b.graph = s.graphFor(slices.Concat(b.in, b.out))
			b.options, err = s.runOptions(b.graph.id)
		}
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// checkOverlap refuses an output whose memory is also an input's or another
// output's.
func (s *Session) checkOverlap(in, out []*tensor.Tensor) error {
	for i, t := range out {
		start, end := memory(t)
		overlaps := func(other *tensor.Tensor) bool {
			from, to := memory(other)
			return start < to && from < end
		}
		shared := func(role, name string) error {
			return &ValueError{Role: "output", Name: s.outputs[i].Name,
				Got:  fmt.Sprintf("%v in the memory of %s %q", t, role, name),
				Want: "memory of its own"}
		}
		for j, other := range in {
			if overlaps(other) {
				return shared("input", s.inputs[j].Name)
			}
		}
		for j, other := range out[:i] {
			if overlaps(other) {
				return shared("output", s.outputs[j].Name)
			}
		}
	}
	return nil
}

// Run computes the outputs from the inputs once. Calls from several goroutines
// wait for each other. When ctx ends, the run is stopped between two operators,
// the error wraps ctx's, and the outputs hold anything.
func (b *Binding) Run(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.session.mu.RLock()
	defer b.session.mu.RUnlock()
	if b.closed || b.session.ort == nil {
		return b.session.wrap(ErrClosed)
	}
	if err := errors.Join(b.renewScalars(), b.session.stage(b.in, false)); err != nil {
		return b.session.wrap(err)
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	for _, v := range b.out {
		v.fetch()
	}
	if err := b.session.stage(b.out, true); err != nil {
		return b.session.wrap(err)
	}
	return nil
}

// place returns the values of a binding's tensors: in the host where the CPU reads or
// writes them, those of h, or copies on the device.
func (s *Session) place(h *Held, tensors []*tensor.Tensor, onDevice []bool) ([]*value, error) {
	if s.runtime.device == nil {
		return newValues(tensors)
	}
	values := make([]*value, len(tensors))
	for i, t := range tensors {
		var err error
		switch v := h.of(t); {
		case v != nil:
			values[i] = &value{tensor: t, ort: v, held: true}
		case onDevice[i]:
			if v, err = s.runtime.device.allocate(t); err == nil {
				values[i] = &value{tensor: t, ort: v, staged: true}
			}
		default:
			values[i], err = newValue(t)
		}
		if err != nil {
			return values, err
		}
	}
	return values, nil
}

// stage copies the elements of staged values to the device, or back.
func (s *Session) stage(values []*value, back bool) error {
	for _, v := range values {
		if !v.staged {
			continue
		}
		if err := s.runtime.copy(v.tensor, v.ort.(*deviceValue), back); err != nil {
			return err
		}
	}
	return nil
}

// renewScalars brings the present values of rank-0 inputs to ONNX Runtime,
// which has copies of them.
func (b *Binding) renewScalars() error {
	for i, v := range b.in {
		if v.tensor.Rank() > 0 || v.held || v.staged {
			continue
		}
		renewed, err := newValue(v.tensor)
		if err != nil {
			return err
		}
		v.close()
		b.in[i] = renewed
	}
	return nil
}

// Close waits for a run in progress and frees the binding. A second call does
// nothing.
func (b *Binding) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	unlock := b.session.runtime.device.lock()
	closeAll(b.in)
	closeAll(b.out)
	unlock()
	b.in, b.out = nil, nil
	if b.options != nil {
		b.options.Destroy()
	}
	return b.session.runtime.release()
}
