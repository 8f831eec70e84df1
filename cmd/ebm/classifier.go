package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/classifier"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// classifierFile is what a classifier's run leaves in its folder.
const classifierFile = "classifier.safetensors"

type classifierFlags struct {
	out             string
	resume, float16 bool
	asJSON          bool
	s               train.ClassifierSettings // what the flags said
}

func newClassifier(a *app) *cobra.Command {
	var f classifierFlags
	cmd := &cobra.Command{
		Use:   "classifier --data-name NAME --out DIR",
		Short: "Train the classifier of digits that counts modes and measures MNIST runs",
		Long: `classifier trains the project's small classifier on labelled grey pictures and
tests it on those held back. It makes a run: a folder with its settings
(classifier.toml), metrics, checkpoints, and at the end classifier.safetensors,
the averaged weights. A run that was stopped, or killed, goes on with --resume
and gives the same weights, bit for bit.

The shipped classifiers were made by this command; evaluation uses that of
MNIST unless it is told otherwise.`,
		Example: `  ebm classifier --data-name mnist --out runs/classifier
  ebm classifier --resume --out runs/classifier
  ebm classifier --data-name fashion-mnist --steps 12000 --out runs/clothes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.settings(cmd.Flags())
			if err != nil {
				return err
			}
			return f.train(cmd.Context(), a, s)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func (f *classifierFlags) add(fs *pflag.FlagSet) {
	f.s = train.DefaultClassifier("mnist")
	fs.StringVar(&f.out, "out", "", "the run's folder")
	fs.BoolVar(&f.resume, "resume", false, "go on from the newest checkpoint in --out, or begin if there is none")
	fs.BoolVar(&f.float16, "float16", false, "round the weights to float16 at the end, for half the size, before they are tested")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	classifierKnobs().add(fs, &f.s)
}

// classifierKnobs is the table of settings that are flags of classifier.
func classifierKnobs() knobs[train.ClassifierSettings] {
	type settings = train.ClassifierSettings
	return knobs[settings]{
		word("data-name", "data set of labelled grey pictures: mnist or fashion-mnist", func(s *settings) *string { return &s.Data.Name }),
		word("data", "folder of the data (default: found by itself)", func(s *settings) *string { return &s.Data.Dir }),
		number("steps", "updates to make in all", func(s *settings) *int { return &s.Steps }),
		number("batch", "pictures in a batch", func(s *settings) *int { return &s.Batch }),
		number("shift", "the most that a picture is moved along each axis, at random, in pixels of its 32",
			func(s *settings) *int { return &s.Shift }),
		toggle("flip", "mirror pictures at random (default: for fashion-mnist)", func(s *settings) *bool { return &s.Data.Flip }),
		number("dim", "channels after the network's first convolution", func(s *settings) *int { return &s.Net.Dim }),
		number("features", "features of a picture", func(s *settings) *int { return &s.Net.Features }),
		natural("seed", "seed of the first weights, the order of the data and the shifts", func(s *settings) *uint64 { return &s.Seed }),
		real("learning-rate", "Adam's learning rate at the start; it falls as a cosine",
			func(s *settings) *float64 { return &s.Optimiser.LearningRate.Initial }),
		real("ema", "decay of averaged weights, 0 for none", func(s *settings) *float64 { return &s.Optimiser.EMA }),
		checkpointEvery(func(s *settings) *train.Interval { return &s.Output.CheckpointEvery }),
		span("mtbf", "mean time between failures of the run, such as 12h, for --checkpoint-every auto (default 24h)",
			func(s *settings) *time.Duration { return &s.Output.MTBF }),
	}
}

// settings puts together the defaults of the data set, or what an earlier run
// says, and what the flags change.
func (f *classifierFlags) settings(flags *pflag.FlagSet) (s train.ClassifierSettings, err error) {
	if f.out == "" {
		return s, usagef("want --out DIR, the folder of the run")
	}
	if flags.Changed("data") {
		if f.s.Data.Dir, err = filepath.Abs(f.s.Data.Dir); err != nil {
			return s, err
		}
	}
	file := filepath.Join(f.out, train.ClassifierConfigFile)
	if f.resume && isFile(file) {
		s, err = train.ReadClassifierSettings(file)
	} else {
		s, file = train.DefaultClassifier(f.s.Data.Name), ""
	}
	if err != nil {
		return s, err
	}
	classifierKnobs().overlay(flags, &s, &f.s)
	if s.Data.Name != "mnist" && s.Data.Name != "fashion-mnist" {
		return s, usagef("--data-name %q, want labelled grey pictures, mnist or fashion-mnist", s.Data.Name)
	}
	return s, classifierKnobs().wrong(flags, file, s.Validate())
}

// train trains, leaves the weights and prints how good they are.
func (f *classifierFlags) train(ctx context.Context, a *app, s train.ClassifierSettings) error {
	rt, err := a.runtime(ctx)
	if err != nil {
		return err
	}
	data, err := f.load(ctx, a, s, dataset.Train, 2*classifier.Size)
	if err != nil {
		return err
	}
	a.log(fmt.Sprintf("training %v on %d pictures of %s, batches of %d, %d steps", s.Network(), data.Len(), data.Name, s.Batch, s.Steps))
	r, err := train.TrainClassifier(ctx, rt, s, data, train.Options{Dir: f.out, Resume: f.resume, Progress: a.progress(), Log: a.log})
	if err != nil {
		a.interrupted(err, r, "classifier", f.out)
		return classifierKnobs().refused(err, "begin another run in another --out")
	}
	set, err := train.ClassifierWeights(train.Checkpoint{Step: r.Step, Dir: r.Checkpoint}, s)
	if err != nil {
		return err
	}
	if f.float16 {
		if set, err = rounded(a, set); err != nil {
			return err
		}
	}
	path := filepath.Join(f.out, classifierFile)
	if err := weights.Save(path, set); err != nil {
		return err
	}
	accuracy, pictures, err := f.test(ctx, a, s, set)
	if err != nil {
		return err
	}
	result := trained(r, map[string]any{
		"path": path, "data": s.Data.Name, "accuracy": accuracy, "pictures": pictures, "weights_sha256": set.Hash(),
	})
	return a.answer(f.asJSON, result, "%s\tstep %d\t%.2f %% of %d test pictures right\n", path, r.Step, 100*accuracy, pictures)
}

// test returns the share of the test pictures that weights classify rightly,
// and the number of those pictures.
func (f *classifierFlags) test(ctx context.Context, a *app, s train.ClassifierSettings, set *weights.Set) (float64, int, error) {
	data, err := f.load(ctx, a, s, dataset.Test, classifier.Size)
	if err != nil {
		return 0, 0, err
	}
	rt, err := a.runtime(ctx)
	if err != nil {
		return 0, 0, err
	}
	c, err := features.NewClassifier(rt, features.ClassifierOptions{Weights: set, Data: s.Data.Name, Channels: 1, Size: classifier.Size})
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	stage := a.progress().Stage("classify", int64(data.Len()), "pictures")
	defer stage.Done()
	out, err := c.Features(ctx, tensor.Of(data.Pixels, data.Len(), 1, classifier.Size, classifier.Size), stage)
	if err != nil {
		return 0, 0, err
	}
	accuracy, err := evaluate.Accuracy(out.Classes, data.Labels)
	return accuracy, data.Len(), err
}

// load loads labelled grey pictures of the given size.
func (f *classifierFlags) load(ctx context.Context, a *app, s train.ClassifierSettings, split dataset.Split,
	size int) (*dataset.Set, error) {
	return dataset.Load(ctx, dataset.Spec{Name: s.Data.Name, Dir: s.Data.Dir, Split: split, Size: size, Log: a.log})
}
