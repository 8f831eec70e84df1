package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm/export/onnximport"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
)

// fitFlags are the flags of fit.
type fitFlags struct {
	out            string
	epochs         float64
	resume, asJSON bool
	values         []string
	s              train.FitSettings // what the flags said
}

func newFit(a *app) *cobra.Command {
	var f fitFlags
	cmd := &cobra.Command{
		Use:   "fit MODEL.onnx --data X --out RUN",
		Short: "Train any ONNX model on examples with targets",
		Long: `fit trains an ONNX model and writes the weights back into it: RUN/model.onnx
has the weights of the last step, RUN/best.onnx those of the lowest loss on the
examples that are held out, each under their names, in their types, in a file
that is otherwise as it was. RUN also has the settings (fit.toml), metrics
(metrics.jsonl, tensorboard/) and checkpoints; a run that was stopped, or killed,
goes on with --resume and gives the same weights, bit for bit.

--data is an .npz with an array for each input and one called target, y or
labels; a table of numbers (.csv), whose last columns are the target; a folder of
pictures in folders by class; or a text (.txt), whose bytes are ids, each with the
next one as its target. --data-name with --data takes a data set of pictures.

Batch normalisation uses the statistics of the batch and renews its running ones,
and dropout drops: see docs/training-onnx.md, also on how to export a model for it.`,
		Example: `  ebm fit resnet18.onnx --data photos --epochs 3 --out runs/photos
  ebm fit regressor.onnx --data table.csv --loss mse --optimizer adamw --out runs/table
  ebm fit classifier.onnx --data x.npz --train 'fc.*' --learning-rate 1e-4 --out runs/head
  ebm fit vit.onnx --data photos --lora rank=8,alpha=16 --target '*attention*' --out runs/lora
  ebm fit --resume --out runs/photos`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%q, want one ONNX file", args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.s.Model.Path = args[0]
			}
			return f.fit(cmd.Context(), a, cmd.Flags())
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func (f *fitFlags) add(fs *pflag.FlagSet) {
	f.s = train.DefaultFit()
	fs.StringVar(&f.out, "out", "", "the run's folder")
	fs.BoolVar(&f.resume, "resume", false, "go on from the newest checkpoint in --out, or begin if there is none")
	fs.Float64Var(&f.epochs, "epochs", 0, "passes over the examples, in place of --steps")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	addValue(fs, &f.values)
	fitKnobs().add(fs, &f.s)
}

func words[S any](name, help string, field func(*S) *[]string) knob[S] {
	return newKnob(name, field, func(fs *pflag.FlagSet, p *[]string) { fs.StringSliceVar(p, name, *p, help) })
}

func reals[S any](name, help string, field func(*S) *[]float64) knob[S] {
	return newKnob(name, field, func(fs *pflag.FlagSet, p *[]float64) { fs.Float64SliceVar(p, name, *p, help) })
}

// stepKnobs are the settings of a training step of an ONNX model that are flags.
func stepKnobs() knobs[train.FitSettings] {
	type settings = train.FitSettings
	return knobs[settings]{
		word("loss", "what is minimised: cross-entropy, mse, bce, huber, or output (the mean of the output)",
			func(s *settings) *train.LossName { return &s.Loss.Name }),
		word("output", "the model's output that the loss is of (default: the first)", func(s *settings) *string { return &s.Loss.Output }),
		real("label-smoothing", "cross-entropy: the part of a target that is spread over all classes",
			func(s *settings) *float64 { return &s.Loss.Smoothing }),
		newKnob("class-weights", func(s *settings) *[]float32 { return &s.Loss.Weights }, func(fs *pflag.FlagSet, p *[]float32) {
			fs.Float32SliceVar(p, "class-weights", *p, "cross-entropy: a weight for each class, such as 1,2.5")
		}),
		newKnob("ignore-index", func(s *settings) *[]int { return &s.Loss.Ignore }, func(fs *pflag.FlagSet, p *[]int) {
			fs.IntSliceVar(p, "ignore-index", *p, "cross-entropy: classes that count for nothing, as all numbers do that are no class")
		}),
		number("class-axis", "cross-entropy: the axis of classes (default: the last, or the second of pictures [N C H W])",
			func(s *settings) *int { return &s.Loss.Axis }),
		real("huber-delta", "huber: where squares become straight lines (default 1)", func(s *settings) *float64 { return &s.Loss.Delta }),
		word("optimizer", "sgd, adam, adamw or lion", func(s *settings) *train.OptimiserName { return &s.Optimiser.Name }),
		real("momentum", "sgd's momentum", func(s *settings) *float64 { return &s.Optimiser.Momentum }),
		toggle("nesterov", "sgd: Nesterov's form of momentum", func(s *settings) *bool { return &s.Optimiser.Nesterov }),
		real("beta1", "decay of the first moment of adam, adamw and lion", func(s *settings) *float64 { return &s.Optimiser.Beta1 }),
		real("beta2", "decay of the second moment", func(s *settings) *float64 { return &s.Optimiser.Beta2 }),
		real("epsilon", "adam's ε", func(s *settings) *float64 { return &s.Optimiser.Epsilon }),
		real("weight-decay", "what an update takes away of a weight (default 0.01 for adamw, 0 for others)",
			func(s *settings) *float64 { return &s.Optimiser.WeightDecay }),
		real("ema", "decay of averaged weights of adam and adamw, 0 for none", func(s *settings) *float64 { return &s.Optimiser.EMA }),
		real("clip", "largest norm of a gradient over all weights, 0 for any", func(s *settings) *float64 { return &s.Optimiser.Clip }),
		number("accumulate", "batches whose mean gradient makes an update", func(s *settings) *int { return &s.Optimiser.Accumulate }),
		words("train", "initialisers to train, by name, where * stands for any text (default: all that the output depends on)",
			func(s *settings) *[]string { return &s.Model.Train }),
		words("freeze", "initialisers to leave as they are, by name, where * stands for any text",
			func(s *settings) *[]string { return &s.Model.Freeze }),
		word("lora", "train low-rank changes W + (α/r)·B·A of matrices and 1×1 convolutions alone, such as rank=8,alpha=16",
			func(s *settings) *string { return &s.Model.LoRA }),
		words("target", "with --lora: initialisers to change, by name, where * stands for any text (default: all that can be)",
			func(s *settings) *[]string { return &s.Model.Target }),
		word("mode", "batch normalisation and dropout: train, or inference, as in use", func(s *settings) *train.Mode { return &s.Model.Mode }),
		words("size", "fix a symbolic size of the model, such as T=64", func(s *settings) *[]string { return &s.Model.Sizes }),
	}
}

// fitKnobs is the table of settings that are flags of fit.
func fitKnobs() knobs[train.FitSettings] {
	type settings = train.FitSettings
	return append(knobs[settings]{
		word("data", "the examples: .npz, .csv, .txt or a folder of pictures by class", func(s *settings) *string { return &s.Data.Path }),
		word("data-name", "a data set of labelled pictures, such as cifar10, whose files --data has",
			func(s *settings) *string { return &s.Data.Name }),
		reals("mean", "means of the pictures' channels, which are taken away, such as 0.49,0.48,0.45",
			func(s *settings) *[]float64 { return &s.Data.Mean }),
		reals("deviation", "deviations of the pictures' channels, which are divided by",
			func(s *settings) *[]float64 { return &s.Data.Deviation }),
		toggle("flip", "mirror pictures at random", func(s *settings) *bool { return &s.Data.Flip }),
		real("validation", "share of the examples that is held out", func(s *settings) *float64 { return &s.Data.Validation }),
		word("validation-data", "examples that are held out, in place of a share", func(s *settings) *string { return &s.Data.ValidationPath }),
		number("steps", "updates to make in all", func(s *settings) *int { return &s.Steps }),
		number("batch", "examples in a batch", func(s *settings) *int { return &s.Batch }),
		number("shards", "parts of a batch whose gradients are computed side by side, where examples do not see each other (changes the last "+
			"bits)", func(s *settings) *int { return &s.Shards }),
		natural("seed", "seed of the order of the examples, of what is held out and of dropout", func(s *settings) *uint64 { return &s.Seed }),
		real("learning-rate", "learning rate at the start", func(s *settings) *float64 { return &s.Optimiser.LearningRate.Initial }),
		real("final-learning-rate", "learning rate at the end of a cosine schedule",
			func(s *settings) *float64 { return &s.Optimiser.LearningRate.Final }),
		word("schedule", "learning rate over the run: cosine, steps (a tenth after each sixth) or constant",
			func(s *settings) *train.Schedule { return &s.Optimiser.LearningRate.Schedule }),
		checkpointEvery(func(s *settings) *train.Interval { return &s.Output.CheckpointEvery }),
		span("mtbf", "mean time between failures of the run, such as 12h, for --checkpoint-every auto (default 24h)",
			func(s *settings) *time.Duration { return &s.Output.MTBF }),
		number("keep-checkpoints", "checkpoints to keep, 0 for all", func(s *settings) *int { return &s.Output.KeepCheckpoints }),
		number("log-every", "steps between lines of metrics", func(s *settings) *int { return &s.Output.LogEvery }),
		number("validate-every", "steps between measurements on what is held out (default: an epoch)",
			func(s *settings) *int { return &s.Output.ValidateEvery }),
	}, stepKnobs()...)
}

// settings puts together the defaults, or what an earlier run says, and what the
// flags change.
func (f *fitFlags) settings(flags *pflag.FlagSet) (s train.FitSettings, err error) {
	if f.out == "" {
		return s, usagef("want --out DIR, the folder of the run")
	}
	file := filepath.Join(f.out, train.FitConfigFile)
	if f.resume && isFile(file) {
		s, err = train.ReadFitSettings(file)
	} else {
		s, file = train.DefaultFit(), ""
	}
	if err != nil {
		return s, err
	}
	fitKnobs().overlay(flags, &s, &f.s)
	if f.s.Model.Path != "" {
		s.Model.Path = f.s.Model.Path
	}
	if s.Model.Path == "" {
		return s, usagef("want an ONNX file")
	}
	if s.Optimiser.Name != train.AdamWOptimiser && !flags.Changed("weight-decay") && file == "" {
		s.Optimiser.WeightDecay = 0
	}
	// A run is found again from any folder.
	for _, path := range []*string{&s.Model.Path, &s.Data.Path, &s.Data.ValidationPath} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return s, err
		}
	}
	if s.Data.Path == "" && s.Data.Name == "" {
		return s, usagef("want --data, the examples")
	}
	return s, fitKnobs().wrong(flags, file, s.Validate())
}

