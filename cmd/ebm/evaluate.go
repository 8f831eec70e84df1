package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/evaluate/sets"
	"ebm/models/inception"
	"ebm/runtime"
)

// evaluateFlags are the flags of evaluate.
type evaluateFlags struct {
	samples, reference string
	data               string
	limit              int
	metrics            []string

	features   string
	inception  string
	onnx       string
	output     string
	logits     string
	inputRange string
	size       int
	preprocess string

	subsets, subsetSize, splits int
	seed                        uint32
	unbiased, extrapolate       bool
	bootstrap                   int
	bootstrapFID                bool

	cache, writeFeatures, writeStatistics string
	asJSON                                bool

	run runFlags // of evaluate RUN
}

func (f *evaluateFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.samples, "samples", "", "what to evaluate: a run's folder, a folder of PNG or JPEG files, .npz or .npy of pictures or features, a data set (cifar10:test), or .npz statistics")
	fs.StringVar(&f.reference, "reference", "", "what to compare it with, named in the same ways")
	fs.StringVar(&f.data, "data", "", "folder of a named data set's files, for those that are not found by themselves")
	fs.IntVar(&f.limit, "limit", 0, "take the first N pictures of each side (default all); of a RUN, compare with N training pictures")
	fs.StringSliceVar(&f.metrics, "metrics", nil, "some of fid, is, kid, pr (precision, recall, density, coverage) (default those that can be had)")
	fs.StringVar(&f.features, "features", "", "what sees the pictures: inception, classifier (the shipped one of digits, classifier:fashion-mnist that of clothes) or pixels (default inception where there are weights, else the classifier for grey pictures of its sizes)")
	fs.StringVar(&f.inception, "inception", "", "weights of the FID Inception network (default: what EBM_INCEPTION names, or the user cache)")
	fs.StringVar(&f.onnx, "features-onnx", "", "an ONNX file as the feature network instead, from pictures [N C H W]")
	fs.StringVar(&f.output, "features-output", "", "with --features-onnx, the output that holds features (default the only one)")
	fs.StringVar(&f.logits, "logits-output", "", "with --features-onnx, the output that holds logits, for the score")
	fs.StringVar(&f.inputRange, "features-range", string(features.RangeUnit), "with --features-onnx, the values that it takes: 0..1, -1..1, 0..255 or imagenet")
	fs.IntVar(&f.size, "features-size", 0, "with --features-onnx, the side of its input where the file leaves it open (default that of the pictures)")
	fs.StringVar(&f.preprocess, "preprocess", string(inception.PyTorchFID), "how pictures are resized: pytorch-fid, tf (as torch-fidelity) or clean (as clean-fid)")
	fs.IntVar(&f.subsets, "kid-subsets", 100, "subsets of the kernel distance")
	fs.IntVar(&f.subsetSize, "kid-subset-size", 0, "samples in each (default 1000, or half of them where there are fewer)")
	fs.IntVar(&f.splits, "is-splits", 10, "splits of the Inception score")
	fs.Uint32Var(&f.seed, "seed", evaluate.DefaultSeed, "seed of subsets and splits, drawn in the order of torch-fidelity")
	fs.BoolVar(&f.unbiased, "unbiased", false, "also the Inception score of all samples at once with its bias taken off")
	fs.BoolVar(&f.extrapolate, "extrapolate", false, "also distance and score extrapolated to unlimited samples (FID∞, IS∞)")
	fs.IntVar(&f.bootstrap, "bootstrap", 0, "resample N times for 95 % intervals of the score, and of the distance where features are few")
	fs.BoolVar(&f.bootstrapFID, "bootstrap-fid", false, "with --bootstrap, resample the distance however many features there are")
	fs.StringVar(&f.cache, "cache", "", "folder of computed features, so that a killed run goes on and nothing is computed twice")
	fs.StringVar(&f.writeFeatures, "write-features", "", "also write the samples' features to this .npz file")
	fs.StringVar(&f.writeStatistics, "write-statistics", "", "also write the mean and covariance of the samples' features to this .npz file, which pytorch-fid reads")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
}

