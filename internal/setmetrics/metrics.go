package setmetrics

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ebm/evaluate"
	"ebm/internal/featurecache"
	"ebm/internal/progress"
	"ebm/runtime"
)

// The groups of numbers that can be asked for.
const (
	Frechet  = "fid" // Fréchet distance
	Score    = "is"  // Inception score
	Kernel   = "kid" // kernel distance
	Manifold = "pr"  // precision, recall, density and coverage
)

// Groups returns all of them.
func Groups() []string { return []string{Frechet, Score, Kernel, Manifold} }

// Options say what to compare and how.
type Options struct {
	Samples   *Source
	Reference *Source  // nil when the score alone is wanted
	Network   *Opener  // nil when no source has pictures
	Metrics   []string // of Groups; nil takes those that the sources allow

	Seed       uint32 // of subsets, splits and resampling; 0 means evaluate.DefaultSeed
	Subsets    int    // of the kernel distance; 0 means 100
	SubsetSize int    // 0 means 1000, or half of the samples where there are fewer than that
	Splits     int    // of the Inception score; 0 means 10

	CacheDir        string // "" keeps no features
	WriteFeatures   string // "" writes none; else a .npz file of the samples' features
	WriteStatistics string // "" writes none; else a .npz file of the samples' mean and covariance
	Progress        *progress.Progress
	Log             func(line string) // gets lines about what was damaged; nil for none
}

// Run compares the samples with the reference.
func Run(ctx context.Context, rt *runtime.Runtime, o Options) (*Result, error) {
	begin := time.Now()
	named := o.Metrics != nil
	if !named {
		o.Metrics = Groups()
	}
	for _, m := range o.Metrics {
		if !slices.Contains(Groups(), m) {
			return nil, fmt.Errorf("metric %q, wanted some of %v", m, Groups())
		}
	}
	x := extraction{rt: rt, opener: o.Network, progress: o.Progress, log: o.Log}
	if x.log == nil {
		x.log = func(string) {}
	}
	if o.CacheDir != "" {
		var err error
		if x.cache, err = featurecache.Open(o.CacheDir); err != nil {
			return nil, err
		}
	}
	r := &run{o: o, named: named}
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
}

func (r *run) wants(metric string) bool { return slices.Contains(r.o.Metrics, metric) }

