package runtime

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	ort "github.com/yalue/onnxruntime_go"

	"ebm/models/tensor"
)

// Session is a model that is ready to run. It may be used from several
// goroutines at once. Close frees it.
type Session struct {
	runtime         *Runtime
	name            string // for errors: the file's name, or "model"
	inputs, outputs []ValueInfo
	// Of each input and output, whether a device reads or writes it; nil on the CPU.
	inPlace, outPlace []bool

	others []*Session // the same on the other devices

	replays bool         // runs of bindings are captured, and repeated as graphs
	graphs  atomic.Int64 // how many bindings have one

	mu  sync.RWMutex // held for reading by every run, for writing by Close
	ort *ort.DynamicAdvancedSession
	ran atomic.Bool
}

// Inputs describes the model's inputs, in model order. An input with a default
// value in the model is not listed and cannot be set.
func (s *Session) Inputs() []ValueInfo { return slices.Clone(s.inputs) }

// Outputs describes the model's outputs, in model order.
func (s *Session) Outputs() []ValueInfo { return slices.Clone(s.outputs) }

// Check reports the first mistake in inputs, a *ValueError, that Run would.
func (s *Session) Check(inputs map[string]*tensor.Tensor) error {
	if _, err := checkAll("input", s.inputs, inputs, symbols{}); err != nil {
		return s.wrap(err)
	}
	return nil
}

// Run computes all outputs of the model for inputs, which has every input of
// the model by name, on the device that has least to do. The tensors are read where they lie and must not change
// meanwhile; the outputs are new.
//
// A mistake in the inputs is a *ValueError. When ctx ends, the run is stopped
// between two operators and the error wraps ctx's.
func (s *Session) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	s, done := s.turn()
	defer done()
	sizes := symbols{}
	given, err := checkAll("input", s.inputs, inputs, sizes)
	if err != nil {
		return nil, s.wrap(err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ort == nil {
		return nil, s.wrap(ErrClosed)
	}
	in, err := newValues(given)
	defer closeAll(in)
	if err != nil {
		return nil, s.wrap(err)
	}
	// Outputs whose shape is known are written straight into Go memory.
	results := make([]*tensor.Tensor, len(s.outputs))
	for i, info := range s.outputs {
		if shape, ok := resolve(info, sizes); ok {
			results[i] = tensor.New(info.DType, shape...)
		} else if info.DType == tensor.Float16 || info.DType == tensor.BFloat16 {
			return nil, s.wrap(&ValueError{Role: "output", Name: info.Name, Got: info.String(),
				Want: "16-bit floats in a shape that follows from the inputs' named dimensions"})
		}
	}
	out, err := newValues(results)
	defer closeAll(out)
	if err != nil {
		return nil, s.wrap(err)
	}
	values, err := s.run(ctx, nil, in, out)
	if err != nil {
		return nil, err
	}
	defer destroyAllocated(values, out)
	named := make(map[string]*tensor.Tensor, len(results))
	for i, info := range s.outputs {
		if out[i] != nil {
			out[i].fetch()
		} else if results[i], err = fromORT(values[i]); err != nil {
			return nil, s.wrap(fmt.Errorf("output %q: %w", info.Name, err))
		}
		named[info.Name] = results[i]
	}
	s.runtime.traffic.up.Add(crossed(given, s.inPlace))
	s.runtime.traffic.down.Add(crossed(results, s.outPlace))
	return named, nil
}

// crossed returns the bytes of the tensors that ONNX Runtime copies to or from the
// device by itself.
func crossed(tensors []*tensor.Tensor, onDevice []bool) int64 {
	n := 0
	for i, there := range onDevice {
		if there {
			n += tensors[i].Len() * tensors[i].DType().Size()
		}
	}
	return int64(n)
}

// destroyAllocated frees those of a run's output values that are not in out:
// ONNX Runtime has allocated them. After a failure the binding leaves typed nil
// pointers among them.
func destroyAllocated(values []ort.Value, out []*value) {
	for i, v := range values {
		if out[i] == nil && v != nil && !reflect.ValueOf(v).IsNil() {
			v.Destroy()
		}
	}
}

// newValues wraps the tensors that are not nil. It returns what it has made
// even when it fails.
func newValues(tensors []*tensor.Tensor) ([]*value, error) {
	values := make([]*value, len(tensors))
	for i, t := range tensors {
		if t == nil {
			continue
		}
		var err error
		if values[i], err = newValue(t); err != nil {
			return values, err
		}
	}
	return values, nil
}

// run runs the model once; the caller holds s.mu. Outputs that are nil are
// allocated by ONNX Runtime and returned in their places. options may be nil,
// and is otherwise not terminated.
func (s *Session) run(ctx context.Context, options *ort.RunOptions, in, out []*value) (outputs []ort.Value, err error) {
	if err := ctx.Err(); err != nil {
		return nil, s.wrap(err)
	}
	inputs := ortValues(in)
	outputs = ortValues(out)
	if len(inputs) == 0 {
		return outputs, s.runWithoutInputs(outputs)
	}
	if options == nil && (s.replays || ctx.Done() != nil) {
		if options, err = s.runOptions(noGraph); err != nil {
			return nil, s.wrap(err)
		}
		defer options.Destroy()
	}
	if ctx.Done() != nil {
		terminated := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(terminated)
			options.Terminate()
		})
		defer func() {
			if !stop() {
				<-terminated
				options.UnsetTerminate()
			}
		}()
	}
	s.guardRun(func() {
		defer s.runtime.device.lock()()
		s.onThread(func() { err = s.ort.RunWithOptions(inputs, outputs, options) })
	})
	s.runtime.traffic.runs.Add(1)
	if err == nil {
		return outputs, nil
	}
	destroyAllocated(outputs, out)
	if ctx.Err() != nil {
		return nil, s.wrap(ctx.Err())
	}
	return nil, s.wrap(plain(err))
}

// runWithoutInputs runs a model of constants, which the binding can do only
// with outputs that are bound beforehand.
func (s *Session) runWithoutInputs(outputs []ort.Value) error {
	binding, err := s.ort.CreateIoBinding()
	if err != nil {
		return s.wrap(plain(err))
	}
	defer binding.Destroy()
	for i, v := range outputs {
		if v == nil {
			return s.wrap(fmt.Errorf("output %q of a model without inputs: want a fixed shape, got %v", s.outputs[i].Name, s.outputs[i]))
		}
		if err := binding.BindOutput(s.outputs[i].Name, v); err != nil {
			return s.wrap(plain(err))
		}
	}
	s.guardRun(func() { err = s.ort.RunWithBinding(binding) })
	if err != nil {
		return s.wrap(plain(err))
	}
	return nil
}

func (s *Session) wrap(err error) error { return fmt.Errorf("run %s: %w", s.name, err) }

// Close waits for the runs in progress and frees the session. The session and
// its bindings cannot run any more. A second call does nothing.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ort == nil {
		return nil
	}
	unlock := s.runtime.device.lock()
	err := s.ort.Destroy()
	unlock()
	s.ort = nil
	err = errors.Join(err, s.runtime.release())
	for _, other := range s.others {
		err = errors.Join(err, other.Close())
	}
	return err
}

// guardRun is Runtime.guard for the session's first run, in which a provider
// loads the rest of its libraries.
func (s *Session) guardRun(f func()) {
	if s.ran.Load() {
		f()
		return
	}
	s.runtime.guard(f)
	s.ran.Store(true)
}
