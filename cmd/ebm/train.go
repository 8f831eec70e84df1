package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/energy"
)

// trainFlags are the flags of train: where settings come from, and a flag for
// each of them.
type trainFlags struct {
	preset, config, out string
	resume              bool
	s                   train.Settings // what the flags said
}

func newTrain(a *app) *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:   "train (--preset NAME | --config FILE | --resume --out DIR)",
		Short: "Train an energy network by multiscale denoising score matching",
		Long: `train makes a run: a folder with its settings (config.toml), metrics
(metrics.jsonl, tensorboard/) and checkpoints. A run that was stopped, or
killed, goes on with --resume and gives the same weights, bit for bit.

Presets:
` + train.PresetHelp() + `
Flags change single settings of a preset or a config file.`,
		Example: `  ebm train --preset mnist --steps 300 --batch 128 --dim 16 --out runs/small
  ebm train --resume --out runs/small`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.settings(cmd.Flags())
			if err != nil {
				return err
			}
			return trainRun(cmd.Context(), a, s, f.out, f.resume)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func (f *trainFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.preset, "preset", "", "settings to begin with, by name (see above)")
	fs.StringVar(&f.config, "config", "", "settings to begin with, a file like a run's config.toml")
	fs.StringVar(&f.out, "out", "", "the run's folder (default runs/PRESET)")
	fs.BoolVar(&f.resume, "resume", false, "go on from the newest checkpoint in --out, or begin if there is none")
	for _, k := range trainKnobs() {
		k.add(fs, &f.s)
	}
}

// trainKnobs is the table of settings that are flags of train.
func trainKnobs() []knob {
	return []knob{
		word("data-name", "data set: mnist, fashion-mnist, stacked-mnist, cifar10, svhn, celeba or folder", func(s *train.Settings) *string { return &s.Data.Name }),
		word("data", "folder or file of the data (default: found by itself where it can be)", func(s *train.Settings) *string { return &s.Data.Dir }),
		number("size", "height and width of the pictures in pixels", func(s *train.Settings) *int { return &s.Data.Size }),
		number("channels", "channels of the pictures: 1 grey, 3 colour", func(s *train.Settings) *int { return &s.Net.Channels }),
		toggle("flip", "mirror pictures at random", func(s *train.Settings) *bool { return &s.Data.Flip }),
		number("steps", "updates to make in all", func(s *train.Settings) *int { return &s.Steps }),
		number("batch", "pictures in a batch, each with a noise level of its own", func(s *train.Settings) *int { return &s.Batch }),
		number("shards", "parts of a batch whose gradients are computed side by side (changes the last bits), 1 for none", func(s *train.Settings) *int { return &s.Shards }),
		word("net", "network: res6, res12, res18 or res34", func(s *train.Settings) *string { return &s.Net.Name }),
		number("dim", "channels after the network's first convolution", func(s *train.Settings) *int { return &s.Net.Dim }),
		word("head", "the network's head: quadratic (the paper's) or linear", func(s *train.Settings) *energy.Head { return &s.Net.Head }),
		word("activation", "elu (the paper's), relu, softplus, swish or tanh", func(s *train.Settings) *energy.Activation { return &s.Net.Activation }),
		natural("seed", "seed of the first weights, the order of the data and the noise", func(s *train.Settings) *uint64 { return &s.Seed }),
		real("sigma0", "σ₀, the noise level whose density the model approximates, in units of x", func(s *train.Settings) *float64 { return &s.Noise.Sigma0 }),
		real("sigma-min", "smallest noise level, in units of x", func(s *train.Settings) *float64 { return &s.Noise.Min }),
		real("sigma-max", "largest noise level, in units of x", func(s *train.Settings) *float64 { return &s.Noise.Max }),
		word("sigma-spacing", "noise levels: linear or geometric between the two", func(s *train.Settings) *mdsm.Spacing { return &s.Noise.Spacing }),
		word("weighting", "weight l(σ) of a noise level: inverse-variance (the paper's), inverse or uniform", func(s *train.Settings) *mdsm.Weighting { return &s.Noise.Weighting }),
		word("objective", "what is minimised: denoising (the paper's) or likelihood (chains in every update)", func(s *train.Settings) *train.Objective { return &s.Objective }),
		number("chain-steps", "likelihood: Langevin steps of a chain in every update", func(s *train.Settings) *int { return &s.Chains.Steps }),
		real("chain-step-size", "likelihood: ε of these steps", func(s *train.Settings) *float64 { return &s.Chains.StepSize }),
		real("chain-temperature", "likelihood: T of these steps", func(s *train.Settings) *float64 { return &s.Chains.Temperature }),
		real("data-noise", "likelihood: noise on the data, in units of x", func(s *train.Settings) *float64 { return &s.Chains.DataNoise }),
		real("regularise", "likelihood: weight of the squares of energies", func(s *train.Settings) *float64 { return &s.Chains.Regularise }),
		real("learning-rate", "Adam's learning rate at the start", func(s *train.Settings) *float64 { return &s.Optimiser.LearningRate.Initial }),
		real("final-learning-rate", "learning rate at the end of a cosine schedule", func(s *train.Settings) *float64 { return &s.Optimiser.LearningRate.Final }),
		word("schedule", "learning rate over the run: cosine, steps (a tenth after each sixth) or constant", func(s *train.Settings) *train.Schedule { return &s.Optimiser.LearningRate.Schedule }),
		real("beta1", "Adam's decay of the first moment", func(s *train.Settings) *float64 { return &s.Optimiser.Beta1 }),
		real("beta2", "Adam's decay of the second moment", func(s *train.Settings) *float64 { return &s.Optimiser.Beta2 }),
		real("epsilon", "Adam's ε", func(s *train.Settings) *float64 { return &s.Optimiser.Epsilon }),
		real("ema", "decay of averaged weights, 0 for none", func(s *train.Settings) *float64 { return &s.Optimiser.EMA }),
		word("start", "weights to begin with instead of random ones: a run, a file or a shipped model", func(s *train.Settings) *string { return &s.Start }),
		number("checkpoint-every", "steps between checkpoints", func(s *train.Settings) *int { return &s.Output.CheckpointEvery }),
		number("keep-checkpoints", "checkpoints to keep, 0 for all", func(s *train.Settings) *int { return &s.Output.KeepCheckpoints }),
		number("log-every", "steps between lines of metrics", func(s *train.Settings) *int { return &s.Output.LogEvery }),
	}
}

