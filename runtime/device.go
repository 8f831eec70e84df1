package runtime

import (
	_ "embed"
	"errors"
	"fmt"
	goruntime "runtime"
	"sync"
	"sync/atomic"

	ort "github.com/yalue/onnxruntime_go"

	"ebm/models/tensor"
)

// Traffic counts the runs of sessions, and the bytes that crossed between the host's
// memory and a device's. On the CPU nothing crosses.
type Traffic struct{ runs, up, down atomic.Int64 }

// Runs returns the number of runs so far.
func (t *Traffic) Runs() int64 { return t.runs.Load() }

// ToDevice returns the bytes that went to devices so far.
func (t *Traffic) ToDevice() int64 { return t.up.Load() }

// FromDevice returns the bytes that came from devices so far.
func (t *Traffic) FromDevice() int64 { return t.down.Load() }

// Traffic returns the runtime's counts, which go on: Config.Traffic where that is given.
func (r *Runtime) Traffic() *Traffic { return r.traffic }

// device is what a Runtime computes on where that is not the CPU.
type device struct {
	calls  *calls
	number int
	plugin *epDevice // of a plugin provider, nil for CUDA's
	memory allocator
	copier *ort.DynamicAdvancedSession // for CUDA's
	thread thread                      // on which sessions with captured graphs run

	// running is held by whatever uses a plugin provider's device: its sessions share one
	// queue, which is not made for several threads.
	running sync.Mutex
}

// identity is the model y = x of bytes. The CUDA provider is not among those that
// ONNX Runtime's own copies know, so its values are copied by runs of it with one side
// in the host. TestProbe writes it.
//
//go:embed identity.onnx
var identity []byte

// cudaMemory is ONNX Runtime's name of the CUDA provider's memory.
const cudaMemory = "Cuda"

// newCUDADevice makes what holds tensors on the CUDA provider's device.
func newCUDADevice(c *calls, number int) (*device, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, plain(err)
	}
	defer options.Destroy()
	if err := errors.Join(options.SetLogSeverityLevel(ort.LoggingLevelFatal), appendCUDA(options, number, false, none, nil)); err != nil {
		return nil, err
	}
	d := &device{calls: c, number: number, thread: newThread()}
	if d.copier, err = ort.NewDynamicAdvancedSessionWithONNXData(identity, []string{"x"}, []string{"y"}, options); err != nil {
		d.close()
		return nil, plain(err)
	}
	if d.memory, err = c.allocatorOf(d.copier, cudaMemory, number); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// newPluginDevice makes what holds tensors on a plugin provider's device.
func newPluginDevice(c *calls, number int, plugin epDevice) (*device, error) {
	memory, err := c.shared(plugin)
	return &device{calls: c, number: number, plugin: &plugin, memory: memory}, err
}

func (d *device) close() {
	if d.thread != nil {
		close(d.thread)
	}
	if d.memory.p != nil && d.copier != nil {
		d.calls.freeAllocator(d.memory)
	}
	if d.copier != nil {
		d.copier.Destroy()
	}
}

// lock takes the device's turn where runs are made one after another, and on CUDA waits
// for a run that is captured.
func (d *device) lock() (unlock func()) {
	switch {
	case d == nil:
		return func() {}
	case d.plugin == nil:
		process.capturing.RLock()
		return process.capturing.RUnlock
	}
	d.running.Lock()
	return d.running.Unlock
}

// allocate makes a tensor of t's type and shape on the device.
func (d *device) allocate(t *tensor.Tensor) (*deviceValue, error) {
	defer d.lock()()
	return d.calls.allocate(d.memory, t)
}

// copy copies the elements of t to v, or back.
func (d *device) copy(t *tensor.Tensor, v *deviceValue, back bool) error {
	start := elements(t)
	if start == nil {
		return nil
	}
	var pin goruntime.Pinner
	defer pin.Unpin()
	pin.Pin(start)
	dtype, shape := v.dtype, v.shape
	if d.plugin == nil {
		bytes, err := v.bytes(cudaMemory, d.number)
		if err != nil {
			return err
		}
		defer bytes.Destroy()
		v, dtype, shape = bytes, bytes.dtype, bytes.shape
	}
	from, err := d.calls.wrap(hostMemory, 0, start, dtype, shape)
	if err != nil {
		return err
	}
	defer from.Destroy()
	to := v
	if back {
		from, to = to, from
	}
	defer d.lock()()
	if d.plugin == nil {
		return plain(d.copier.Run([]ort.Value{from}, []ort.Value{to}))
	}
	return d.calls.copy(from, to)
}