func newEvaluate(a *app) *cobra.Command {
	var f evaluateFlags
	cmd := &cobra.Command{
		Use:   "evaluate (RUN | --samples X --reference Y)",
		Short: "FID, Inception score, KID, precision and recall of samples",
		Long: `evaluate compares samples with real pictures through the features of a network:
the FID Inception network, whose weights you bring (--inception), any ONNX file
that takes pictures (--features-onnx), or the shipped classifier of digits. The
numbers are those of pytorch-fid and torch-fidelity; docs/evaluation.md has the
details. Warnings about too few samples and the like go to standard error.`,
		Example: `  ebm evaluate --samples runs/cifar --reference cifar10:train --data cifar --inception pt_inception-2015-12-05-6726825d.pth
  ebm evaluate --samples generated/ --reference real/ --metrics fid --cache features
  ebm evaluate --samples samples.npz --reference mnist:test --features classifier
  ebm evaluate --samples samples.npz --reference mnist:test --features-onnx classifier.onnx --features-output hidden --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && f.samples+f.reference != "":
				return usagef("%s is a run, --samples and --reference name two sides, want one or the other", args[0])
			case len(args) == 1:
				return f.evaluateRun(cmd.Context(), a, args[0])
			case f.samples == "":
				return usagef("want RUN, or --samples X, and --reference Y to compare them with")
			}
			return f.evaluate(cmd.Context(), a)
		},
	}
	f.add(cmd.Flags())
	group(cmd.Flags(), "Of a RUN alone", f.run.add)
	return cmd
}

// check finds wrong usage.
func (f *evaluateFlags) check() error {
	for _, m := range f.metrics {
		if !slices.Contains(sets.Names(), m) {
			return usagef("--metrics %s, want some of %v", m, sets.Names())
		}
	}
	if !slices.Contains(inception.Conventions(), inception.Convention(f.preprocess)) {
		return usagef("--preprocess %s, want one of %v", f.preprocess, inception.Conventions())
	}
	if !slices.Contains(features.InputRanges(), features.InputRange(f.inputRange)) {
		return usagef("--features-range %s, want one of %v", f.inputRange, features.InputRanges())
	}
	if f.limit < 0 || f.subsets < 1 || f.subsetSize < 0 || f.splits < 1 || f.size < 0 {
		return usagef("--limit %d --kid-subsets %d --kid-subset-size %d --is-splits %d --features-size %d, want positive numbers", f.limit, f.subsets, f.subsetSize, f.splits, f.size)
	}
	if f.bootstrap != 0 && f.bootstrap < 20 || f.bootstrapFID && f.bootstrap == 0 {
		return usagef("--bootstrap %d, want 20 resamples or more for an interval", f.bootstrap)
	}
	return f.checkNetwork()
}

func (f *evaluateFlags) evaluate(ctx context.Context, a *app) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	o := sets.Options{
		Metrics: f.metrics, Seed: f.seed, Subsets: f.subsets, SubsetSize: f.subsetSize, Splits: f.splits,
		Unbiased: f.unbiased, Extrapolate: f.extrapolate, Bootstrap: f.bootstrap, BootstrapFrechet: f.bootstrapFID,
		CacheDir: f.cache, WriteFeatures: f.writeFeatures, WriteStatistics: f.writeStatistics,
		Progress: a.progress(), Log: a.log,
	}
	open := sets.SourceOptions{Data: f.data, Limit: f.limit, Log: a.log}
	if o.Samples, err = sets.Open(ctx, f.samples, open); err != nil {
		return err
	}
	defer o.Samples.Close()
	sources := []*sets.Source{o.Samples}
	if f.reference != "" {
		open.Side = o.Samples.Height
		if o.Reference, err = sets.Open(ctx, f.reference, open); err != nil {
			return err
		}
		defer o.Reference.Close()
		sources = append(sources, o.Reference)
	}
	var rt *runtime.Runtime
	for _, s := range sources {
		if s.Kind == sets.Pictures && o.Network == nil {
			if o.Network, err = f.networkFor(a, sources); err != nil {
				return err
			}
		}
		// Kernels and neighbourhoods of features are products of matrices.
		if s.Kind != sets.Statistics {
			if rt, err = a.runtime(ctx); err != nil {
				return err
			}
		}
	}
	result, err := sets.Run(ctx, rt, o)
	if err != nil {
		return err
	}
	for _, w := range result.AllWarnings() {
		a.log("warning: " + w)
	}
	if f.asJSON {
		return a.printJSON(result)
	}
	a.endProgress()
	return result.WriteText(a.stdout)
}