// features brings both sides to features or statistics, and checks that they
// compare.
func (r *run) features(ctx context.Context, x extraction) (err error) {
	o := r.o
	n := needs{
		statistics: r.wants(Frechet) && o.Reference != nil || o.WriteStatistics != "",
		features:   (r.wants(Kernel) || r.wants(Manifold)) && o.Reference != nil && o.Reference.Kind != Statistics || o.WriteFeatures != "",
		logits:     r.wants(Score) || o.WriteFeatures != "",
	}
	if r.samples, err = x.side(ctx, "samples'", o.Samples, n); err != nil {
		return err
	}
	if o.Reference != nil {
		if r.reference, err = x.side(ctx, "reference's", o.Reference, needs{statistics: r.wants(Frechet), features: n.features && o.Samples.Kind != Statistics}); err != nil {
			return err
		}
		if a, b := r.samples.maker, r.reference.maker; a != nil && b != nil {
			if differ := sameMaker(*a, *b); differ != "" {
				return fmt.Errorf("%s and %s have features of different kinds (%s): they do not compare", o.Samples.Name, o.Reference.Name, differ)
			}
		}
		a, b := o.Samples, o.Reference
		if a.Kind == Pictures && b.Kind == Pictures && (a.Height != b.Height || a.Width != b.Width) {
			r.warn("the samples are %d×%d pixels and the reference %d×%d: features see the resizing", a.Height, a.Width, b.Height, b.Width)
		}
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
		Frechet: r.frechet, Score: r.score, Kernel: r.kernel, Manifold: r.manifold,
	}
	for _, metric := range Groups() {
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

func (r *run) frechet(ctx context.Context) ([]Value, error) {
	if r.reference == nil {
		return nil, missing{errors.New("it needs a reference")}
	}
	stage := r.o.Progress.Stage("Fréchet distance", 1, "")
	defer stage.Done()
	got, err := evaluate.Frechet(ctx, r.samples.statistics, r.reference.statistics)
	if err != nil {
		return nil, err
	}
	return []Value{{
		Metric: Frechet, Value: got.Distance, Warnings: got.Warnings,
		Parts: map[string]float64{"mean": got.Mean, "covariance": got.Covariance},
	}}, nil
}

func (r *run) score(ctx context.Context) ([]Value, error) {
	if r.samples.logits == nil {
		return nil, missing{fmt.Errorf("%s has no logits", r.samples.source.Name)}
	}
	n, splits := r.samples.logits.Shape()[0], r.o.Splits
	if splits == 0 {
		splits = 10
	}
	if n < splits {
		return nil, missing{fmt.Errorf("%d samples for %d splits, wanted one in each", n, splits)}
	}
	got, err := evaluate.InceptionScore(ctx, r.samples.logits, evaluate.ScoreOptions{Splits: splits, Seed: r.o.Seed})
	if err != nil {
		return nil, err
	}
	return []Value{{Metric: Score, Value: got.Mean, Deviation: &got.Deviation, Splits: got.Splits, Warnings: got.Warnings}}, nil
}

// pair checks that both sides have features.
func (r *run) pair() error {
	if r.reference == nil {
		return missing{errors.New("it needs a reference")}
	}
	for _, s := range []*side{r.samples, r.reference} {
		if s.features == nil {
			return missing{fmt.Errorf("%s has statistics alone", s.source.Name)}
		}
	}
	return nil
}

func (r *run) kernel(ctx context.Context) ([]Value, error) {
	if err := r.pair(); err != nil {
		return nil, err
	}
	n := min(r.samples.features.Shape()[0], r.reference.features.Shape()[0])
	size := r.o.SubsetSize
	var warnings []string
	if size == 0 {
		size = 1000
		if n < 2*size {
			size = min(size, max(n/2, 2))
			if size < 1000 {
				warnings = append(warnings, fmt.Sprintf("subsets of %d, half of the samples that there are; 1000 are usual", size))
			}
		}
	}
	if n < size {
		return nil, missing{fmt.Errorf("%d samples for subsets of %d", n, size)}
	}
	got, err := evaluate.KernelDistance(ctx, r.samples.features, r.reference.features, evaluate.KernelOptions{
		Subsets: r.o.Subsets, SubsetSize: size, Seed: r.o.Seed, Progress: r.o.Progress,
	})
	if err != nil {
		return nil, err
	}
	return []Value{{
		Metric: Kernel, Value: got.Mean, Deviation: &got.Deviation, Subsets: got.Subsets, SubsetSize: size,
		Warnings: append(warnings, got.Warnings...),
	}}, nil
}

func (r *run) manifold(ctx context.Context) ([]Value, error) {
	if err := r.pair(); err != nil {
		return nil, err
	}
	const neighbours = 5
	if n := min(r.samples.features.Shape()[0], r.reference.features.Shape()[0]); n <= neighbours {
		return nil, missing{fmt.Errorf("%d samples, wanted more than %d", n, neighbours)}
	}
	got, err := evaluate.Manifold(ctx, r.samples.features, r.reference.features, evaluate.ManifoldOptions{Progress: r.o.Progress})
	if err != nil {
		return nil, err
	}
	values := []Value{
		{Metric: "precision", Value: got.Precision}, {Metric: "recall", Value: got.Recall},
		{Metric: "density", Value: got.Density}, {Metric: "coverage", Value: got.Coverage},
	}
	for i := range values {
		values[i].Warnings = got.Warnings
	}
	return values, nil
}

// write leaves the files that were asked for.
func (r *run) write() error {
	maker := evaluate.FeatureMaker{}
	if r.samples.maker != nil {
		maker = *r.samples.maker
	}
	if r.o.WriteStatistics != "" {
		if err := writeStatistics(r.o.WriteStatistics, r.samples.statistics, maker); err != nil {
			return err
		}
	}
	if r.o.WriteFeatures == "" {
		return nil
	}
	if r.samples.features == nil {
		return fmt.Errorf("%s has statistics alone, no features to write", r.o.Samples.Name)
	}
	return writeFeatures(r.o.WriteFeatures, evaluate.FeatureSet{Features: r.samples.features, Logits: r.samples.logits}, maker)
}
