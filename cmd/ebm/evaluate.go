package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm/cmd/internal/assess"
	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/evaluate/sets"
	"ebm/mdsm/dataset"
	"ebm/models/inception"
	"ebm/models/zoo"
)

// evaluateFlags are the flags of evaluate.
type evaluateFlags struct {
	sets assess.SetsOptions // of two sides
	run  assess.Options     // of a RUN
	both bothFlags

	metrics sets.Options
	partFlags
	times  string
	asJSON bool
}

// bothFlags are those of a RUN and of two sides that options have in another
// form.
type bothFlags struct {
	data       string
	limit      int
	features   string // a network by name
	inception  string
	onnx       features.ONNXOptions
	inputRange string
	preprocess string
	recipe     string
	which      checkpointFlags
	foreign    foreignFlags
	parts      []string
	selects    bool
	selecting  assess.Sampling
}

// The networks that --features names. An ONNX file has a flag of its own.
const (
	byInception  = "inception"
	byClassifier = "classifier"
	byPixels     = "pixels"
)

// runParts returns the names of the parts of an evaluation of a run.
func runParts() []string { return texts(assess.Parts()) }

func (f *evaluateFlags) addSides(fs *pflag.FlagSet) {
	fs.StringVar(&f.sets.Samples, "samples", "", "what to evaluate: a run's folder, a folder, .zip or .tar of pictures, .npz, .npy or .pt of "+
		"pictures or features, a data set (cifar10:test), or .npz statistics")
	fs.StringVar(&f.sets.Range, "samples-range", "0..1", "what floats of the samples mean for black and white: 0..1, -1..1 or 0..255")
	fs.StringVar(&f.sets.Reference, "reference", "", "what to compare it with, named in the same ways")
	fs.StringVar(&f.metrics.WriteFeatures, "write-features", "", "also write the samples' features to this .npz file")
	fs.StringVar(&f.metrics.WriteStatistics, "write-statistics", "",
		"also write the mean and covariance of the samples' features to this .npz file, which pytorch-fid reads")
	fs.StringVar(&f.metrics.WriteSums, "write-sums", "", "only write mean and scatter of the features of a part (--part) of the samples to "+
		"this .npz file, which ebm merge joins to statistics")
	fs.StringVar(&f.times, "times", "", "also write what was computed, and how long it took, to this .json file")
	f.partFlags.add(fs, "folder of features (--cache)")
}

func (f *evaluateFlags) addRun(fs *pflag.FlagSet) {
	o, b := &f.run, &f.both
	fs.StringVar(&o.Dir, "out", "", "the folder of the report (default the run's own)")
	b.which.add(fs)
	b.foreign.add(fs)
	group(fs, ofForeign, func(fs *pflag.FlagSet) {
		fs.Float64Var(&o.Sigma0, "sigma0", 0, "σ₀ of the model (default: what it says)")
	})
	fs.StringSliceVar(&b.parts, "parts", nil, "some of "+strings.Join(runParts(),
		", ")+" (default all that can be had); samples are drawn where one needs them")
	fs.StringVar(&o.DataName, "data-name", "", "the data set it was trained on, where that is not known")
	fs.StringSliceVar(&o.Against, "against", nil, "other pictures that the energy is to tell apart, as SET, SET:train or SET=FOLDER "+
		"(default fashion-mnist for mnist, svhn for cifar10, and the other way round)")
	fs.IntVar(&o.Count, "count", 256, "samples to draw where there are none; few samples bias every number, see the warnings")
	fs.IntVar(&o.Steps, "steps", 2700, "Langevin steps of those samples")
	fs.IntVar(&o.Pictures, "pictures", 2000, "pictures of each set whose energies are measured")
	fs.IntVar(&o.Neighbours, "neighbours", 10, "nearest training pictures shown for a sample")
	fs.BoolVar(&b.selects, "select", false, "first draw samples of every checkpoint, mark the best one (checkpoints/best.json), export it "+
		"into model/ and evaluate it")
	fs.IntVar(&b.selecting.Count, "select-count", 1000, "with --select, samples of each checkpoint")
	fs.IntVar(&b.selecting.Steps, "select-steps", 2700, "with --select, Langevin steps of those samples")
}

