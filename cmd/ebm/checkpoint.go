package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/spf13/pflag"

	"ebm/evaluate/probe"
	"ebm/mdsm/train"
)

// addCheckpoint adds the flag that says which checkpoint of a run is meant.
func addCheckpoint(fs *pflag.FlagSet, to *string) {
	fs.StringVar(to, "checkpoint", "", "which checkpoint of a run: newest (the default), best (as ebm evaluate --select found it) or the number of its step")
}

// checkpointOf returns the reference of a run's checkpoint, which is a folder,
// or of the run itself when none is asked for.
func checkpointOf(run, which string) (string, error) {
	switch which {
	case "", "newest":
		return run, nil
	case "best":
		s, err := probe.ReadSelection(run)
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
		return "", usagef("--checkpoint %q, want newest, best or the number of a step", which)
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
