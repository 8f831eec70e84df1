package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Turns does the job once for every line of in, and answers each with a line of
// its milliseconds, so that another program can have two sides take turns and
// only one of them computes at a time. The first line that it writes is a
// Report without times, as a line of JSON, and says that it is ready; the last
// one, when in ends, is a Report of all runs.
func (w *Work) Turns(ctx context.Context, in io.Reader, out io.Writer) error {
	lines, failed := read(ctx, in)
	report := json.NewEncoder(out)
	if err := report.Encode(w.Report(nil)); err != nil {
		return err
	}
	var times []time.Duration
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-lines:
			if !ok {
				if err := <-failed; err != nil {
					return fmt.Errorf("lines of turns: %w", err)
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				return report.Encode(w.Report(times))
			}
		}
		d, err := w.Run(ctx)
		if err != nil {
			return err
		}
		times = append(times, d)
		if _, err := fmt.Fprintf(out, "%.6f\n", milliseconds(d)); err != nil {
			return err
		}
	}
}

// read sends a value for every line. When they end, it sends what went wrong
// and closes both channels. A read that waits when ctx ends is left to the end
// of the process.
func read(ctx context.Context, in io.Reader) (lines <-chan struct{}, failed <-chan error) {
	l, f := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(l)
		defer close(f)
		s := bufio.NewScanner(in)
		for s.Scan() {
			select {
			case l <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
		f <- s.Err()
	}()
	return l, f
}
