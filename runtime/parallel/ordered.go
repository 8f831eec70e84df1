package parallel

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"sync"
	"sync/atomic"
)

// Ordered computes work(0), …, work(n−1) with several workers and delivers the
// results in this order from the caller's goroutine. Finished results that
// wait for an earlier one are bounded. The first error stops everything; what
// was finished before it in order is still delivered.
func Ordered[R any](ctx context.Context, workers, n int, work func(context.Context, int) (R, error), deliver func(int, R) error) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		i     int
		value R
		err   error
	}
	results := make(chan result)
	room := make(chan struct{}, 3*workers) // started and not yet delivered
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(workers, n) {
		group.Go(func() {
			// The CUDA provider keeps state for every thread that calls it.
			goruntime.LockOSThread()
			defer goruntime.UnlockOSThread()
			for {
				select {
				case room <- struct{}{}:
				case <-inner.Done():
					return
				}
				i := int(next.Add(1)) - 1
				if i >= n || inner.Err() != nil {
					return
				}
				value, err := work(inner, i)
				results <- result{i, value, err}
			}
		})
	}
	go func() {
		group.Wait()
		close(results)
	}()

	var first error
	fail := func(err error) {
		if first == nil {
			first = err
			cancel()
		}
	}
	waiting, wanted := make(map[int]R), 0
	for r := range results {
		if r.err != nil {
			fail(r.err)
			continue
		}
		waiting[r.i] = r.value
		for value, ok := waiting[wanted]; ok; value, ok = waiting[wanted] {
			delete(waiting, wanted)
			if err := deliver(wanted, value); err != nil {
				fail(err)
				break
			}
			wanted++
			<-room
		}
	}
	if first == nil && wanted < n {
		first = ctx.Err() // it ended before any work noticed
	}
	if first != nil {
		return ended(ctx, first)
	}
	return nil
}

// ended returns the context's error in place of errors that came of it.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}