func (f *evaluateFlags) addNetwork(fs *pflag.FlagSet) {
	b := &f.both
	fs.StringVar(&b.features, "features", "", "what sees the pictures: inception, classifier (the shipped one of digits, "+
		"classifier:fashion-mnist that of clothes) or pixels (default inception where there are weights, else the classifier for grey "+
		"pictures of its sizes)")
	fs.StringVar(&b.inception, "inception", "", "weights of the FID Inception network (default: what EBM_INCEPTION names, or the user cache)")
	fs.StringVar(&b.onnx.Path, "features-onnx", "", "an ONNX file as the feature network instead, from pictures [N C H W]")
	fs.StringVar(&b.onnx.Output, "features-output", "", "with --features-onnx, the output that holds features (default the only one)")
	fs.StringVar(&b.onnx.Logits, "logits-output", "", "with --features-onnx, the output that holds logits, for the score")
	fs.StringVar(&b.inputRange, "features-range", string(features.RangeUnit),
		"with --features-onnx, the values that it takes: 0..1, -1..1, 0..255, imagenet or clip (those less a mean colour)")
	fs.IntVar(&b.onnx.Size, "features-size", 0, "with --features-onnx, the side of its input where the file leaves it open (default that "+
		"of the pictures)")
	fs.StringVar(&b.preprocess, "preprocess", string(inception.PyTorchFID),
		"how pictures are resized: pytorch-fid, tf (as torch-fidelity), clean (as clean-fid) or pillow (rounding to bytes)")
	fs.StringVar(&b.recipe, "features-recipe", "", "features as others take them: what is done to pictures before --features-onnx ("+
		strings.Join(recipes(false), ", ")+"), or another layer of Inception ("+strings.Join(recipes(true), ", ")+")")
	fs.StringVar(&f.metrics.CacheDir, "cache", "", "folder of computed features, so that a killed run goes on and nothing is computed twice")
}

// recipes returns the names of the recipes of Inception's layers, or of ONNX files.
func recipes(ofLayers bool) (names []string) {
	for _, r := range features.Recipes() {
		if (r.Layer != "") == ofLayers {
			names = append(names, r.Name)
		}
	}
	return names
}

func (f *evaluateFlags) addMetrics(fs *pflag.FlagSet) {
	m := &f.metrics
	fs.StringSliceVar(&m.Metrics, "metrics", nil, "some of fid, is, kid, pr (precision, recall, density, coverage), mifid (with a penalty of "+
		"memorized samples), vendi (diversity of the samples), cmmd, classes (distances of each class) and balance (how often a classifier "+
		"finds each class) (default those of the first four that can be had)")
	fs.IntVar(&m.Subsets, "kid-subsets", 100, "subsets of the kernel distance")
	fs.IntVar(&m.SubsetSize, "kid-subset-size", 0, "samples in each (default 1000, or half of them where there are fewer)")
	fs.Float64Var(&m.KernelSigma, "kid-sigma", 0, "a Gaussian kernel of this width for the kernel distance, as torch-fidelity's rbf (default "+
		"the cubic kernel)")
	fs.IntVar(&m.Splits, "is-splits", 10, "splits of the Inception score")
	fs.Uint32Var(&m.Seed, "seed", evaluate.DefaultSeed, "seed of subsets and splits, drawn in the order of torch-fidelity")
	fs.BoolVar(&m.Unbiased, "unbiased", false, "also the Inception score of all samples at once with its bias taken off")
	fs.BoolVar(&m.Extrapolate, "extrapolate", false, "also distance and score extrapolated to unlimited samples (FID∞, IS∞)")
	fs.IntVar(&m.Bootstrap, "bootstrap", 0, "resample N times for 95 % intervals of the score, and of the distance where features are few")
	fs.BoolVar(&m.BootstrapFrechet, "bootstrap-fid", false, "with --bootstrap, resample the distance however many features there are")
}

