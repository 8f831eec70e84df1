package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	ort "github.com/yalue/onnxruntime_go"

	"ebm/models/tensor"
)

// Optimization is how far ONNX Runtime rewrites a model when it is loaded.
type Optimization int

// The optimisation levels. OptimizeAll, the zero value, includes the blocked
// layouts that make convolutions fast when their weights are initialisers.
const (
	OptimizeAll Optimization = iota
	OptimizeExtended
	OptimizeBasic
	OptimizeNone
)

// SessionOptions says how a model runs. The zero value is right for nearly
// every use.
type SessionOptions struct {
	Optimization Optimization
	// Threads overrides Config.Threads for this session when it is not 0.
	Threads int
	// MemoryPattern plans the memory of a whole run ahead. A training step
	// then takes about twice the memory and no less time, so it is off.
	MemoryPattern bool
	// NoArena gives memory back after every run instead of keeping it for the
	// next one, at some cost in time.
	NoArena bool
	// Profile, when not empty, is the prefix of a JSON file with the time of
	// every operator that ONNX Runtime writes when the session is closed.
	Profile string
	// CUDA holds further options of the CUDA provider by ONNX Runtime's names,
	// such as "gpu_mem_limit".
	CUDA map[string]string
	// Entries holds session configuration entries by ONNX Runtime's names,
	// such as "session.set_denormal_as_zero".
	Entries map[string]string
}

// Session is a model that is ready to run. It may be used from several
// goroutines at once. Close frees it.
type Session struct {
	runtime         *Runtime
	name            string // for errors: the file's name, or "model"
	inputs, outputs []ValueInfo

	mu  sync.RWMutex // held for reading by every run, for writing by Close
	ort *ort.DynamicAdvancedSession
	ran atomic.Bool
}

// Load makes a session of the model whose file's bytes are given (less than
// 2 GB). The bytes may be reused afterwards. The error is a *ModelError, or
// wraps ErrClosed.
func (r *Runtime) Load(model []byte, opts SessionOptions) (*Session, error) {
	return r.load("model", "", bytes.NewReader(model), int64(len(model)), opts,
		func(in, out []string, o *ort.SessionOptions) (*ort.DynamicAdvancedSession, error) {
			return ort.NewDynamicAdvancedSessionWithONNXData(model, in, out, o)
		})
}

// LoadFile makes a session of the model in the file at path. Weights in
// external files are found beside it. The error is a *ModelError, or wraps
// ErrClosed.
func (r *Runtime) LoadFile(path string, opts SessionOptions) (*Session, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &ModelError{Path: path, Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, &ModelError{Path: path, Err: err}
	}
	if !info.Mode().IsRegular() {
		return nil, &ModelError{Path: path, Err: errors.New("not a regular file")}
	}
	return r.load(filepath.Base(path), path, f, info.Size(), opts,
		func(in, out []string, o *ort.SessionOptions) (*ort.DynamicAdvancedSession, error) {
			return ort.NewDynamicAdvancedSession(path, in, out, o)
		})
}

func (r *Runtime) load(name, path string, model io.ReaderAt, size int64, opts SessionOptions,
	create func(in, out []string, o *ort.SessionOptions) (*ort.DynamicAdvancedSession, error)) (*Session, error) {
	inputs, outputs, err := scanModel(model, size)
	if err != nil {
		return nil, &ModelError{Path: path, Err: err}
	}
	for _, v := range slices.Concat(inputs, outputs) {
		if v.DType == tensor.Invalid {
			return nil, &ModelError{Path: path, Err: fmt.Errorf("value %q is no tensor of a type that can be held here", v.Name)}
		}
	}
	if err := r.acquire(); err != nil {
		return nil, err
	}
	options, err := r.sessionOptions(opts)
	if err != nil {
		r.release()
		return nil, &ModelError{Path: path, Err: err}
	}
	defer options.Destroy()
	var session *ort.DynamicAdvancedSession
	r.guard(func() { session, err = create(nameList(inputs), nameList(outputs), options) })
	if err != nil {
		r.release()
		return nil, &ModelError{Path: path, Err: plain(err)}
	}
	return &Session{runtime: r, name: name, inputs: inputs, outputs: outputs, ort: session}, nil
}

func nameList(infos []ValueInfo) []string {
	list := make([]string, len(infos))
	for i, v := range infos {
		list[i] = v.Name
	}
	return list
}

