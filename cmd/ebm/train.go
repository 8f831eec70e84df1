package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/bench"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/runtime"
)

// trainFlags are the flags of train: where settings come from, and a flag for
// each of them.
type trainFlags struct {
	preset, config, out string
	resume, asJSON      bool
	time                time.Duration
	model               string
	s                   train.Settings // what the flags said
}

func newTrain(a *app) *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:   "train (--preset NAME | --config FILE | --data FOLDER | --resume --out DIR)",
		Short: "Train an energy network by multiscale denoising score matching",
		Long: `train makes a run: a folder with its settings (config.toml), metrics
(metrics.jsonl, tensorboard/) and checkpoints. A run that was stopped, or
killed, goes on with --resume and gives the same weights, bit for bit.

Presets:
` + train.PresetHelp() + `
A folder of your own pictures needs no preset: --data FOLDER alone trains on
its pictures, cut to a square and resized to --size.
Flags change single settings of a preset, a config file or these.`,
		Example: `  ebm train --preset mnist --steps 300 --batch 128 --dim 16 --out runs/small
  ebm train --data photos --size 32 --steps 20000
  ebm train --resume --out runs/small
  ebm train --preset mnist --start runs/small --learning-rate 1e-5 --out runs/finer`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.train(cmd.Context(), a, cmd.Flags()) },
	}
	f.add(cmd.Flags())
	a.addPrecision(cmd.Flags())
	a.addAutotune(cmd.Flags())
	return cmd
}

func (f *trainFlags) add(fs *pflag.FlagSet) {
	f.addSource(fs)
	fs.StringVar(&f.out, "out", "", "the run's folder (default runs/PRESET, or runs/ and the name of the folder of --data)")
	fs.BoolVar(&f.resume, "resume", false, "go on from the newest checkpoint in --out, or begin if there is none")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	fs.DurationVar(&f.time, "time", 0, "train for as long as this, such as 2h or 45m: the steps that fit are timed first, and the learning "+
		"rate falls over them")
	f.addSettings(fs)
}

// addSource adds where settings come from.
func (f *trainFlags) addSource(fs *pflag.FlagSet) {
	fs.StringVar(&f.preset, "preset", "", "settings to begin with, by name (see above)")
	fs.StringVar(&f.config, "config", "", "settings to begin with, a file like a run's config.toml")
}

// addSettings adds the settings.
func (f *trainFlags) addSettings(fs *pflag.FlagSet) {
	fs.StringVar(&f.model, "model", "", "an energy to train in place of a network of this program: an ONNX file, with whose weights "+
		"training begins")
	trainKnobs().add(fs, &f.s)
}

