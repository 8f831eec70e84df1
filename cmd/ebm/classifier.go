package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

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
	d := train.DefaultClassifier("mnist")
	fs.StringVar(&f.out, "out", "", "the run's folder")
	fs.BoolVar(&f.resume, "resume", false, "go on from the newest checkpoint in --out, or begin if there is none")
	fs.BoolVar(&f.float16, "float16", false, "round the weights to float16 at the end, for half the size, before they are tested")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	fs.StringVar(&f.s.Data.Name, "data-name", d.Data.Name, "data set of labelled grey pictures: mnist or fashion-mnist")
	fs.StringVar(&f.s.Data.Dir, "data", "", "folder of the data (default: found by itself)")
	fs.IntVar(&f.s.Steps, "steps", d.Steps, "updates to make in all")
	fs.IntVar(&f.s.Batch, "batch", d.Batch, "pictures in a batch")
	fs.IntVar(&f.s.Shift, "shift", d.Shift, "the most that a picture is moved along each axis, at random, in pixels of its 32")
	fs.BoolVar(&f.s.Data.Flip, "flip", false, "mirror pictures at random (default: for fashion-mnist)")
	fs.IntVar(&f.s.Net.Dim, "dim", d.Net.Dim, "channels after the network's first convolution")
	fs.IntVar(&f.s.Net.Features, "features", d.Net.Features, "features of a picture")
	fs.Uint64Var(&f.s.Seed, "seed", d.Seed, "seed of the first weights, the order of the data and the shifts")
	fs.Float64Var(&f.s.Optimiser.LearningRate.Initial, "learning-rate", d.Optimiser.LearningRate.Initial, "Adam's learning rate at the start; it falls as a cosine")
	fs.Float64Var(&f.s.Optimiser.EMA, "ema", d.Optimiser.EMA, "decay of averaged weights, 0 for none")
	fs.IntVar(&f.s.Output.CheckpointEvery, "checkpoint-every", d.Output.CheckpointEvery, "steps between checkpoints")
}

// settings puts together the defaults of the data set, or what an earlier run
// says, and what the flags change.
func (f *classifierFlags) settings(flags *pflag.FlagSet) (train.ClassifierSettings, error) {
	if f.out == "" {
		return f.s, usagef("want --out DIR, the folder of the run")
	}
	s := train.DefaultClassifier(f.s.Data.Name)
	if f.resume && isFile(filepath.Join(f.out, "classifier.toml")) {
		had, err := train.ReadClassifierSettings(f.out)
		if err != nil {
			return f.s, err
		}
		s = had
	}
	for name, take := range map[string]func(){
		"data-name":        func() { s.Data.Name = f.s.Data.Name },
		"data":             func() { s.Data.Dir = f.s.Data.Dir },
		"steps":            func() { s.Steps = f.s.Steps },
		"batch":            func() { s.Batch = f.s.Batch },
		"shift":            func() { s.Shift = f.s.Shift },
		"flip":             func() { s.Data.Flip = f.s.Data.Flip },
		"dim":              func() { s.Net.Dim = f.s.Net.Dim },
		"features":         func() { s.Net.Features = f.s.Net.Features },
		"seed":             func() { s.Seed = f.s.Seed },
		"learning-rate":    func() { s.Optimiser.LearningRate.Initial = f.s.Optimiser.LearningRate.Initial },
		"ema":              func() { s.Optimiser.EMA = f.s.Optimiser.EMA },
		"checkpoint-every": func() { s.Output.CheckpointEvery = f.s.Output.CheckpointEvery },
	} {
		if flags.Changed(name) {
			take()
		}
	}
	if s.Data.Name != "mnist" && s.Data.Name != "fashion-mnist" {
		return s, usagef("--data-name %q, want labelled grey pictures, mnist or fashion-mnist", s.Data.Name)
	}
	if err := s.Validate(); err != nil {
		return s, usageError{err}
	}
	return s, nil
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
	r, err := train.TrainClassifier(ctx, rt, s, data, train.Options{Dir: f.out, Resume: f.resume, Progress: a.progress()})
	if err != nil {
		if errors.Is(err, context.Canceled) && r.Checkpoint != "" {
			a.endProgress()
			fmt.Fprintf(a.stderr, "stopped at step %d; go on with: ebm classifier --resume --out %s\n", r.Step, f.out)
		}
		return err
	}
	set, err := train.ClassifierWeights(train.Checkpoint{Step: r.Step, Dir: r.Checkpoint}, s)
	if err != nil {
		return err
	}
	if f.float16 {
		if set, err = rounded(set); err != nil {
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
	if f.asJSON {
		result := map[string]any{
			"path": path, "data": s.Data.Name, "step": r.Step, "accuracy": accuracy, "pictures": pictures,
			"weights_sha256": set.Hash(), "seconds": r.Seconds,
		}
		if r.Made > 0 { // without a step there is no loss
			result["loss"] = r.Loss
		}
		return a.printJSON(result)
	}
	a.printf("%s\tstep %d\t%.2f %% of %d test pictures right\n", path, r.Step, 100*accuracy, pictures)
	return nil
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
func (f *classifierFlags) load(ctx context.Context, a *app, s train.ClassifierSettings, split dataset.Split, size int) (*dataset.Set, error) {
	return dataset.Load(ctx, dataset.Spec{Name: s.Data.Name, Dir: s.Data.Dir, Split: split, Size: size, Log: a.log})
}
