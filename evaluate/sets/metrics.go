package sets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/mdsm/samples"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// The metrics that can be asked for.
const (
	Frechet        = "fid" // Fréchet distance
	InceptionScore = "is"
	Kernel         = "kid" // kernel distance
	Manifold       = "pr"  // precision, recall, density and coverage
	Memorized      = "mifid"
	Diversity      = "vendi"
	MeanDistance   = "cmmd"
	Classes        = "classes" // Fréchet and kernel distance of each class
	ClassShares    = "balance" // how often a classifier finds each class
)

// Names returns the names of all metrics.
func Names() []string {
	return append(usual(), Memorized, Diversity, MeanDistance, Classes, ClassShares)
}

// usual returns those that are computed where none is named.
func usual() []string { return []string{Frechet, InceptionScore, Kernel, Manifold} }

// Options say what to compare and how.
type Options struct {
	Samples   *Source
	Reference *Source           // nil when the score alone is wanted
	Network   *features.Network // nil when no source has pictures
	Metrics   []string          // of Names; nil takes those of fid, is, kid and pr that the sources allow

	Seed             uint32  // of subsets, splits and resampling; 0 means evaluate.DefaultSeed
	Subsets          int     // of the kernel distance; 0 means 100
	SubsetSize       int     // 0 means 1000, or half of the samples where there are fewer than that
	KernelSigma      float64 // of the kernel distance: the width of a Gaussian kernel; 0 takes the cubic one
	Splits           int     // of the Inception score; 0 means 10
	Unbiased         bool    // also the score with its bias taken off
	Extrapolate      bool    // also distance and score for unlimited samples
	Bootstrap        int     // resamples for intervals; 0 for none
	BootstrapFrechet bool    // also for a Fréchet distance of many features, where each resample takes seconds

	CacheDir string // "" keeps no features
	// Share is of the features of pictures alone, and takes a CacheDir. With a part, Run
	// returns samples.ErrPart once these are in the cache.
	Share samples.Share
	// WriteSums, when not "", is an .npz file of the mean and scatter of the samples' part of
	// Share, which MergeSums joins. Then Run returns samples.ErrPart, and nothing else is done.
	WriteSums       string
	WriteFeatures   string // "" writes none; else a .npz file of the samples' features
	WriteStatistics string // "" writes none; else a .npz file of the samples' mean and covariance
	Progress        progress.Progress
	Log             func(line string) // gets lines about what was damaged; nil for none
}

// Run compares the samples with the reference.
func Run(ctx context.Context, rt *runtime.Runtime, o Options) (*Result, error) {
	begin := time.Now()
	named := o.Metrics != nil
	if !named {
		o.Metrics = usual()
	}
	for _, m := range o.Metrics {
		if !slices.Contains(Names(), m) {
			return nil, fmt.Errorf("metric %q, want some of %v", m, Names())
		}
	}
	if o.CacheDir == "" && o.WriteSums == "" && o.Share != (samples.Share{}) {
		return nil, errors.New("no folder of features that parts share, want Options.CacheDir")
	}
	x := extraction{rt: rt, share: o.Share, sums: o.WriteSums, network: o.Network, progress: o.Progress, log: o.Log}
	if x.log == nil {
		x.log = func(string) {}
	}
	if o.CacheDir != "" {
		var err error
		if x.cache, err = features.OpenCache(o.CacheDir); err != nil {
			return nil, err
		}
	}
	r := &run{o: o, named: named}
	if rt != nil {
		var err error
		if r.multiplier, err = evaluate.NewMultiplier(rt); err != nil {
			return nil, err
		}
		defer r.multiplier.Close()
		x.multiplier = r.multiplier
	}
	if err := r.features(ctx, x); err != nil {
		return nil, err
	}
	if err := r.metrics(ctx); err != nil {
		return nil, err
	}
	if err := r.write(); err != nil {
		return nil, err
	}
	r.result.Seconds = time.Since(begin).Seconds()
	return &r.result, nil
}