// settings puts together what a preset, a file, a folder of pictures or an
// earlier run says and what the flags change. It returns the file that they come
// from, "" for none, and the pictures where these had to be seen.
func (f *trainFlags) settings(ctx context.Context, a *app,
	flags *pflag.FlagSet) (s train.Settings, file string, data dataset.Data, err error) {
	named := slices.Contains(dataset.PointSets(), f.s.Data.Dir)
	points := named || dataset.IsPoints(f.s.Data.Dir)
	if flags.Changed("data") && !named {
		// A run is found again from any folder.
		if f.s.Data.Dir, err = filepath.Abs(f.s.Data.Dir); err != nil {
			return s, "", nil, err
		}
	}
	own := flags.Changed("data") && (f.s.Data.Name == "" || f.s.Data.Name == ownPictures)
	out := ""
	switch {
	case f.preset != "" && f.config != "":
		return s, "", nil, usagef("--preset and --config exclude each other")
	case f.preset != "":
		out = filepath.Join("runs", f.preset)
		s, err = train.Preset(f.preset)
		if err != nil {
			err = usageError{err}
		}
	case f.config != "":
		file = f.config
		s, err = train.ReadSettings(file)
	case f.resume && f.out != "" && (train.HasConfig(f.out) || !own):
		file = filepath.Join(f.out, train.ConfigFile)
		s, err = train.ReadSettings(file)
	case points:
		out = filepath.Join("runs", strings.TrimSuffix(filepath.Base(f.s.Data.Dir), filepath.Ext(f.s.Data.Dir)))
		s, err = f.points(flags)
	case own:
		out = filepath.Join("runs", filepath.Base(f.s.Data.Dir))
		s, data, err = f.ownPictures(ctx, a, flags)
	default:
		return s, "", nil, usagef("want --preset NAME, --config FILE, --data FOLDER, or --resume with --out DIR")
	}
	if err != nil {
		return s, file, nil, err
	}
	if f.out == "" {
		f.out = out
	}
	if f.out == "" {
		return s, file, nil, usagef("want --out DIR, the folder of the run")
	}
	if flags.Changed("objective") && f.s.Objective != s.Objective {
		s = s.Choose(f.s.Objective)
	}
	trainKnobs().overlay(flags, &s, &f.s)
	if f.model != "" && s.Net.Name != train.FileNet {
		s.Net = train.NetSettings{Name: train.FileNet, Input: f.s.Net.Input, Output: f.s.Net.Output, Value: f.s.Net.Value,
			Channels: s.Net.Channels}
	}
	if !s.Pictures() {
		if data, err = loadPoints(&s); err != nil {
			return s, file, nil, err
		}
	}
	return s, file, data, trainKnobs().wrong(flags, file, s.Validate())
}

// ownPictures is the data set of a folder of pictures.
const ownPictures = "folder"

// ownPictures loads the folder of --data and returns the settings for what is
// in it.
func (f *trainFlags) ownPictures(ctx context.Context, a *app, flags *pflag.FlagSet) (train.Settings, dataset.Data, error) {
	size := train.Folder(1).Data.Size
	if flags.Changed("size") {
		size = f.s.Data.Size
	}
	if size < 1 {
		return train.Settings{}, nil, usagef("--size %d, want a positive number", size)
	}
	if c := f.s.Net.Channels; flags.Changed("channels") && c != 1 && c != 3 {
		return train.Settings{}, nil, usagef("--channels %d, want 1 (grey) or 3 (colour)", c)
	}
	data, err := dataset.Load(ctx, dataset.Spec{Name: ownPictures, Dir: f.s.Data.Dir, Size: size, Channels: f.s.Net.Channels, Log: a.log})
	if err != nil {
		return train.Settings{}, nil, err
	}
	return train.Folder(data.Channels), data, nil
}

