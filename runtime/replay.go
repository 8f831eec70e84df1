package runtime

import (
	"context"
	"maps"
	goruntime "runtime"
	"slices"
	"strconv"

	ort "github.com/yalue/onnxruntime_go"
)

// A CUDA graph is what one run launched, captured, and launched again at once. It has the
// addresses of that run in it, so that each binding has graphs of its own, and it reads nothing
// of the host: tensors that are not held are copied before and after it, as in any run. ONNX Runtime's first run
// of a graph is three: one that takes memory, one that is captured, and the graph's.

// replayed are the operators whose CUDA kernels were seen to take all from the device, but for those
// Concats and products that export.Options.Captured avoids.
var replayed = []string{
	"Add", "AveragePool", "Cast", "Concat", "Conv", "ConvTranspose", "Cos", "Div", "Elu", "Exp", "Expand", "HardSigmoid",
	"Less", "Log", "MatMul", "Max", "Min", "Mul", "Neg", "Pad", "ReduceSum", "Reshape", "Resize",
	"Sin", "Slice", "Split", "Sqrt", "Sub", "Transpose", "Unsqueeze", "Where",
}

// unreplayed returns an operator for which runs of a model may not be captured, "" for none.
func unreplayed(model ModelInfo) string {
	for _, op := range slices.Sorted(maps.Keys(model.operators)) {
		if !slices.Contains(replayed, op) {
			return op
		}
	}
	return ""
}

// graph is that of a binding.
type graph struct {
	id       int64
	captured bool
}

// noGraph is the number under which ONNX Runtime captures nothing.
const noGraph = -1

// graphFor numbers the graph of a binding of values, which are all on the device.
func (s *Session) graphFor(values []*value) graph {
	if !s.replays {
		return graph{id: noGraph}
	}
	for _, v := range values {
		if !v.held && !v.staged {
			return graph{id: noGraph}
		}
	}
	return graph{id: s.graphs.Add(1)}
}

// runOptions makes the options of runs of a graph.
func (s *Session) runOptions(graph int64) (*ort.RunOptions, error) {
	o, err := ort.NewRunOptions()
	if err != nil {
		return nil, plain(err)
	}
	if s.replays {
		if err := s.runtime.device.calls.runEntry(o, "gpu_graph_id", strconv.FormatInt(graph, 10)); err != nil {
			o.Destroy()
			return nil, err
		}
	}
	return o, nil
}

// onThread runs f, which runs s. The provider keeps graphs by thread, and they use the session's
// memory, so that all runs of a session with graphs are made one after another on one thread.
func (s *Session) onThread(f func()) {
	if s.replays {
		s.runtime.device.thread.do(f)
	} else {
		f()
	}
}

// run makes a run of b, as a graph where it has one. The end of ctx does not stop a graph.
func (b *Binding) run(ctx context.Context) error {
	if b.graph.id == noGraph {
		_, err := b.session.run(ctx, b.options, b.in, b.out)
		return err
	}
	if err := ctx.Err(); err != nil {
		return b.session.wrap(err)
	}
	var err error
	b.session.guardRun(func() {
		if b.graph.captured {
			defer b.session.runtime.device.lock()()
		} else {
			process.capturing.Lock()
			defer process.capturing.Unlock()
		}
		b.session.onThread(func() { err = b.session.ort.RunWithOptions(ortValues(b.in), ortValues(b.out), b.options) })
	})
	b.session.runtime.traffic.runs.Add(1)
	if err != nil {
		return b.session.wrap(plain(err))
	}
	b.graph.captured = true
	return nil
}

// ortValues returns those of ONNX Runtime, nil for none.
func ortValues(values []*value) []ort.Value {
	list := make([]ort.Value, len(values))
	for i, v := range values {
		if v != nil {
			list[i] = v.ort
		}
	}
	return list
}

// thread runs functions one after another on one thread of the system.
type thread chan func()

func newThread() thread {
	t := make(thread)
	go func() {
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		for f := range t {
			f()
		}
	}()
	return t
}

// do runs f there and waits for it.
func (t thread) do(f func()) {
	done := make(chan struct{})
	t <- func() {
		defer close(done)
		f()
	}
	<-done
}
