package mpi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// ranks is what a World is in every build.
type ranks struct {
	rank, size, local, locals int
	library                   string

	unended bool // a sum was left before its end
	sent    int64
	spent   time.Duration
}

// Rank returns the number of this process, from 0.
func (w *World) Rank() int { return w.rank }

// Size returns the number of ranks, one at least.
func (w *World) Size() int { return max(w.size, 1) }

// Local returns the number of this process among those of its machine, from 0, and
// how many these are.
func (w *World) Local() (rank, size int) { return w.local, max(w.locals, 1) }

// Library returns the name and version of what connects the ranks, "" of one alone.
func (w *World) Library() string { return w.library }

// Traffic returns how many bytes this rank has sent in sums, and how long it was in them.
func (w *World) Traffic() (bytes int64, in time.Duration) { return w.sent, w.spent }

// Sum adds up a vector over the ranks. For each chunk in turn, total has what the ranks
// before this one came to (nothing of meaning on rank 0) and add adds this rank's
// summands to total[lo:hi]; on rank 0 it sets it. Then total is the sum, the same on
// every rank. All ranks call it with one length. It ends with ctx, after which no sum
// is possible.
func (w *World) Sum(ctx context.Context, total []float32, add func(lo, hi int)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.Size() == 1 {
		add(0, len(total))
		return nil
	}
	if w.unended {
		return errors.New("sum of ranks: one before it was left, want another start of all ranks")
	}
	begin := time.Now()
	defer func() { w.spent += time.Since(begin) }()
	if err := w.sum(ctx, total, add); err != nil {
		w.unended = true
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("rank %d of %d: sum of %d numbers: %w", w.rank, w.size, len(total), err)
	}
	return nil
}

// launched returns how many ranks the environment says that there are, and which
// variable says so; 0 where nothing does.
func launched(env func(string) string) (n int, name string) {
	for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"} {
		if n, err := strconv.Atoi(env(name)); err == nil && n > 0 {
			return n, name
		}
	}
	return 0, ""
}
