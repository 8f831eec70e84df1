package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"ebm/cmd/internal/bench"
	"ebm/runtime"
)

// tuned is a job whose choices are those of the fastest form, see docs/devices.md.
type tuned struct {
	bench.Tuning
	had   runtime.Choices // those of what goes on, "" where it begins
	model string          // what is computed, in words
	batch int
	apart bool // others do parts of it elsewhere, all in one form
}

// addAutotune adds the flag of commands that tune.
func (a *app) addAutotune(fs *pflag.FlagSet) {
	fs.BoolVar(&a.autotune, "autotune", false, "on a device, time the forms of the model (--choices) first, take the fastest and remember "+
		"it for this device, model and batch")
}

// tune gives the runtime the choices of a job: those of --choices, or those that it began with,
// or those that --autotune finds, now or before.
func (a *app) tune(ctx context.Context, t tuned) error {
	rt, err := a.runtime(ctx)
	if err != nil || a.choices != "" {
		return err
	}
	info := rt.Info()
	path, err := bench.ChoicesFile()
	switch {
	case len(info.Alternatives()) == 0:
		if a.autotune {
			a.log("--autotune: nothing to choose on the CPU, where every form has its own bits")
		}
		return nil
	case t.had != "":
		if a.autotune {
			a.log(fmt.Sprintf("--autotune: this goes on with the choices that it began with, %s", t.had))
		}
		return a.choose(t.had)
	case err != nil && a.autotune:
		return fmt.Errorf("--autotune: no folder to remember it in: %w", err)
	case err != nil || t.apart:
		return nil
	}
	key := fmt.Sprintf("%s %s, %d devices, onnxruntime %s, %s: %s, batch %d", info.Provider, info.Adapter, len(info.Devices), info.Version,
		info.Precision, t.model, t.batch)
	if a.autotune {
		best, rows, err := t.Fastest(ctx, rt, info.Alternatives())
		if err != nil {
			return fmt.Errorf("--autotune: %w", err)
		}
		a.log(strings.TrimRight(bench.TuningTable(rows), "\n"))
		if err := bench.Remember(path, key, best); err != nil {
			a.log(fmt.Sprintf("--autotune: what was found is not remembered: %v", err))
		}
		return a.choose(best)
	}
	remembered, err := bench.Remembered(path)
	if err != nil {
		a.log(fmt.Sprintf("choices of earlier --autotune cannot be used, remove the file: %v", err))
		return nil
	}
	if c := remembered[key]; c != "" {
		a.log(fmt.Sprintf("computing with --choices %s, which --autotune found", c))
		return a.choose(c)
	}
	return nil
}

// choose changes the choices of the runtime.
func (a *app) choose(c runtime.Choices) error {
	if a.graphs {
		c = c.With(runtime.Graphs, true)
	}
	had := a.rt
	rt, err := had.With(c)
	if err != nil {
		return err
	}
	a.rt = rt
	return had.Close()
}
