package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"sync/atomic"

	"ebm/internal/files"

	ort "github.com/yalue/onnxruntime_go"
)

// process is the one ONNX Runtime of this process: its binding keeps the
// library and the environment in variables of its own, so that their users
// have to be counted in one place too. Every Runtime, Session and Binding is
// one user; the last one to go unloads the library.
var process struct {
	mu    sync.Mutex
	users int
	lib   library

	calls   *calls    // what the binding lacks, nil until a device is used
	devices []*device // of the runtimes
	// capturing is held for writing while a run is captured, in which CUDA refuses what other
	// threads allocate, copy and launch; and for reading by all of that.
	capturing sync.RWMutex
	plugin    string // the file of the plugin provider that is registered, "" for none
}

// Runtime is the opened library with a provider chosen. It may be used from
// several goroutines at once. Close frees it; sessions that are still open
// keep working until they are closed.
type Runtime struct {
	info    Info
	device  *device // nil on the CPU; the first of several
	traffic *Traffic

	each  []*Runtime // one of each device where there are several, nil of one
	share *share     // of all of them
	place int        // of this one among them

	refused *atomic.Pointer[string] // see Refused; of all of them

	mu     sync.Mutex
	closed bool
}

// Open finds and initialises ONNX Runtime and chooses the provider. While
// another Runtime, Session or Binding of the process is open, its library is
// shared: a Config that names another one is an error, and one that names none
// searches no further.
//
// The error is a *LibraryError when no library can be used, a *ProviderError
// when cfg asks for CUDA and it does not work here, or wraps ctx's.
func Open(ctx context.Context, cfg Config) (*Runtime, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("open onnx runtime: %w", err)
	}
	lib, err := openLibrary(ctx, cfg)
	if err != nil {
		return nil, err
	}
	r := &Runtime{traffic: cfg.Traffic, info: Info{
		Library: lib.path, Source: lib.source, Version: lib.version,
		Providers: []Provider{CPU}, Provider: CPU, Devices: cfg.devices(), Threads: cfg.Threads, TF32: cfg.Precision == TF32,
	}}
	r.info.Device = r.info.Devices[0]
	r.info.Precision, _ = ParsePrecision(string(cfg.Precision)) // check has seen it
	if r.traffic == nil {
		r.traffic = new(Traffic)
	}
	if r.info.Threads == 0 {
		r.info.Threads = goruntime.GOMAXPROCS(0)
	}
	devices, err := r.chooseProvider(cfg)
	if err == nil {
		err = r.checkPrecision(cfg.Rounding)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.info.choose(cfg.Choices)
	r.use(devices)
	return r, nil
}

// chooseProvider opens the devices of the provider, or none where the CPU computes.
func (r *Runtime) chooseProvider(cfg Config) ([]*device, error) {
	if cfg.Provider == CPU {
		return nil, nil
	}
	use := func(p Provider) {
		r.info.Providers = []Provider{p, CPU}
		r.info.Provider = p
	}
	if cfg.Provider == WebGPU {
		use(WebGPU)
		d, err := r.openWebGPU(true)
		if err != nil {
			return nil, err
		}
		return []*device{d}, nil
	}
	devices, err := r.openCUDA()
	switch {
	case err == nil:
		use(CUDA)
		return devices, nil
	case cfg.Provider == CUDA || len(cfg.Devices) > 1: // the CPU is not what was asked for
		return nil, err
	}
	r.info.Fallback = err.reason()
	if _, ok := webgpuPlugin(r.info.Library); ok {
		d, err := r.openWebGPU(false)
		if err == nil {
			use(WebGPU)
			return []*device{d}, nil
		}
		r.info.Fallback += "; " + err.reason()
	}
	if hasDevice() || files.IsRegular(filepath.Join(filepath.Dir(r.info.Library), providerFiles()[1])) {
		cfg.log("computing on the CPU, not with CUDA: 'ebm runtime info' says why")
	}
	return nil, nil
}

// Info describes the library and the provider in use.
func (r *Runtime) Info() Info { return r.info }