func (f *fitFlags) fit(ctx context.Context, a *app, flags *pflag.FlagSet) error {
	ranks, err := a.ranks()
	if err != nil {
		return err
	}
	s, err := f.settings(flags)
	if err != nil {
		return err
	}
	o := train.FitOptions{Options: train.Options{Dir: f.out, Resume: f.resume, Ranks: ranks, Log: a.log}}
	if o.Import, err = importOptions(s.Model.Sizes, f.values); err != nil {
		return err
	}
	if err := f.examples(ctx, a, &s, &o); err != nil {
		return err
	}
	if newest, err := train.Newest(f.out); err == nil && !f.resume {
		return fmt.Errorf("%s holds a run of %d steps already, want --resume to go on with it, or another --out", f.out, newest.Step)
	} else if err != nil && !errors.Is(err, train.ErrNoCheckpoint) {
		return err
	}
	rt, err := a.runtime(ctx)
	if err != nil {
		return err
	}
	a.log(fmt.Sprintf("training %s on %d examples, %d held out, batches of %d, %d steps", s.Model.Path, o.Train.Len(),
		heldCount(o.Held), s.Batch, s.Steps))
	o.Progress = a.progress()
	var r train.Fitted
	_, err = a.reported(rt, f.out, train.OutputSettings{ValidateEvery: s.Output.ValidateEvery}, func(hook train.Hook) (train.Result, error) {
		o.Hook = hook
		var err error
		r, err = train.Fit(ctx, rt, s, o)
		return r.Result, err
	})
	if err != nil {
		a.interrupted(err, r.Result, "fit", f.out)
		return fitKnobs().refused(err, "begin another run in another --out")
	}
	return f.print(a, r)
}