// train trains in a run's folder and prints where it ended.
func (f *trainFlags) train(ctx context.Context, a *app, flags *pflag.FlagSet) error {
	switch {
	case flags.Changed("time") && f.time <= 0:
		return usagef("--time %v, want a time such as 2h or 45m", f.time)
	case f.time > 0 && flags.Changed("steps"):
		return usagef("--time and --steps exclude each other")
	}
	ranks, err := a.ranks()
	if err != nil {
		return err
	}
	if ranks != nil && ranks.Size() > 1 && f.time > 0 {
		return usagef("--time %v, want --steps for %d ranks: they have clocks of their own", f.time, ranks.Size())
	}
	if ranks != nil && ranks.Size() > 1 && a.autotune {
		return usagef("--autotune for %d ranks, want --choices, the same for all", ranks.Size())
	}
	s, file, data, err := f.settings(ctx, a, flags)
	if err != nil {
		return err
	}
	newest, err := train.Newest(f.out)
	if err != nil && !errors.Is(err, train.ErrNoCheckpoint) {
		return err
	}
	begun := err == nil
	if begun && !f.resume {
		return fmt.Errorf("%s holds a run of %d steps already, want --resume to go on with it, or another --out (with --start %s to begin "+
			"with its weights)",
			f.out, newest.Step, f.out)
	}
	rt, err := a.runtime(ctx)
	if err != nil {
		return err
	}
	if file == "" && ranks == nil && !flags.Changed("shards") {
		s = s.ShardsFor(rt.Info())
	}
	t, err := f.prepare(ctx, a, s, data, begun)
	if err != nil {
		return err
	}
	if err := f.tune(ctx, a, &t, ranks != nil && ranks.Size() > 1, begun); err != nil {
		return err
	}
	rt = a.rt
	if f.time > 0 {
		n, err := t.within(ctx, rt, f.out, f.time, nil)
		if err != nil {
			return err
		}
		t.Steps = newest.Step + n
	}
	s = t.Settings
	a.log(fmt.Sprintf("training %v on %d x of %s, batches of %d, %d steps", s.NetworkName(), t.data.Len(), s.Data.Name, s.Batch, s.Steps))
	r, err := a.reported(rt, f.out, s.Output, func(hook train.Hook) (train.Result, error) {
		return train.Train(ctx, rt, s, t.data, train.Options{
			Ranks: ranks, Dir: f.out, Resume: f.resume, Start: t.first, Held: t.held, Budget: f.time, Hook: hook, Progress: a.progress(), Log: a.log,
		})
	})
	if err != nil {
		a.interrupted(err, r, "train", f.out)
		return trainKnobs().refused(err, fmt.Sprintf("begin another run with its weights: --start %s --out ANOTHER", f.out))
	}
	if f.asJSON {
		return a.printJSON(trained(r, a.traffic(map[string]any{"run": f.out, "checkpoint": r.Checkpoint})))
	}
	if r.Made == 0 {
		a.printf("%s\tstep %d\tno step left; --steps with a larger number goes on\n", r.Checkpoint, r.Step)
		return nil
	}
	a.printf("%s\tstep %d\tloss %.5g\n", r.Checkpoint, r.Step, r.Loss)
	return nil
}

// training is a run that can begin.
type training struct {
	train.Settings
	data, held dataset.Data
	first      energy.Weights // nil for random ones, or those of a checkpoint
}

// prepare loads what a run of the settings needs, into its folder too. data is what
// is there already, nil for nothing; begun says whether the run has a checkpoint.
func (f *trainFlags) prepare(ctx context.Context, a *app, s train.Settings, data dataset.Data, begun bool) (t training, err error) {
	if data == nil {
		spec := dataset.Spec{Name: s.Data.Name, Dir: s.Data.Dir, Size: s.Data.Size, Channels: s.Net.Channels, Seed: s.Seed, Log: a.log}
		if err := spec.Check(); err != nil {
			return t, usageError{err}
		}
		if data, err = dataset.Load(ctx, spec); err != nil {
			return t, err
		}
	}
	if t.data, t.held, err = f.heldOut(ctx, a, s, data); err != nil {
		return t, err
	}
	if err := a.inTurn(ctx, func() error { return f.placeModel(&s, begun) }); err != nil {
		return t, err
	}
	t.Settings = s
	if s.Start != "" && !begun {
		m, err := ebm.LoadWith(s.Start, ebm.LoadOptions{Log: a.log, Size: s.Data.Size})
		if err != nil {
			return t, err
		}
		t.first = m.Weights
	}
	return t, nil
}

// tune takes the choices of the run on a device, which are in its settings.
func (f *trainFlags) tune(ctx context.Context, a *app, t *training, ranks, begun bool) error {
	if begun {
		if had, err := train.ReadSettings(f.out); err == nil {
			t.Choices = had.Choices
		}
	}
	load := func(_ context.Context, rt *runtime.Runtime) (bench.Run, func(), error) {
		problem, err := t.problem(f.out)
		if err != nil {
			return nil, nil, err
		}
		trial, err := train.NewTrial(rt, problem, 1e-12)
		if err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context) (float64, error) {
			err := trial.Step(ctx)
			return trial.Loss(), err
		}, trial.Close, nil
	}
	model := fmt.Sprintf("train %s %v, %d shards", cmp.Or(t.Objective, train.Denoising), t.NetworkName(), t.Shards)
	if err := a.tune(ctx, tuned{Tuning: bench.Tuning{Load: load}, had: t.Choices, model: model, batch: t.Batch, apart: ranks}); err != nil {
		return err
	}
	t.Choices = cmp.Or(a.rt.Info().Choices, t.Choices)
	return nil
}