// sessionOptions are ONNX Runtime's options for opts. The caller destroys
// them.
func (r *Runtime) sessionOptions(opts SessionOptions) (_ *ort.SessionOptions, err error) {
	if opts.Threads < 0 || opts.Optimization < OptimizeAll || opts.Optimization > OptimizeNone {
		return nil, fmt.Errorf("session options: threads %d, optimization %d", opts.Threads, opts.Optimization)
	}
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, plain(err)
	}
	threads := r.info.Threads
	if opts.Threads > 0 {
		threads = opts.Threads
	}
	level := [...]ort.GraphOptimizationLevel{
		OptimizeAll: ort.GraphOptimizationLevelEnableAll, OptimizeExtended: ort.GraphOptimizationLevelEnableExtended,
		OptimizeBasic: ort.GraphOptimizationLevelEnableBasic, OptimizeNone: ort.GraphOptimizationLevelDisableAll,
	}[opts.Optimization]
	err = errors.Join(
		o.SetLogSeverityLevel(ort.LoggingLevelFatal), // what fails is returned as an error
		o.SetGraphOptimizationLevel(level),
		o.SetIntraOpNumThreads(threads),
		o.SetInterOpNumThreads(1),
		o.SetMemPattern(opts.MemoryPattern),
		o.SetCpuMemArena(!opts.NoArena),
	)
	for key, entry := range opts.Entries {
		err = errors.Join(err, o.AddSessionConfigEntry(key, entry))
	}
	if opts.Profile != "" {
		err = errors.Join(err, o.EnableProfiling(opts.Profile))
	}
	if err == nil && r.info.Provider == CUDA {
		r.guard(func() { err = appendCUDA(o, r.info.Device, opts.CUDA) })
	}
	if err != nil {
		o.Destroy()
		return nil, plain(err)
	}
	return o, nil
}

// plain strips the binding's headings from an error of ONNX Runtime.
func plain(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, heading := range []string{"Error creating C session from file: ", "Error creating C session: ", "Error running network: "} {
		text = strings.TrimPrefix(text, heading)
	}
	return errors.New(text)
}

// Inputs describes the model's inputs, in model order. An input with a default
// value in the model is not listed and cannot be set.
func (s *Session) Inputs() []ValueInfo { return slices.Clone(s.inputs) }

// Outputs describes the model's outputs, in model order.
func (s *Session) Outputs() []ValueInfo { return slices.Clone(s.outputs) }

// Run computes all outputs of the model for inputs, which has every input of
// the model by name. The tensors are read where they lie and must not change
// meanwhile; the outputs are new.
//
// A mistake in the inputs is a *ValueError. When ctx ends, the run is stopped
// between two operators and the error wraps ctx's.
func (s *Session) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
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
		}
	}
	out, err := newValues(results)
	defer closeAll(out)
	if err != nil {
		return nil, s.wrap(err)
	}
	allocated, err := s.run(ctx, nil, in, out)
	if err != nil {
		return nil, err
	}
	named := make(map[string]*tensor.Tensor, len(results))
	for i, info := range s.outputs {
		if out[i] != nil {
			out[i].fetch()
		} else if results[i], err = fromORT(allocated[i]); err != nil {
			err = s.wrap(fmt.Errorf("output %q: %w", info.Name, err))
		}
		named[info.Name] = results[i]
	}
	for i, v := range allocated {
		if out[i] == nil {
			v.Destroy()
		}
	}
	if err != nil {
		return nil, err
	}
	return named, nil
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
	inputs := make([]ort.Value, len(in))
	for i, v := range in {
		inputs[i] = v.ort
	}
	outputs = make([]ort.Value, len(out))
	for i, v := range out {
		if v != nil {
			outputs[i] = v.ort
		}
	}
	if len(inputs) == 0 {
		return outputs, s.runWithoutInputs(outputs)
	}
	if ctx.Done() != nil {
		if options == nil {
			if options, err = ort.NewRunOptions(); err != nil {
				return nil, s.wrap(plain(err))
			}
			defer options.Destroy()
		}
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
	s.guardRun(func() { err = s.ort.RunWithOptions(inputs, outputs, options) })
	if err == nil {
		return outputs, nil
	}
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
	err := s.ort.Destroy()
	s.ort = nil
	return errors.Join(err, s.runtime.release())
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
