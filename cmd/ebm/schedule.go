package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"ebm"
	"ebm/mdsm/langevin"
)

// scheduleFlags say how annealed Langevin chains go.
type scheduleFlags struct {
	schedule string
	steps    int
	stepSize float64
	hot      float64
	raw      bool
	seed     uint64
	batch    int
}

// addSchedule adds all but the seed and the batch.
func (f *scheduleFlags) addSchedule(fs *pflag.FlagSet) {
	fs.StringVar(&f.schedule, "schedule", "paper", "temperatures: paper (exp), lin or constant (T = 1)")
	fs.IntVar(&f.steps, "steps", 2700, "Langevin steps; other numbers keep the schedule's proportions")
	fs.Float64Var(&f.stepSize, "step-size", 0.02, "ε, in units of x; 0.015 to 0.05 is reasonable")
	fs.Float64Var(&f.hot, "hot", 100, "temperature of the first steps")
	fs.BoolVar(&f.raw, "raw", false, "leave out the denoising jump at the end")
}

// settings returns the settings of so many chains.
func (f *scheduleFlags) settings(count int) (langevin.Settings, error) {
	cooling, err := langevin.ParseCooling(f.schedule)
	if err != nil {
		return langevin.Settings{}, usageError{err}
	}
	set := langevin.Default(count)
	set.Schedule.Cooling, set.Schedule.Steps, set.Schedule.Hot = cooling, f.steps, f.hot
	set.StepSize, set.Seed, set.Batch, set.Raw = f.stepSize, f.seed, f.batch, f.raw
	if err := set.Validate(); err != nil {
		return set, usageError{err}
	}
	return set, nil
}

// sampler loads a model's files. Close it when done.
func (a *app) sampler(ctx context.Context, m *ebm.Model, files langevin.Files) (*langevin.Sampler, error) {
	rt, err := a.runtime(ctx)
	if err != nil {
		return nil, err
	}
	s, err := langevin.New(rt, files)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	s.Progress = a.progress()
	return s, nil
}