// within returns how many steps of the run, whose folder is dir, fit into a time by a
// clock, nil for that of the wall.
func (t training) within(ctx context.Context, rt *runtime.Runtime, dir string, limit time.Duration,
	clock func() time.Duration) (int, error) {
	problem, err := t.problem(dir)
	if err != nil {
		return 0, err
	}
	return train.StepsWithin(ctx, rt, problem, limit, clock)
}

// problem makes the problem of the run, whose folder is dir.
func (t training) problem(dir string) (train.Problem, error) {
	net, own, err := t.Open(dir)
	if err != nil {
		return train.Problem{}, err
	}
	if t.first != nil {
		own = t.first
	}
	return t.Problem(net, t.data, own)
}

// heldPictures is the number of held-out pictures that are measured.
const heldPictures = 256

// heldOut loads the pictures that --validate-every measures on, the first of the
// test set; nil for none.
// Of points, these are the last tenth of all, which training leaves.
func (f *trainFlags) heldOut(ctx context.Context, a *app, s train.Settings, data dataset.Data) (rest, held dataset.Data, err error) {
	if s.Output.ValidateEvery == 0 {
		return data, nil, nil
	}
	if !s.Pictures() {
		at := data.Len() - max(data.Len()/10, 1)
		if held, err = dataset.Part(data, at, data.Len()); err != nil {
			return nil, nil, err
		}
		rest, err = dataset.Part(data, 0, at)
		return rest, held, err
	}
	set, err := dataset.Load(ctx, dataset.Spec{
		Name: s.Data.Name, Dir: s.Data.Dir, Split: dataset.Test, Size: s.Data.Size, Channels: s.Net.Channels, Seed: s.Seed, Log: a.log,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("--validate-every %d, want pictures to measure on: %w", s.Output.ValidateEvery, err)
	}
	held, err = dataset.Part(set, 0, min(heldPictures, set.Len()))
	return data, held, err
}

// reported makes a training in a folder, whose report is written as it goes.
func (a *app) reported(rt *runtime.Runtime, dir string, o train.OutputSettings, run func(train.Hook) (train.Result, error)) (train.Result,
	error) {
	if a.world != nil && a.world.Rank() > 0 {
		return run(nil)
	}
	t := assess.Training{Dir: dir, ValidateEvery: o.ValidateEvery, SampleEvery: o.SampleEvery, Runtime: rt, Log: a.log}
	r, err := run(t.Hook)
	if r.Made == 0 {
		return r, err // what is there says it already
	}
	return r, cmp.Or(err, t.Write())
}

// trained adds what programs read of a training to a result.
func trained(r train.Result, result map[string]any) map[string]any {
	result["step"], result["made"], result["seconds"] = r.Step, r.Made, r.Seconds
	if r.Made > 0 { // without a step there is no loss
		result["loss"] = r.Loss
	}
	return result
}

// interrupted says how a training that was stopped goes on.
func (a *app) interrupted(err error, r train.Result, command, out string) {
	if errors.Is(err, context.Canceled) && r.Checkpoint != "" {
		a.endProgress()
		why := "stopped"
		if a.world != nil {
			if a.world.Rank() > 0 {
				return
			}
			why = fmt.Sprintf("rank 0 of %d was told to end, as when another rank is lost: stopped", a.world.Size())
		}
		fmt.Fprintf(a.stderr, "%s at step %d; go on with: ebm %s --resume --out %s\n", why, r.Step, command, out)
	}
}