func heldCount(e train.Examples) int {
	if e == nil {
		return 0
	}
	return e.Len()
}

// examples reads what is trained on and what is held out, and enters in the settings
// what follows from them.
func (f *fitFlags) examples(ctx context.Context, a *app, s *train.FitSettings, o *train.FitOptions) error {
	fn, _, err := s.Model.Read(o.Import, false)
	if err != nil {
		return err
	}
	like, err := fn.Like(s.Loss, s.Batch)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Model.Path, err)
	}
	if like[train.TargetInput] == nil {
		return usagef("--loss %s has no target, want a loss of examples (training-step makes a step of it)", s.Loss.Name)
	}
	spec := dataset.ExamplesSpec{
		Path: s.Data.Path, Name: s.Data.Name, Like: like, Target: train.TargetInput, Mean: s.Data.Mean, Deviation: s.Data.Deviation, Log: a.log,
	}
	all, err := dataset.ReadExamples(ctx, spec)
	if err != nil {
		return err
	}
	s.Data.Hash, o.Train = all.Hash(), all
	switch {
	case s.Data.ValidationPath != "":
		spec.Path = s.Data.ValidationPath
		if s.Data.Name != "" {
			spec.Split = dataset.Test
		}
		held, err := dataset.ReadExamples(ctx, spec)
		if err != nil {
			return err
		}
		o.Held = held
	case s.Data.Validation > 0:
		trained, held := train.Split(all.Len(), s.Data.Validation, s.Seed)
		if len(held) > 0 {
			o.Train, o.Held = all.Choose(trained), all.Choose(held)
		}
	}
	epoch := max(o.Train.Len()/s.Batch, 1)
	if f.epochs > 0 {
		s.Steps = max(int(f.epochs*float64(epoch)), 1)
	}
	if s.Output.ValidateEvery == 0 {
		s.Output.ValidateEvery = epoch
	}
	return nil
}