// Close frees the runtime. A second call does nothing.
func (r *Runtime) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	for _, one := range r.each {
		one.mu.Lock()
		one.closed = true
		one.mu.Unlock()
	}
	return r.release()
}

// acquire adds a user of the library unless r is closed.
func (r *Runtime) acquire() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("onnx runtime: %w", ErrClosed)
	}
	return r.acquireShared()
}

// acquireShared adds a user of the library, for a caller that is one already.
func (r *Runtime) acquireShared() error {
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.users == 0 {
		return fmt.Errorf("onnx runtime: %w", ErrClosed)
	}
	process.users++
	return nil
}

// release takes a user of the library away.
func (r *Runtime) release() error {
	process.mu.Lock()
	defer process.mu.Unlock()
	process.users--
	if process.users > 0 {
		return nil
	}
	process.lib = library{}
	return errors.Join(closeDevices(), plain(ort.DestroyEnvironment()))
}

// guard runs f, which may load or use a provider's libraries, and leaves the
// process's signal handlers as they were before.
func (r *Runtime) guard(f func()) {
	if r.info.Provider != CPU {
		keepSignalHandlers(f)
	} else {
		f()
	}
}

// openLibrary makes the caller a user of the process's library, which it
// finds and initialises first where there is none.
func openLibrary(ctx context.Context, cfg Config) (library, error) {
	if cfg.Library == "" {
		if lib, ok := joinProcess(); ok {
			return lib, nil
		}
	}
	lib, err := findLibrary(ctx, cfg)
	if err != nil {
		return library{}, err
	}
	// ONNX Runtime looks for its providers where the file really is.
	if resolved, err := filepath.EvalSymlinks(lib.path); err == nil {
		lib.path = resolved
	}
	if err := lib.inspect(); err != nil {
		return library{}, err
	}
	if err := ctx.Err(); err != nil {
		return library{}, fmt.Errorf("open onnx runtime: %w", err)
	}
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.users > 0 {
		if !sameFile(process.lib.path, lib.path) {
			return library{}, &LibraryError{Path: lib.path, Source: lib.source,
				Problem: fmt.Sprintf("this process already uses %s", process.lib.path),
				Remedy:  "close everything that uses it first"}
		}
		process.users++
		return process.lib, nil
	}
	if err := lib.initialize(); err != nil {
		return library{}, err
	}
	process.users, process.lib = 1, lib
	return lib, nil
}

// joinProcess makes the caller a user of the library that is in use.
func joinProcess() (library, bool) {
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.users == 0 {
		return library{}, false
	}
	process.users++
	return process.lib, true
}

// telemetryVariable turns the reports off that official builds since 1.29 send
// to Microsoft, and the identifier that they keep in the user cache. They begin
// with the environment, before the C interface could turn them off.
const telemetryVariable = "ORT_DISABLE_TELEMETRY"

// initialize loads the library into the process, without telemetry unless the
// user has set its variable.
func (l *library) initialize() error {
	if _, set := os.LookupEnv(telemetryVariable); !set {
		if err := os.Setenv(telemetryVariable, "1"); err != nil {
			return fmt.Errorf("turn telemetry off: %w", err)
		}
	}
	ort.SetSharedLibraryPath(l.path)
	err := ort.InitializeEnvironment(ort.WithLogLevelFatal())
	if err == nil {
		l.version = ort.GetVersion()
		return nil
	}
	e := &LibraryError{Path: l.path, Source: l.source, Problem: "cannot be loaded", Err: err,
		Remedy: "is it whole, and ONNX Runtime for this machine? " + remedyInstall}
	switch text := err.Error(); {
	case strings.Contains(text, "OrtGetApiBase"):
		e.Problem, e.Err = "is a shared library, but not ONNX Runtime", nil
		e.Remedy = "name a file such as " + libraryName() + ", or name none to search for it"
	case strings.Contains(text, "Error setting ORT API base"):
		e.Problem, e.Err = tooOld(l.version), nil
		e.Remedy = remedyInstall
	}
	return e
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}
