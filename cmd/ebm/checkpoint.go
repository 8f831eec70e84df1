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

// placeFlags say which weights are meant of a file that holds several networks.
type placeFlags struct{ section, prefix string }

func (f *placeFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.section, "section", "", "of a file of weights, the dictionary to take, such as ema or trainer.ema (default: averaged weights, if there are any)")
	fs.StringVar(&f.prefix, "prefix", "", "of a file of weights, how the names to take begin, such as ema_model.")
}

// in returns ref with the place that the flags name.
func (f *placeFlags) in(ref string) string {
	switch {
	case f.section == "" && f.prefix == "":
		return ref
	case f.section == "" || f.prefix == "":
		return ref + "#" + f.section + f.prefix
	}
	return ref + "#" + f.section + "." + f.prefix
}

// checkpointFlags say which weights are meant of a run or a file.
type checkpointFlags struct {
	checkpoint string
	placeFlags
}

func (f *checkpointFlags) add(fs *pflag.FlagSet) {
	f.placeFlags.add(fs)
	fs.StringVar(&f.checkpoint, "checkpoint", "", "which checkpoint of a run: newest (the default), best (as ebm evaluate --select found it) or the number of its step")
}

// of returns the reference of what the flags mean of a run or a file.
func (f *checkpointFlags) of(ref string) (string, error) {
	ref, err := checkpointOf(ref, f.checkpoint)
	return f.in(ref), err
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