// importOptions reads the flags --size and --value.
func importOptions(sizes, values []string) (o onnximport.Options, err error) {
	if o.Sizes, err = parseSizes(sizes); err != nil {
		return o, err
	}
	o.Values, err = parseValues(values)
	return o, err
}

func (f *fitFlags) print(a *app, r train.Fitted) error {
	path := filepath.Join(f.out, train.FitModelFile)
	if f.asJSON {
		result := trained(r.Result, a.traffic(map[string]any{"run": f.out, "checkpoint": r.Checkpoint, "path": path}))
		if r.Best != nil {
			result["best"] = r.Best
		}
		return a.printJSON(result)
	}
	text := fmt.Sprintf("%s\tstep %d", path, r.Step)
	if r.Made > 0 {
		text += fmt.Sprintf("\tloss %.5g", r.Loss)
	} else {
		text += "\tno step left; --steps with a larger number goes on"
	}
	if b := r.Best; b != nil {
		parts := []string{fmt.Sprintf("held out %.5g", b.Loss)}
		if b.Accuracy != nil {
			parts = append(parts, fmt.Sprintf("%.2f %% right", 100**b.Accuracy))
		}
		if b.R2 != nil {
			parts = append(parts, fmt.Sprintf("R² %.4f", *b.R2))
		}
		text += fmt.Sprintf("\tbest at step %d: %s", b.Step, strings.Join(parts, ", "))
	}
	a.printf("%s\n", text)
	return nil
}
