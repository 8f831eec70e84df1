package samples

import (
	"ebm/internal/atomicfile"
	"fmt"
	"path/filepath"
)

// While a folder is being filled, every watched group has its part of the trace
// in a folder beside the shards, so that it is not computed twice.

func (w *writer) traceDir(group int) string {
	return filepath.Join(w.shardsDir(), fmt.Sprintf("process-%012d", group*w.Record.Group))
}

// watched lists the groups that the trace is made of, when it is missing.
func (w *writer) watched() []int {
	if !w.tracing {
		return nil
	}
	return w.groupsOf(w.Record.First, w.Record.First+w.Watch.Chains)
}

// findTraces reads the parts that there are. One that cannot be read, or is of
// other chains or snapshots, counts as missing.
func (w *writer) findTraces() {
	w.traces = make(map[int]*Process)
	for _, g := range w.watched() {
		lo, hi := w.span(g, w.Record.First, w.Record.First+w.Watch.Chains)
		t, err := readTrace(w.traceDir(g))
		if err != nil || !t.fits(w.Job, g*w.Record.Group+lo, hi-lo) {
			continue
		}
		if p, err := ReadProcess(w.traceDir(g)); err == nil {
			w.traces[g] = p
		}
	}
}

// keepTrace writes a batch's part of the trace.
func (w *writer) keepTrace(b Batch) error {
	p, g := b.Process, b.First/w.Record.Group
	if p == nil || !w.tracing || w.traces[g] != nil {
		return nil
	}
	if err := atomicfile.MkdirAll(w.traceDir(g)); err != nil {
		return err
	}
	w.traces[g] = p
	return p.Write(w.traceDir(g))
}

// joinTraces makes the trace of its parts.
func (w *writer) joinTraces() error {
	if !w.tracing {
		return nil
	}
	var parts []*Process
	for _, g := range w.watched() {
		parts = append(parts, w.traces[g])
	}
	return JoinProcesses(parts).Write(w.Dir)
}
