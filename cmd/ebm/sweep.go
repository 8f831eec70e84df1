package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm/cmd/internal/assess"
	"ebm/internal/atomicfile"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/runtime"
)

// sweepFlags are the flags of sweep: those of train, and what is varied.
type sweepFlags struct {
	trainFlags
	set              []string
	seeds, finalists int
	dryRun           bool
}

func newSweep(a *app) *cobra.Command {
	var f sweepFlags
	cmd := &cobra.Command{
		Use:   "sweep (--preset NAME | --config FILE | --data X) --set NAME=VALUE,VALUE… (--time T | --steps N) --out DIR",
		Short: "Search over settings of train: values × seeds at equal cost, compared on held-out data",
		Long: `sweep trains once for every choice of the values that --set names and every seed, each
run for the same --steps, or for as many steps as take the same --time of the
processors, all threads together (on a device: of the clock), and prints the
settings by their loss on held-out data, the mean over the seeds with its deviation.

A NAME is a flag of train; its values are separated by commas, or by semicolons
where a value has commas itself. Other flags of train are the same for all runs.
Every run is measured at the noise levels that the flags say without --set, so that
runs that train with others compare.

Each run is the folder of a run in --out, which also has sweep.json and report.html;
ebm watch shows it while it goes on. A sweep that was stopped, or killed, goes on
with the same command: finished runs are not made again, and the one under way goes
on from its newest checkpoint. With more values or seeds it grows.

With --finalists N only the N best settings of the first seed get the others.`,
		Example: `  ebm sweep --preset demo --set batch=8,16,32 --set learning-rate=3e-4,1e-3 --seeds 3 --time 10m --out runs/search
  ebm sweep --preset demo --set 'ema=0,0.99,0.999' --set dim=16,32 --seeds 3 --finalists 2 --steps 2000 --out runs/search
  ebm sweep --data moons --set 'hidden=64,64;128,128' --steps 1000 --out runs/moons --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.sweep(cmd.Context(), a, cmd.Flags()) },
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&f.set, "set", nil, "a flag of train and the values to try, such as batch=8,16,32; may be given several times")
	fs.IntVar(&f.seeds, "seeds", 1, "runs of each setting, with the seeds from --seed on")
	fs.IntVar(&f.finalists, "finalists", 0, "give the seeds after the first to so many of the best settings alone, 0 for all")
	fs.BoolVar(&f.dryRun, "dry-run", false, "list the runs, and make none")
	fs.StringVar(&f.out, "out", "", "the folder of the runs")
	fs.DurationVar(&f.time, "time", 0, "processor time of each run, such as 10m: the steps that fit are measured once for each setting")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	group(fs, "Settings of all runs", func(fs *pflag.FlagSet) {
		f.addSource(fs)
		f.addSettings(fs)
	})
	return cmd
}

// search is a sweep with the settings of its runs.
type search struct {
	assess.Sweep
	dir      string
	settings map[string]train.Settings // of each run, by its name
	noise    train.NoiseSettings       // that all are measured at
}

func (f *sweepFlags) sweep(ctx context.Context, a *app, flags *pflag.FlagSet) error {
	if err := f.check(flags); err != nil {
		return err
	}
	s, err := f.plan(ctx, a, flags)
	if err != nil {
		return err
	}
	if f.dryRun {
		return f.list(a, s)
	}
	rt, err := a.runtime(ctx)
	if err != nil {
		return err
	}
	release, err := atomicfile.Fill(f.out, "sweep", "ebm sweep")
	if err != nil {
		return err
	}
	defer release()
	if err := f.runs(ctx, a, rt, s); err != nil {
		if errors.Is(err, context.Canceled) {
			a.endProgress()
			done, all := s.Count()
			fmt.Fprintf(a.stderr, "stopped with %d of %d runs finished; the same command goes on\n", done, all)
		}
		return err
	}
	if f.asJSON {
		return a.printJSON(map[string]any{"path": f.out, "results": s.Results(), "runs": s.Runs})
	}
	a.table(s.Text())
	return nil
}

// check finds wrong usage.
func (f *sweepFlags) check(flags *pflag.FlagSet) error {
	switch {
	case f.out == "":
		return usagef("want --out DIR, the folder of the runs")
	case flags.Changed("time") && f.time <= 0:
		return usagef("--time %v, want a time such as 10m", f.time)
	case flags.Changed("time") == flags.Changed("steps"):
		return usagef("want either --time or --steps, the same for all runs")
	}
	return atLeast(least{"seeds", float64(f.seeds), 1}, least{"finalists", float64(f.finalists), 0})
}

// plan returns the runs that the flags ask for, with what is known of those that the
// folder has.
func (f *sweepFlags) plan(ctx context.Context, a *app, flags *pflag.FlagSet) (*search, error) {
	base, _, _, err := f.trainFlags.settings(ctx, a, flags)
	if err != nil {
		return nil, err
	}
	if !flags.Changed("checkpoint-every") {
		base.Output.CheckpointEvery = train.Auto
	}
	if !flags.Changed("keep-checkpoints") {
		base.Output.KeepCheckpoints = 1
	}
	if !flags.Changed("sample-every") {
		base.Output.SampleEvery = 0
	}
	chosen, err := f.variants(flags, base)
	if err != nil {
		return nil, err
	}
	s := &search{dir: f.out, settings: make(map[string]train.Settings), noise: base.Noise}
	s.Base = base.Values()
	maps.DeleteFunc(s.Base, func(key, _ string) bool { // what may change when a sweep goes on
		return strings.HasPrefix(key, "output.") || key == "seed" || key == "data.dir" || f.time > 0 && key == "steps"
	})
	if f.time > 0 {
		s.Time = f.time.String()
	}
	for i := range uint64(f.seeds) {
		for _, v := range chosen {
			v.Seed = base.Seed + i
			run := assess.SweepRun{Name: folderOf(v.set, v.Seed), Set: v.set, Seed: v.Seed}
			if f.time == 0 {
				run.Steps = v.Steps
			}
			if _, twice := s.settings[run.Name]; twice {
				return nil, usagef("--set has the setting %s twice, want each value once", run.Name)
			}
			s.settings[run.Name] = v.Settings
			if i == 0 || f.finalists == 0 {
				s.Runs = append(s.Runs, run)
			}
		}
	}
	same, differ, err := s.Adopt(f.out)
	if err != nil {
		return nil, err
	}
	if !same {
		return nil, f.other(s, differ)
	}
	return s, nil
}

// other is the error for a folder of a sweep that is not the one asked for.
func (f *sweepFlags) other(s *search, differ []string) error {
	had, err := assess.ReadSweep(f.out)
	if err != nil {
		return err
	}
	const remedy = "begin another sweep in another --out"
	if len(differ) == 0 {
		return fmt.Errorf("the sweep in %s has a --time of %q, want %q: %s", f.out, had.Time, s.Time, remedy)
	}
	e := &train.ResumeError{Dir: f.out}
	for _, key := range differ {
		e.Changes = append(e.Changes, train.Change{Key: key, Had: had.Base[key], Wanted: s.Base[key]})
	}
	return trainKnobs().refused(e, remedy)
}

// list prints the runs, those that are finished marked.
func (f *sweepFlags) list(a *app, s *search) error {
	if f.asJSON {
		return a.printJSON(map[string]any{"path": f.out, "runs": s.Runs})
	}
	var b strings.Builder
	b.WriteString("run\tsteps\tstate\n")
	for _, r := range s.Runs {
		steps, state := s.Time+" of processor time", "to do"
		if r.Steps > 0 {
			steps = fmt.Sprint(r.Steps)
		}
		if r.Done {
			state = "done"
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\n", r.Name, steps, state)
	}
	a.table(b.String())
	if f.finalists > 0 && f.seeds > 1 {
		a.log(fmt.Sprintf("then %d more of each of the %d best", f.seeds-1, min(f.finalists, len(s.Runs))))
	}
	return nil
}

// runs makes all runs that are not done, in their order.
func (f *sweepFlags) runs(ctx context.Context, a *app, rt *runtime.Runtime, s *search) error {
	begin, made := time.Now(), 0
	for i := 0; ; i++ {
		if i == len(s.Runs) && !f.addFinalists(s) {
			return nil
		}
		r := &s.Runs[i]
		if r.Done {
			continue
		}
		left := ""
		if made > 0 {
			each := time.Since(begin) / time.Duration(made)
			left = fmt.Sprintf(", about %v left", (each * time.Duration(len(s.Runs)-i)).Round(time.Second))
		}
		a.log(fmt.Sprintf("run %d of %d%s: %s", i+1, len(s.Runs), left, r.Name))
		if err := f.run(ctx, a, rt, s, r); err != nil {
			return err
		}
		made++
		if err := s.save(); err != nil {
			return err
		}
	}
}

// addFinalists adds the runs of the other seeds of the best settings, and reports
// whether there are more.
func (f *sweepFlags) addFinalists(s *search) bool {
	if f.finalists == 0 {
		return false
	}
	first := s.Sweep
	first.Runs = slices.DeleteFunc(slices.Clone(s.Runs), func(r assess.SweepRun) bool { return r.Seed != s.Runs[0].Seed })
	best := first.Results()
	had := len(s.Runs)
	for i := range uint64(f.seeds) {
		for _, b := range best[:min(f.finalists, len(best))] {
			r := assess.SweepRun{Set: b.Set, Seed: s.Runs[0].Seed + i, Steps: b.Steps}
			r.Name = folderOf(r.Set, r.Seed)
			_, planned := s.settings[r.Name]
			if planned && !slices.ContainsFunc(s.Runs, func(mine assess.SweepRun) bool { return mine.Name == r.Name }) {
				s.Runs = append(s.Runs, r)
			}
		}
	}
	return len(s.Runs) > had
}

// run makes a run, or finishes it.
func (f *sweepFlags) run(ctx context.Context, a *app, rt *runtime.Runtime, s *search, r *assess.SweepRun) error {
	settings := s.settings[r.Name]
	measured := settings.Output.ValidateEvery
	settings.Output.ValidateEvery = max(measured, 1)
	one := f.trainFlags
	one.out = filepath.Join(s.dir, r.Name)
	newest, err := train.Newest(one.out)
	if err != nil && !errors.Is(err, train.ErrNoCheckpoint) {
		return err
	}
	var data dataset.Data
	if !settings.Pictures() {
		if data, err = loadPoints(&settings); err != nil {
			return err
		}
	}
	t, err := one.prepare(ctx, a, settings, data, newest.Step > 0)
	if err != nil {
		return err
	}
	if r.Steps == 0 {
		if r.Steps, err = f.stepsOf(ctx, rt, s, r, t, one.out); err != nil {
			return err
		}
		if err := s.Write(s.dir); err != nil {
			return err
		}
	}
	if t.Steps = r.Steps; measured == 0 {
		t.Output.ValidateEvery = max(r.Steps/10, 1)
	}
	_, err = a.reported(rt, one.out, t.Output, func(hook train.Hook) (train.Result, error) {
		return train.Train(ctx, rt, t.Settings, t.data, train.Options{
			Dir: one.out, Resume: true, Start: t.first, Held: t.held, HeldNoise: &s.noise, Hook: hook, Progress: a.progress(), Log: a.log,
		})
	})
	var diverged *train.NonFiniteError
	if errors.As(err, &diverged) {
		r.Problem = fmt.Sprintf("not finite at step %d", diverged.Step)
		r.Done = true
		return nil
	}
	if err != nil {
		return trainKnobs().refused(err, "remove its folder, and it begins anew")
	}
	return r.Finish(s.dir)
}

// stepsOf returns how many steps of a run fit into --time, the same for all seeds.
func (f *sweepFlags) stepsOf(ctx context.Context, rt *runtime.Runtime, s *search, r *assess.SweepRun, t training, dir string) (int, error) {
	for _, other := range s.Runs {
		if maps.Equal(other.Set, r.Set) && other.Steps > 0 {
			return other.Steps, nil
		}
	}
	clock := processTime
	if rt.Info().Provider != runtime.CPU {
		clock = nil
	}
	return t.within(ctx, rt, dir, f.time, clock)
}

// save writes what is known of the sweep, and its page.
func (s *search) save() error {
	if err := s.Write(s.dir); err != nil {
		return err
	}
	d, err := s.Document(s.dir)
	if err != nil {
		return err
	}
	return d.Write(s.dir)
}
