package samples

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// State is a file of arrays from which work that was stopped goes on.
type State struct {
	Path string // "" keeps nothing
	// Log, when not nil, gets a line when a damaged file is passed over.
	Log func(line string)
}

// Read returns the arrays of the file, nil when there is none. One that is
// damaged counts as none.
func (s State) Read() (map[string]*tensor.Tensor, error) {
	if s.Path == "" {
		return nil, nil
	}
	arrays, err := npz.ReadFile(s.Path)
	switch {
	case err == nil:
		return arrays, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, err
	}
	s.Reject(err.Error())
	return nil, nil
}

// Reject logs that the file is of no use.
func (s State) Reject(why string) {
	if s.Log != nil {
		s.Log(why + "; it is made again")
	}
}

// Write writes the arrays, in a folder that is made if it is not there.
func (s State) Write(arrays map[string]*tensor.Tensor) error {
	if s.Path == "" {
		return nil
	}
	if err := atomicfile.MkdirAll(filepath.Dir(s.Path)); err != nil {
		return err
	}
	return atomicfile.Write(s.Path, func(w io.Writer) error { return npz.Write(w, arrays, npz.Store) })
}

// Remove removes the file, if there is one and it is of no more use.
func (s State) Remove(ended bool) error {
	if s.Path == "" || !ended {
		return nil
	}
	if err := os.Remove(s.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// States keeps the chains of the groups of a job that are in progress, beside its
// shards. The zero value keeps nothing.
type States struct {
	dir   string
	every time.Duration
	log   func(string)
}

// NewStates keeps chains in a folder, every so often.
func NewStates(dir string, every time.Duration, log func(string)) States {
	return States{dir, every, log}
}

// Of returns the state of a group.
func (s States) Of(group int) State {
	if s.dir == "" {
		return State{}
	}
	return State{Path: filepath.Join(s.dir, fmt.Sprintf("state-%012d.npz", group)), Log: s.log}
}

// Keep runs a group's work, which steps do, one after another from done to all,
// and has save keep its state every few seconds and when the context ends, after
// the last step that was made whole.
func (s States) Keep(ctx context.Context, done, all int, step func(done int) (made int, err error), save func(done int) error) error {
	saved := time.Now()
	for done < all {
		made, err := step(done)
		if err != nil {
			if ctx.Err() != nil && done > 0 {
				return errors.Join(err, save(done))
			}
			return err
		}
		done += made
		if s.dir != "" && done < all && time.Since(saved) >= s.every {
			if err := save(done); err != nil {
				return err
			}
			saved = time.Now()
		}
	}
	return nil
}
