package assess

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"ebm/mdsm/train"
)

// The checkpoints that have a name, beside the numbers of steps.
const (
	Newest = "newest"
	Best   = "best" // as a selection found it
)

// CheckpointOf returns the reference of a run's checkpoint, which is a folder,
// or of the run itself for the newest or "".
func CheckpointOf(run, which string) (string, error) {
	switch which {
	case "", Newest:
		return run, nil
	case Best:
		s, err := ReadSelection(run)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s: no checkpoint was selected: run ebm evaluate %s --select first", run, run)
		}
		if err != nil {
			return "", err
		}
		return findCheckpoint(run, s.Step)
	}
	step, err := strconv.Atoi(which)
	if err != nil || step < 0 {
		return "", wrong("--checkpoint %q, want newest, best or the number of a step", which)
	}
	return findCheckpoint(run, step)
}

func findCheckpoint(run string, step int) (string, error) {
	list, err := train.Checkpoints(run)
	if err != nil {
		return "", err
	}
	var steps []int
	for _, c := range list {
		if c.Step == step {
			return filepath.Clean(c.Dir), nil
		}
		steps = append(steps, c.Step)
	}
	return "", fmt.Errorf("%s has no checkpoint of step %d, want one of %v", run, step, steps)
}
