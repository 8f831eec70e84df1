package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/bench"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/runtime"
)

// benchFlags are the flags of bench.
type benchFlags struct {
	run    string
	net    energy.Plan
	job    string
	batch  int
	steps  int
	shards int
	runs   int
	turns  bool
	asJSON bool
	placeFlags
}

func (f *benchFlags) add(fs *pflag.FlagSet) {
	f.placeFlags.add(fs)
	fs.StringVar(&f.job, "job", "score", "what is timed: score, train, sample or features")
	fs.StringVar(&f.run, "run", "", "the model: a run's folder, one of its checkpoints, a file of weights, or a shipped model (default: "+
		"one of random weights)")
	group(fs, "Without --run", func(fs *pflag.FlagSet) {
		fs.StringVar(&f.net.Net, "net", "res12", "the network: res6, res12, res18, res34 or unet")
		fs.IntVar(&f.net.Dim, "dim", 16, "channels after the first convolution")
		fs.IntVar(&f.net.Channels, "channels", 1, "channels of the pictures")
		fs.IntVar(&f.net.Size, "size", 32, "height and width of the pictures in pixels")
		addMultipliers(fs, &f.net.Multipliers)
		fs.IntVar(&f.net.Blocks, "blocks", 0, blocksHelp)
	})
	fs.IntVar(&f.batch, "batch", 0, "pictures in a run, chains for sample (default: 128, 64 for sample, 32 for features)")
	fs.IntVar(&f.steps, "steps", 2700, "for sample, Langevin steps of a chain")
	fs.IntVar(&f.shards, "shards", 0, "for train, parts of a batch whose gradients are computed side by side (default: the run's or the "+
		"presets')")
	fs.IntVar(&f.runs, "runs", 0, "runs that are timed, after some that are not (default: 20, 10 for train, 5 for features, 1 for sample)")
	fs.BoolVar(&f.turns, "turns", false, "time a run for each line of standard input and answer with a line of milliseconds, between two "+
		"lines of JSON")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
}

// randomAlone are the flags that mean something without --run alone.
var randomAlone = []string{"net", "dim", "channels", "size", "multipliers", "blocks"}

func newBench(a *app) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench [--run REF | --net NET --dim N --channels N --size N] [--job JOB]",
		Short: "Time a model: score, training step, sampling, features",
		Long: `bench times one job on this machine, with random weights or those of a model:

  score     energy and score of a batch
  train     one update as 'ebm train' makes it, with the drawing of its batch
  sample    chains of the sampler, and their step beside a bare score
  features  Inception features of pictures, with random weights

It prints the least and the median time, floating-point operations counted from
the graph (as the function is written, which is what others compute too, and as
it is computed here), and the process's largest memory. 'make bench' compares
the same jobs with PyTorch.`,
		Example: `  ebm bench --run mnist16 --batch 128
  ebm bench --job train --net res12 --dim 64 --batch 64 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.run != "" {
				for _, name := range randomAlone {
					if cmd.Flags().Changed(name) {
						return usagef("--%s and --run exclude each other: the model says it", name)
					}
				}
			}
			return f.bench(cmd.Context(), a, cmd.InOrStdin())
		},
	}
	f.add(cmd.Flags())
	a.addPrecision(cmd.Flags())
	a.addAutotune(cmd.Flags())
	return cmd
}

func (f *benchFlags) bench(ctx context.Context, a *app, stdin io.Reader) error {
	spec, err := f.spec(a)
	if err != nil {
		return err
	}
	rt, err := a.runtime(ctx)
	if err != nil {
		return err
	}
	if f.shards == 0 {
		spec.Settings = spec.Settings.ShardsFor(rt.Info())
	}
	load := func(ctx context.Context, rt *runtime.Runtime) (bench.Run, func(), error) {
		w, err := bench.New(ctx, rt, spec)
		if err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context) (float64, error) { _, err := w.Run(ctx); return 0, err }, w.Close, nil
	}
	model := fmt.Sprintf("bench %s %v, %d shards, %d steps", spec.Job, spec.Settings.NetworkName(), spec.Settings.Shards, spec.Steps)
	if err := a.tune(ctx, tuned{Tuning: bench.Tuning{Load: load}, model: model, batch: spec.Settings.Batch}); err != nil {
		return err
	}
	w, err := bench.New(ctx, a.rt, spec)
	if err != nil {
		return err
	}
	defer w.Close()
	if f.turns {
		return w.Turns(ctx, stdin, a.stdout)
	}
	r, err := w.Measure(ctx, f.runs, a.progress())
	if err != nil {
		return err
	}
	return a.answer(f.asJSON, r, "%s", r)
}

// spec puts together what the flags say, and fills in what they do not.
func (f *benchFlags) spec(a *app) (bench.Spec, error) {
	job, batch, runs, err := bench.ParseJob(f.job)
	if err != nil {
		return bench.Spec{}, usageError{err}
	}
	if f.batch < 0 || f.runs < 0 || f.shards < 0 || f.steps < 1 {
		return bench.Spec{}, usagef("--batch %d --runs %d --shards %d --steps %d, want numbers from 0, 0, 0 and 1", f.batch,
			f.runs, f.shards, f.steps)
	}
	if f.batch == 0 {
		f.batch = batch
	}
	if f.runs == 0 {
		f.runs = runs
	}
	m, err := f.model(a)
	if err != nil {
		return bench.Spec{}, err
	}
	s := bench.Spec{Job: job, Weights: m.Weights, Steps: f.steps}
	n, err := m.Picture()
	if err != nil {
		return s, err
	}
	if s.Settings, err = f.settings(n); err != nil {
		return s, err
	}
	if job == bench.Sample {
		s.Chains, err = m.Files()
	}
	return s, err
}

// model is that of --run, or one of random weights.
func (f *benchFlags) model(a *app) (*ebm.Model, error) {
	if f.run != "" {
		return a.load(f.in(f.run))
	}
	net := f.net.Network()
	if err := net.Validate(); err != nil {
		return nil, usageError{err}
	}
	return &ebm.Model{Name: "random", Network: net, Weights: energy.Init(net, rng.New(1)), Meta: ebm.PaperMeta()}, nil
}

// settings are the run's own, or the paper's, with what the flags change.
func (f *benchFlags) settings(n energy.Picture) (s train.Settings, err error) {
	if folder := assess.RunFolder(f.run); f.run != "" && folder != "" {
		s, err = train.ReadSettings(folder)
		s.Batch = f.batch
	} else {
		s, err = bench.Settings(n, f.batch)
	}
	if f.shards > 0 {
		s.Shards = f.shards
	}
	return s, err
}