// Held is copies of tensors in the memory of the device that computes, where runs of a
// session that are bound to them (Session.BindHeld) read and write them. Where the CPU
// computes, it holds nothing: the tensors themselves are read and written. Close frees
// the copies.
type Held struct {
	runtime *Runtime
	values  map[*tensor.Tensor]*deviceValue
	besides *Held // tensors that are held there too, or nil
	shared  bool  // it is work of a device of several
}

// Hold sets memory aside for copies of tensors. Their elements come by Upload, or by a
// run that has them as outputs. Of several devices, it is that of the one that has least
// to do, which Close lets go.
func (r *Runtime) Hold(tensors ...*tensor.Tensor) (*Held, error) {
	if len(r.each) == 0 {
		return r.hold(nil, tensors)
	}
	at := r.share.take()
	h, err := r.each[at].hold(nil, tensors)
	if err != nil {
		r.share.give(at)
		return nil, err
	}
	h.shared = true
	return h, nil
}

// With holds more tensors on h's device, in memory that goes by itself: close it before h.
func (h *Held) With(tensors ...*tensor.Tensor) (*Held, error) {
	if h.runtime == nil {
		return nil, fmt.Errorf("held tensors: %w", ErrClosed)
	}
	return h.runtime.hold(h, tensors)
}

func (r *Runtime) hold(besides *Held, tensors []*tensor.Tensor) (*Held, error) {
	if err := r.acquire(); err != nil {
		return nil, err
	}
	h := &Held{runtime: r, besides: besides, values: make(map[*tensor.Tensor]*deviceValue)}
	if r.device == nil {
		return h, nil
	}
	for _, t := range tensors {
		if h.of(t) != nil {
			continue
		}
		v, err := r.device.allocate(t)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("hold %v on the device: %w", t, err), h.Close())
		}
		h.values[t] = v
	}
	return h, nil
}

// Upload copies the elements of held tensors to the device.
func (h *Held) Upload(tensors ...*tensor.Tensor) error { return h.move(tensors, false) }

// Download copies the elements of held tensors from the device.
func (h *Held) Download(tensors ...*tensor.Tensor) error { return h.move(tensors, true) }

func (h *Held) move(tensors []*tensor.Tensor, back bool) error {
	if h == nil {
		return nil
	}
	if h.runtime == nil {
		return fmt.Errorf("held tensors: %w", ErrClosed)
	}
	if h.runtime.device == nil {
		return nil
	}
	for _, t := range tensors {
		v := h.of(t)
		if v == nil {
			return fmt.Errorf("copy %v: it is not held on the device", t)
		}
		if err := h.runtime.copy(t, v, back); err != nil {
			return err
		}
	}
	return nil
}

// of returns the copy of t, nil where there is none.
func (h *Held) of(t *tensor.Tensor) *deviceValue {
	if h == nil {
		return nil
	}
	if v := h.values[t]; v != nil {
		return v
	}
	return h.besides.of(t)
}

// copy is device.copy, counted.
func (r *Runtime) copy(t *tensor.Tensor, v *deviceValue, back bool) error {
	if err := r.device.copy(t, v, back); err != nil {
		return fmt.Errorf("copy %v: %w", t, err)
	}
	count := &r.traffic.up
	if back {
		count = &r.traffic.down
	}
	count.Add(int64(v.size()))
	return nil
}

// Close frees the copies, after the bindings that use them. A second call does nothing.
func (h *Held) Close() error {
	if h == nil || h.runtime == nil {
		return nil
	}
	r := h.runtime
	unlock := r.device.lock()
	for _, v := range h.values {
		v.Destroy()
	}
	unlock()
	h.values, h.runtime = nil, nil
	if h.shared {
		r.share.give(r.place)
	}
	return r.release()
}
