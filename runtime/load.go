package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"ebm/internal/files"
	"ebm/internal/onnxwire"
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
	// Replay has the runs of bindings repeated as CUDA graphs, one launch each, where the choice Graphs
	// is made and the model can: its nodes are all on the device and of known operators, whose
	// kernels take nothing of the host ([ebm/export.Options.Captured]). Others run as they do without.
	Replay bool
	// CUDA holds further options of the CUDA provider by ONNX Runtime's names,
	// such as "gpu_mem_limit".
	CUDA map[string]string
	// Entries holds session configuration entries by ONNX Runtime's names,
	// such as "session.set_denormal_as_zero".
	Entries map[string]string
}

// Load makes a session of the model whose file's bytes are given (less than
// 2 GB). The bytes may be reused afterwards. The error is a *ModelError, or
// wraps ErrClosed.
func (r *Runtime) Load(model []byte, opts SessionOptions) (*Session, error) {
	return r.on(func(r *Runtime) (*Session, error) {
		return r.load("model", "", bytes.NewReader(model), int64(len(model)), opts,
			func(in, out []string, o *ort.SessionOptions) (*ort.DynamicAdvancedSession, error) {
				return ort.NewDynamicAdvancedSessionWithONNXData(model, in, out, o)
			})
	})
}

// LoadFile makes a session of the model in the file at path. Weights in
// external files are found beside it. The error is a *ModelError, or wraps
// ErrClosed.
func (r *Runtime) LoadFile(path string, opts SessionOptions) (*Session, error) {
	f, err := files.Open(path)
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
	if _, err := onnxwire.CheckSeal(f, info.Size()); err != nil {
		return nil, &ModelError{Path: path, Err: err}
	}
	return r.on(func(r *Runtime) (*Session, error) {
		return r.load(filepath.Base(path), path, f, info.Size(), opts,
			func(in, out []string, o *ort.SessionOptions) (*ort.DynamicAdvancedSession, error) {
				return ort.NewDynamicAdvancedSession(path, in, out, o)
			})
	})
}

func (r *Runtime) load(name, path string, model io.ReaderAt, size int64, opts SessionOptions,
	create func(in, out []string, o *ort.SessionOptions) (*ort.DynamicAdvancedSession, error)) (*Session, error) {
	info, err := scanModel(context.Background(), model, size)
	if err != nil {
		return nil, &ModelError{Path: path, Err: err}
	}
	if path != "" {
		if _, err := onnxwire.CheckData(filepath.Dir(path), info.Metadata); err != nil {
			return nil, &ModelError{Path: path, Err: err}
		}
	}
	inputs, outputs := info.Inputs, info.Outputs
	for _, v := range slices.Concat(inputs, outputs) {
		if v.DType == tensor.Invalid {
			return nil, &ModelError{Path: path, Err: fmt.Errorf("value %q is no tensor of a type that can be held here", v.Name)}
		}
	}
	if err := r.acquire(); err != nil {
		return nil, err
	}
	start := func(c Choices) (session *ort.DynamicAdvancedSession, err error) {
		options, err := r.sessionOptions(opts, c)
		if err != nil {
			return nil, err
		}
		defer options.Destroy()
		r.guard(func() {
			defer r.device.lock()()
			session, err = create(nameList(inputs), nameList(outputs), options)
		})
		return session, plain(err)
	}
	choices := r.choicesFor(info, opts.Replay)
	session, err := start(choices)
	for _, one := range []Choices{NHWC, Graphs} {
		if err != nil && choices.Has(one) { // nodes are control flow, or on the CPU
			r.refuse(one, err.Error())
			choices = choices.With(one, false)
			session, err = start(choices)
		}
	}
	if err != nil {
		r.release()
		return nil, &ModelError{Path: path, Err: err}
	}
	s := &Session{runtime: r, name: name, inputs: inputs, outputs: outputs, ort: session, replays: choices.Has(Graphs)}
	if r.device != nil {
		in, wrongIn := r.device.calls.places(session, false, len(inputs))
		out, wrongOut := r.device.calls.places(session, true, len(outputs))
		if err := errors.Join(wrongIn, wrongOut); err != nil {
			return nil, errors.Join(&ModelError{Path: path, Err: err}, s.Close())
		}
		s.inPlace, s.outPlace = in, out
	}
	return s, nil
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
func (r *Runtime) sessionOptions(opts SessionOptions, c Choices) (_ *ort.SessionOptions, err error) {
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
	if c.Has(NHWC) { // what cannot be computed so would go to the CPU
		err = errors.Join(err, o.AddSessionConfigEntry("session.disable_cpu_ep_fallback", "1"))
	}
	if opts.Profile != "" {
		err = errors.Join(err, o.EnableProfiling(opts.Profile))
	}
	if err == nil && r.info.Provider == CUDA {
		r.guard(func() { err = appendCUDA(o, r.info.Device, r.info.TF32, c, opts.CUDA) })
	}
	if err == nil && r.info.Provider == WebGPU {
		err = r.device.calls.append(o, *r.device.plugin, nil)
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