// settings puts together what a preset, a file or an earlier run says and
// what the flags change.
func (f *trainFlags) settings(flags *pflag.FlagSet) (train.Settings, error) {
	var s train.Settings
	var err error
	switch {
	case f.preset != "" && f.config != "":
		return s, usagef("--preset and --config exclude each other")
	case f.preset != "":
		if s, err = train.Preset(f.preset); err != nil {
			err = usageError{err}
		}
		if f.out == "" {
			f.out = filepath.Join("runs", f.preset)
		}
	case f.config != "":
		s, err = train.ReadSettings(f.config)
	case f.resume && f.out != "":
		s, err = train.ReadSettings(f.out)
	default:
		return s, usagef("want --preset NAME, --config FILE, or --resume with --out DIR")
	}
	if err != nil {
		return s, err
	}
	if f.out == "" {
		return s, usagef("want --out DIR, the folder of the run")
	}
	for _, k := range trainKnobs() {
		if flags.Changed(k.name) {
			k.copy(&s, &f.s)
		}
	}
	return s, nil
}

// trainRun trains in a run's folder and prints where it ended.
func trainRun(ctx context.Context, a *app, s train.Settings, out string, resume bool) error {
	if err := s.Validate(); err != nil {
		return usageError{err}
	}
	if !resume {
		if _, err := os.Stat(filepath.Join(out, "config.toml")); err == nil {
			return fmt.Errorf("%s holds a run already: go on with --resume, or choose another --out", out)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	rt, err := a.runtime(ctx)
	if err != nil {
		return err
	}
	data, err := loadData(ctx, a, s, dataset.Train)
	if err != nil {
		return err
	}
	var first energy.Weights
	if s.Start != "" {
		m, err := ebm.Load(s.Start)
		if err != nil {
			return err
		}
		first = m.Weights
	}
	a.log(fmt.Sprintf("training %v on %d pictures of %s, batches of %d, %d steps", s.Network(), data.Len(), data.Name, s.Batch, s.Steps))
	r, err := train.Train(ctx, rt, s, data, train.Options{Dir: out, Resume: resume, Start: first, Progress: a.progress()})
	if err != nil {
		if errors.Is(err, context.Canceled) && r.Checkpoint != "" {
			a.endProgress()
			fmt.Fprintf(a.stderr, "stopped at step %d; go on with: ebm train --resume --out %s\n", r.Step, out)
		}
		return err
	}
	a.printf("%s\tstep %d\tloss %.5g\n", r.Checkpoint, r.Step, r.Loss)
	return nil
}

// loadData loads the pictures that settings name.
func loadData(ctx context.Context, a *app, s train.Settings, split dataset.Split) (*dataset.Set, error) {
	return dataset.Load(ctx, dataset.Spec{
		Name: s.Data.Name, Dir: s.Data.Dir, Split: split, Size: s.Data.Size, Seed: s.Seed, Log: a.log,
	})
}
