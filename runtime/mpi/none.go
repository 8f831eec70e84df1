//go:build !mpi

package mpi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Built says whether this program can be one of several ranks.
const Built = false

// World is the ranks of a job, here one alone, which the zero World is.
type World struct{ ranks }

// Open returns the ranks of the job, which without MPI is one. It is an error when the
// program was started as one of several.
func Open() (*World, error) {
	if n, name := launched(os.Getenv); n > 1 {
		return nil, fmt.Errorf("this program is one of %d ranks (%s), but was built without MPI, want one built by: CC=mpicc go build -tags mpi "+
			"./cmd/ebm", n, name)
	}
	return new(World), nil
}

func (w *World) sum(context.Context, []float32, func(lo, hi int)) error {
	return errors.New("this program was built without MPI")
}

// Together waits until all ranks have called it, for so long at most, and says whether
// they have.
func (w *World) Together(time.Duration) bool { return true }

// Close ends the ranks' connection.
func (w *World) Close() error { return nil }

// Abort ends all ranks.
func (w *World) Abort() {}
