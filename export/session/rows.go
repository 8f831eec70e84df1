package session

import (
	"context"
	"errors"
	"sync"

	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
)

// Rows computes a function whose rows, along the first axis of each input and
// output, do not depend on each other, for any number of them.
//
// On the CPU it cuts them into parts of a few rows, on a thread each: what one
// operator leaves is still in a core's cache when the next one wants it, and no
// thread waits for another. Rows that are fewer than the threads, and those of
// other providers, are computed at once. Methods may be called from several
// goroutines.
type Rows struct {
	rt    *runtime.Runtime
	model func(Form) ([]byte, error)
	part  int // rows that are computed at once, at most

	mu       sync.Mutex
	sessions map[int]*runtime.Session // by their number of threads
}

// NewRows returns the function of an ONNX model whose inputs have rows of a
// shape. model makes the file's bytes in a form; it is called when a session is first
// wanted.
func NewRows(rt *runtime.Runtime, shape []int, model func(Form) ([]byte, error)) *Rows {
	return &Rows{rt: rt, model: model, part: parallel.NewLayout(rt.Info(), shape, 0, 0).Size, sessions: make(map[int]*runtime.Session)}
}

// Run is runtime.Session.Run.
func (r *Rows) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	n, threads := rows(inputs), max(r.rt.Info().Threads, 1)
	if r.rt.Info().Provider != runtime.CPU || n < threads {
		s, err := r.load(threads)
		if err != nil {
			return nil, err
		}
		return s.Run(ctx, inputs)
	}
	s, err := r.load(1)
	if err != nil {
		return nil, err
	}
	if err := s.Check(inputs); err != nil {
		return nil, err
	}
	// As many for each thread, in no more parts than needed.
	turns := ceil(n, threads*r.part)
	size := ceil(n, threads*turns)
	work := func(ctx context.Context, i int) (map[string]*tensor.Tensor, error) {
		part := make(map[string]*tensor.Tensor)
		for name, t := range inputs {
			part[name] = t.Rows(i*size, min((i+1)*size, n))
		}
		return s.Run(ctx, part)
	}
	parts := make(map[string][]*tensor.Tensor)
	err = parallel.Ordered(ctx, threads, ceil(n, size), work, func(_ int, out map[string]*tensor.Tensor) error {
		for name, t := range out {
			parts[name] = append(parts[name], t)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all := make(map[string]*tensor.Tensor)
	for name, list := range parts {
		all[name] = tensor.Concat(list...)
	}
	return all, nil
}

// rows returns the number of rows of all inputs, 0 where they do not have the
// same.
func rows(inputs map[string]*tensor.Tensor) int {
	n := -1
	for _, t := range inputs {
		if t == nil || t.Rank() == 0 || n >= 0 && t.Shape()[0] != n {
			return 0
		}
		n = t.Shape()[0]
	}
	return max(n, 0)
}

func ceil(a, b int) int { return (a + b - 1) / b }

// load returns the session with a number of threads.
func (r *Rows) load(threads int) (*runtime.Session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sessions[threads]; s != nil {
		return s, nil
	}
	if r.sessions == nil {
		return nil, runtime.ErrClosed
	}
	s, err := load(r.rt, runtime.SessionOptions{Threads: threads}, r.model)
	if err != nil {
		return nil, err
	}
	r.sessions[threads] = s
	return s, nil
}

// Close frees the sessions.
func (r *Rows) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, s := range r.sessions {
		errs = append(errs, s.Close())
	}
	r.sessions = nil
	return errors.Join(errs...)
}
