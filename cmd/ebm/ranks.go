package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	goruntime "runtime"
	"time"

	"ebm/mdsm/train"
	"ebm/runtime"
	"ebm/runtime/mpi"
	"ebm/runtime/parallel"
)

// ranks connects the processes that mpirun or srun started, for a command that they make
// together; nil where this one is alone. Rank 0 prints. Devices, one each where --device does
// not say which, and processors are shared by the ranks of a machine.
func (a *app) ranks() (train.Ranks, error) {
	w, err := mpi.Open()
	if err != nil {
		return nil, err
	}
	if w.Library() == "" {
		return nil, nil
	}
	a.world = w
	local, locals := w.Local()
	a.devices = devicesOf(local, locals, a.devices, runtime.Devices())
	if a.threads == 0 && locals > 1 {
		// A rank that is bound to some processors sees these alone.
		if a.threads = goruntime.NumCPU(); a.threads == runtime.Processors() {
			a.threads = max(a.threads/locals, 1)
		}
	}
	if w.Rank() > 0 {
		a.stdout, a.quiet = io.Discard, true
	} else {
		a.log(fmt.Sprintf("%d ranks, connected by %s", w.Size(), w.Library()))
	}
	return w, nil
}

// devicesOf returns the devices of a rank of several on a machine: its part of those that are
// asked for, or else one of all, in turn.
func devicesOf(rank, ranks int, asked []int, all int) []int {
	first, end := parallel.Part{Index: rank + 1, Count: ranks}.Range(len(asked))
	switch {
	case len(asked) == 0 && all == 0:
		return nil
	case len(asked) == 0:
		return []int{rank % all}
	case first == end: // more ranks than devices
		return []int{asked[rank%len(asked)]}
	}
	return asked[first:end]
}

// traffic adds to a result how many ranks there were, and what sums cost rank 0.
func (a *app) traffic(result map[string]any) map[string]any {
	if a.world != nil {
		bytes, in := a.world.Traffic()
		result["ranks"], result["sum_bytes"], result["sum_seconds"] = a.world.Size(), bytes, in.Seconds()
	}
	return result
}

// inTurn has rank 0 do something before the others do.
func (a *app) inTurn(ctx context.Context, do func() error) error {
	if a.world == nil {
		return do()
	}
	var err error
	if a.world.Rank() == 0 {
		err = do()
	}
	one := make([]float32, 1)
	if err := errors.Join(err, a.world.Sum(ctx, one, func(lo, hi int) {})); err != nil {
		return err
	}
	if a.world.Rank() > 0 {
		return do()
	}
	return nil
}

// endRanks ends the ranks' connection. What went wrong on every rank is said by rank 0
// alone, and the error of another names its rank.
func (a *app) endRanks(err error) error {
	if err == nil {
		return a.world.Close()
	}
	if a.world.Rank() == 0 {
		return err
	}
	if errors.Is(err, context.Canceled) {
		a.world.Together(3 * ranksWait) // in which rank 0 keeps a checkpoint
		return errSaid
	}
	if a.world.Together(ranksWait) {
		return errSaid
	}
	return fmt.Errorf("rank %d of %d: %w", a.world.Rank(), a.world.Size(), err)
}

// ranksWait is how long a rank that cannot go on waits for the others to say the same.
const ranksWait = 3 * time.Second

// errSaid is an error that another rank has printed.
var errSaid = errors.New("another rank said why")

// abortRanks ends ranks that wait for this one after an error, which was printed.
func (a *app) abortRanks(err error) {
	if err != nil && (a.world.Rank() > 0 && !errors.Is(err, errSaid) || a.world.Rank() == 0 && !a.world.Together(ranksWait)) {
		a.world.Abort()
	}
}
