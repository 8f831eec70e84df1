package main

import (
	"github.com/spf13/pflag"

	"ebm/cmd/internal/assess"
)

// placeFlags say which weights are meant of a file that holds several networks.
type placeFlags struct{ section, prefix string }

func (f *placeFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.section, "section", "", "of a file of weights, the dictionary to take, such as ema or trainer.ema (default: averaged "+
		"weights, if there are any)")
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
	fs.StringVar(&f.checkpoint, "checkpoint", "", "which checkpoint of a run: newest (the default), best (as ebm evaluate --select found "+
		"it) or the number of its step")
}

// of returns the reference of what the flags mean of a run or a file.
func (f *checkpointFlags) of(ref string) (string, error) {
	ref, err := assess.CheckpointOf(ref, f.checkpoint)
	return f.in(ref), err
}