func newEvaluate(a *app) *cobra.Command {
	var f evaluateFlags
	cmd := &cobra.Command{
		Use:   "evaluate (RUN | --samples X --reference Y)",
		Short: "FID, Inception score, KID, precision and recall of samples",
		Long: `evaluate RUN measures a run: its samples, drawn where there are none, against the
training pictures, and what its energy tells apart. It writes a report.

evaluate --samples X --reference Y compares two sets of pictures, features or
statistics, and prints the numbers.

Both see pictures through the features of a network: the FID Inception network,
whose weights you bring (--inception), any ONNX file that takes pictures
(--features-onnx), or the shipped classifier of digits. The numbers are those of
pytorch-fid and torch-fidelity; docs/evaluation.md has the details. Warnings about
too few samples and the like go to standard error.`,
		Example: `  ebm evaluate runs/mnist
  ebm evaluate mnist16 --parts noise,outliers --out report
  ebm evaluate --samples runs/cifar --reference cifar10:train --data cifar --inception pt_inception-2015-12-05-6726825d.pth
  ebm evaluate --samples generated/ --reference real/ --metrics fid --cache features
  ebm evaluate --samples samples.npz --reference mnist:test --features classifier
  ebm evaluate --samples samples.npz --reference mnist:test --features-onnx classifier.onnx --features-output hidden --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, said := range []string{"preprocess", "features-range"} {
				if f.both.recipe != "" && cmd.Flags().Changed(said) {
					return usagef("--features-recipe %s says what --%s does, want one of the two", f.both.recipe, said)
				}
			}
			switch {
			case len(args) == 1 && f.sets.Samples+f.sets.Reference != "":
				return usagef("%s is a run, --samples and --reference name two sides, want one or the other", args[0])
			case len(args) == 1:
				return f.evaluateRun(cmd.Context(), a, args[0])
			case f.sets.Samples == "":
				return usagef("want RUN, or --samples X, and --reference Y to compare them with")
			}
			return f.evaluateSets(cmd.Context(), a, cmd)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.both.data, "data", "", "folder of a named data set's files, for those that are not found by themselves")
	fs.IntVar(&f.both.limit, "limit", 0, "take the first N pictures of each side (default all); of a RUN, compare with N training pictures")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	group(fs, "Of two sides alone", f.addSides)
	group(fs, "Of a RUN alone", f.addRun)
	group(fs, "What sees the pictures", f.addNetwork)
	group(fs, "Metrics", f.addMetrics)
	return cmd
}

// check finds wrong usage, of a RUN's flags too where it is one.
func (f *evaluateFlags) check(run bool) error {
	m, o, b := f.metrics, f.run, f.both
	limits := []least{
		{"limit", float64(b.limit), 0}, {"kid-subsets", float64(m.Subsets), 1}, {"kid-subset-size", float64(m.SubsetSize), 0},
		{"is-splits", float64(m.Splits), 1}, {"features-size", float64(b.onnx.Size), 0}, {"kid-sigma", m.KernelSigma, 0},
	}
	if run {
		limits = append(limits, least{"count", float64(o.Count), 2}, least{"steps", float64(o.Steps), 1},
			least{"pictures", float64(o.Pictures), 2}, least{"sigma0", o.Sigma0, 0},
			least{"neighbours", float64(o.Neighbours), 1}, least{"select-count", float64(b.selecting.Count), 2},
			least{"select-steps", float64(b.selecting.Steps), 1})
	}
	for _, err := range []error{
		someOf("--metrics", m.Metrics, sets.Names()), someOf("--preprocess", []string{b.preprocess}, texts(inception.Conventions())),
		someOf("--samples-range", []string{f.sets.Range}, dataset.Ranges()),
		someOf("--features-range", []string{b.inputRange}, texts(features.InputRanges())),
		someOf("--parts", b.parts, runParts()), atLeast(limits...),
	} {
		if err != nil {
			return err
		}
	}
	if m.Bootstrap != 0 && m.Bootstrap < 20 || m.BootstrapFrechet && m.Bootstrap == 0 {
		return usagef("--bootstrap %d, want 20 resamples or more for an interval", m.Bootstrap)
	}
	if b.selects && b.which.checkpoint != "" {
		return usagef("--select finds the checkpoint, --checkpoint names one: choose one of them")
	}
	name, of, _ := strings.Cut(b.features, ":")
	switch {
	case b.recipe != "" && !slices.Contains(features.RecipeNames(), b.recipe):
		return usagef("--features-recipe %s, want one of %s", b.recipe, strings.Join(features.RecipeNames(), ", "))
	case slices.Contains(recipes(false), b.recipe) && b.onnx.Path == "":
		return usagef("--features-recipe %s is of an ONNX file, want --features-onnx FILE (docs/evaluation.md exports one)", b.recipe)
	case slices.Contains(recipes(true), b.recipe) && (b.onnx.Path != "" || name != "" && name != byInception):
		return usagef("--features-recipe %s is of the Inception network, want --inception FILE alone", b.recipe)
	case b.onnx.Path != "" && (b.inception != "" || b.features != ""), b.inception != "" && b.features != "" && b.features != byInception:
		return usagef("--features, --inception and --features-onnx name several feature networks: choose one")
	case !slices.Contains([]string{"", byInception, byClassifier, byPixels}, name) || of != "" && name != byClassifier:
		return usagef("--features %s, want %s, %s or %s", b.features, byInception, byClassifier, byPixels)
	case of != "" && !slices.Contains(zoo.Classifiers(), of):
		return usagef("--features %s: the shipped classifiers are those of %s", b.features, strings.Join(zoo.Classifiers(), ", "))
	}
	return nil
}

// network returns what the flags say of the feature network.
func (f *evaluateFlags) network() assess.Features {
	b := f.both
	n := assess.Features{Recipe: b.recipe, Inception: b.inception, ONNX: b.onnx, Convention: inception.Convention(b.preprocess)}
	n.ONNX.Range = features.InputRange(b.inputRange)
	switch name, of, _ := strings.Cut(b.features, ":"); name {
	case byInception:
		n.Network.Kind = features.Inception
	case byClassifier:
		n.Network = features.Identity{Kind: features.Classifier, Data: cmp.Or(of, features.DefaultClassifier)}
	case byPixels:
		n.Network.Kind = features.Pixels
	}
	return n
}

// evaluateSets compares two sides and prints the numbers.
func (f *evaluateFlags) evaluateSets(ctx context.Context, a *app, cmd *cobra.Command) error {
	if err := f.check(false); err != nil {
		return err
	}
	cache := f.metrics.CacheDir
	if cache == "" && f.metrics.WriteSums == "" && (f.part != "" || f.join) {
		return usagef("want --cache DIR, the folder of features that parts share")
	}
	if cache != "" || f.metrics.WriteSums != "" { // without one, a task of an array may have an evaluation of its own
		var err error
		if f.metrics.Share, err = f.partFlags.share(a); err != nil {
			return err
		}
	}
	if !f.metrics.Share.Part.Whole() && f.metrics.WriteSums == "" {
		if err := a.begin(cmd, cache, ""); err != nil {
			return err
		}
	}
	o := f.sets
	o.Data, o.Limit, o.Features, o.Metrics = f.both.data, f.both.limit, f.network(), f.metrics
	o.Metrics.Progress, o.Metrics.Log = a.progress(), a.log
	result, err := assess.Sets(ctx, a.runtime, o)
	if err != nil {
		return a.finishedPart(err, f.metrics.Share, cmp.Or(f.metrics.WriteSums, cache), f.asJSON)
	}
	if f.times != "" {
		if err := writeJSON(f.times, result.Times()); err != nil {
			return err
		}
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

// evaluateRun measures a run, or a shipped model, writes its report and prints
// the numbers.
func (f *evaluateFlags) evaluateRun(ctx context.Context, a *app, ref string) error {
	if err := f.check(true); err != nil {
		return err
	}
	o := f.run
	o.Checkpoint, o.Place = f.both.which.checkpoint, f.both.which.in("")
	o.Run, o.DataDir, o.Limit, o.Features, o.Metrics = ref, f.both.data, f.both.limit, f.network(), f.metrics
	var err error
	if o.ONNX, err = f.both.foreign.onnx(); err != nil {
		return err
	}
	if o.Dir == "" {
		if o.Dir = assess.RunFolder(ref); o.Dir == "" {
			return usagef("%s is not the folder of a run, want --out DIR for the report", ref)
		}
	}
	for _, p := range f.both.parts {
		o.Parts = append(o.Parts, assess.Part(p))
	}
	if f.both.selects {
		o.Selecting = &f.both.selecting
	}
	rt, err := a.runtime(ctx)
	if err != nil {
		return err
	}
	o.Program, o.Progress, o.Log = "ebm "+version(), a.progress(), a.log
	o.Metrics.Progress, o.Metrics.Log = a.progress(), a.log
	r, err := assess.Evaluate(ctx, rt, o)
	if err != nil {
		return err
	}
	if f.asJSON {
		return a.printJSON(r)
	}
	warned := make(map[string]bool)
	for _, m := range r.Metrics {
		for _, w := range m.Warnings {
			if !warned[w] {
				a.log("warning: " + w)
			}
			warned[w] = true
		}
	}
	for _, m := range r.Metrics {
		spread := ""
		if !math.IsNaN(m.Deviation) {
			spread = fmt.Sprintf(" ± %.3g", m.Deviation)
		}
		a.printf("%-44s %.5g%s\n", m.Key, m.Value, spread)
	}
	if r.Selection != nil {
		a.printf("%-44s %s\n", "best checkpoint", r.Selection.Best)
	}
	a.printf("%-44s %s\n", "report", r.Report)
	return nil
}