// run is one comparison on its way.
type run struct {
	o         Options
	named     bool // the user named the metrics: what cannot be had is an error
	samples   *side
	reference *side // nil without one
	result    Result

	multiplier *evaluate.Multiplier // nil without a runtime
}

func (r *run) wants(metric string) bool { return slices.Contains(r.o.Metrics, metric) }

// features brings both sides to features or statistics, and checks that they
// compare.
func (r *run) features(ctx context.Context, x extraction) (err error) {
	o := r.o
	resampled := r.wants(Frechet) && o.Bootstrap > 0
	compared := o.Reference != nil && o.Reference.Kind != Statistics
	distance := r.wants(Frechet) || r.wants(Memorized)
	pairs := slices.ContainsFunc([]string{Kernel, Manifold, Memorized, MeanDistance, Classes}, r.wants) || resampled
	n := needs{
		statistics: distance && o.Reference != nil || o.WriteStatistics != "",
		features: pairs && compared || r.wants(Diversity) ||
			r.wants(Frechet) && o.Extrapolate && o.Reference != nil || o.WriteFeatures != "",
		logits:  r.wants(InceptionScore) || r.wants(ClassShares) || o.WriteFeatures != "",
		classes: r.wants(ClassShares),
	}
	for _, s := range []*Source{o.Samples, o.Reference} {
		if s != nil && s.maker != nil {
			x.other = s
		}
	}
	of := needs{statistics: distance, features: pairs && o.Samples.Kind != Statistics, logits: r.wants(ClassShares),
		classes: r.wants(ClassShares)} // the reference
	if !o.Share.Part.Whole() {
		var all int64
		if o.Samples.Kind == Pictures && n != (needs{}) {
			all = x.work(o.Samples)
		}
		if o.Reference != nil && o.Reference.Kind == Pictures && of != (needs{}) {
			all += x.work(o.Reference)
		}
		progress.Expect(x.progress, all, pictureUnit)
	}
	if r.samples, err = x.side(ctx, "samples'", o.Samples, n); err != nil {
		return err
	}
	if x.sums != "" {
		return samples.ErrPart
	}
	if o.Reference != nil {
		if r.reference, err = x.side(ctx, "reference's", o.Reference, of); err != nil {
			return err
		}
		if a, b := r.samples.maker, r.reference.maker; a != nil && b != nil {
			if err := a.Compares(o.Samples.Name, *b, o.Reference.Name); err != nil {
				return err
			}
		}
		a, b := o.Samples, o.Reference
		if a.Kind == Pictures && b.Kind == Pictures && (a.Height != b.Height || a.Width != b.Width) {
			r.warn("the samples are %s and the reference %s: features see the resizing", a.size(), b.size())
		}
	}
	if !o.Share.Part.Whole() {
		return samples.ErrPart
	}
	r.describe()
	return nil
}

func (r *run) warn(format string, args ...any) {
	r.result.Warnings = append(r.result.Warnings, fmt.Sprintf(format, args...))
}

// missing is the error of a metric that the sources do not allow.
type missing struct{ error }

// metrics computes what was asked for.
func (r *run) metrics(ctx context.Context) error {
	compute := map[string]func(context.Context) ([]Value, error){
		Frechet: r.frechet, InceptionScore: r.score, Kernel: r.kernel, Manifold: r.manifold,
		Memorized: r.memorized, Diversity: r.diversity, MeanDistance: r.meanDistance, Classes: r.classes,
		ClassShares: r.balance,
	}
	for _, metric := range Names() {
		if !r.wants(metric) {
			continue
		}
		begin := time.Now()
		values, err := compute[metric](ctx)
		if errors.As(err, new(missing)) && !r.named {
			r.warn("no %s: %v", metric, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", metric, err)
		}
		for i := range values {
			values[i].Seconds = time.Since(begin).Seconds()
			r.label(&values[i])
		}
		r.result.Metrics = append(r.result.Metrics, values...)
	}
	if len(r.result.Metrics) == 0 && r.o.WriteFeatures == "" && r.o.WriteStatistics == "" {
		return fmt.Errorf("nothing could be computed: %v", r.result.Warnings)
	}
	return nil
}
