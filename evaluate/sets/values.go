package sets

import (
	"context"
	"errors"
	"fmt"

	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

func (r *run) frechet(ctx context.Context) ([]Value, error) {
	if r.reference == nil {
		return nil, missing{errors.New("it needs a reference")}
	}
	stage := progress.Begin(r.o.Progress, "Fréchet distance", 1, "")
	defer stage.Done()
	got, err := r.multiplier.Frechet(ctx, r.samples.statistics, r.reference.statistics)
	if err != nil {
		return nil, err
	}
	stage.Done()
	value := Value{
		Quantity: FrechetDistance, Value: got.Distance, Warnings: got.Warnings,
		Parts: map[string]float64{"mean": got.Mean, "covariance": got.Covariance},
	}
	if err := r.resampleFrechet(ctx, &value); err != nil {
		return nil, err
	}
	values := []Value{value}
	if r.o.Extrapolate {
		if r.samples.features == nil {
			return nil, missing{errors.New("to extrapolate, it needs the samples' features")}
		}
		d := r.samples.features.Shape()[1]
		if n := r.samples.source.Count; n < 4*d {
			r.warn("no %s_%s: %d samples of %d features, want %d or more to extrapolate from", Frechet, Infinity, n, d, 4*d)
			return values, nil
		}
		limit, err := evaluate.FrechetLimit(ctx, r.samples.features, r.reference.statistics,
			evaluate.LimitOptions{Seed: uint64(r.o.Seed), Progress: r.o.Progress, Multiplier: r.multiplier})
		if err != nil {
			return nil, err
		}
		values = append(values, limitValue(FrechetDistance, limit))
	}
	return values, nil
}

func limitValue(q Quantity, l evaluate.Limit) Value {
	return Value{
		Quantity: q, Variant: Infinity, Value: l.Value, Error: &l.Error,
		Parts:    map[string]float64{"slope": l.Slope, "least": float64(l.Counts[0]), "points": float64(len(l.Counts))},
		Warnings: []string{"extrapolated over the number of samples; the reference's number still counts"},
	}
}

// fewFeatures is the number of features up to which a resampled Fréchet
// distance takes no longer than the rest.
const fewFeatures = 256

// resampleFrechet adds an interval where it is cheap or asked for.
func (r *run) resampleFrechet(ctx context.Context, v *Value) error {
	a, b := r.samples.features, r.reference.features
	switch {
	case r.o.Bootstrap == 0:
		return nil
	case a == nil || b == nil:
		v.Warnings = append(v.Warnings, "no interval: it needs the features of both sides")
		return nil
	case a.Shape()[1] > fewFeatures && !r.o.BootstrapFrechet:
		v.Warnings = append(v.Warnings, fmt.Sprintf("no interval: with %d features each resample takes seconds, and none was asked for",
			a.Shape()[1]))
		return nil
	}
	got, err := evaluate.BootstrapFrechet(ctx, a, b, v.Value,
		evaluate.BootstrapOptions{Resamples: r.o.Bootstrap, Seed: uint64(r.o.Seed), Progress: r.o.Progress, Multiplier: r.multiplier})
	v.setInterval(got)
	return err
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
		return nil, missing{fmt.Errorf("%d samples for %d splits, want one in each", n, splits)}
	}
	got, err := evaluate.InceptionScore(ctx, r.samples.logits, evaluate.ScoreOptions{Splits: splits, Seed: r.o.Seed})
	if err != nil {
		return nil, err
	}
	value := Value{Quantity: ClassScore, Value: got.Mean, Deviation: &got.Deviation, Splits: got.Splits, Warnings: got.Warnings}
	if r.o.Bootstrap > 0 {
		interval, err := evaluate.BootstrapScore(ctx, r.samples.logits, got.Mean, splits,
			evaluate.BootstrapOptions{Resamples: r.o.Bootstrap, Seed: uint64(r.o.Seed), Progress: r.o.Progress, Multiplier: r.multiplier})
		if err != nil {
			return nil, err
		}
		value.setInterval(interval)
	}
	values := []Value{value}
	if r.o.Unbiased {
		v, err := evaluate.UnbiasedScore(r.samples.logits)
		if err != nil {
			return nil, err
		}
		values = append(values, Value{Quantity: ClassScore, Variant: Unbiased, Value: v, Splits: 1})
	}
	if r.o.Extrapolate {
		if n < 20 {
			r.warn("no %s_%s: %d samples, want 20 or more to extrapolate from", InceptionScore, Infinity, n)
			return values, nil
		}
		limit, err := evaluate.ScoreLimit(ctx, r.samples.logits, evaluate.LimitOptions{Seed: uint64(r.o.Seed), Progress: r.o.Progress})
		if err != nil {
			return nil, err
		}
		v := limitValue(ClassScore, limit)
		v.Warnings = nil
		values = append(values, v)
	}
	return values, nil
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
	value, err := r.kernelOf(ctx, r.samples.features, r.reference.features)
	if err != nil {
		return nil, err
	}
	return []Value{value}, nil
}

// kernelOf returns the kernel distance of two sets of features.
func (r *run) kernelOf(ctx context.Context, x, y *tensor.Tensor) (Value, error) {
	n := min(x.Shape()[0], y.Shape()[0])
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
		return Value{}, missing{fmt.Errorf("%d samples for subsets of %d", n, size)}
	}
	got, err := evaluate.KernelDistance(ctx, x, y, evaluate.KernelOptions{
		Subsets: r.o.Subsets, SubsetSize: size, Seed: r.o.Seed, Sigma: r.o.KernelSigma, Multiplier: r.multiplier, Progress: r.o.Progress,
	})
	if err != nil {
		return Value{}, err
	}
	value := Value{
		Quantity: KernelDistance, Value: got.Mean, Deviation: &got.Deviation, Subsets: got.Subsets, SubsetSize: size,
		Warnings: append(warnings, got.Warnings...),
	}
	if r.o.KernelSigma > 0 {
		value.Variant = Gaussian
	}
	if got.Subsets > 1 {
		value.setInterval(normalInterval(got.Mean, got.Error))
	}
	return value, nil
}

func (r *run) manifold(ctx context.Context) ([]Value, error) {
	if err := r.pair(); err != nil {
		return nil, err
	}
	const neighbours = 5
	if n := min(r.samples.features.Shape()[0], r.reference.features.Shape()[0]); n <= neighbours {
		return nil, missing{fmt.Errorf("%d samples, want more than %d", n, neighbours)}
	}
	got, err := evaluate.Manifold(ctx, r.samples.features, r.reference.features,
		evaluate.ManifoldOptions{Multiplier: r.multiplier, Progress: r.o.Progress})
	if err != nil {
		return nil, err
	}
	values := []Value{
		{Quantity: Precision, Value: got.Precision}, {Quantity: Recall, Value: got.Recall},
		{Quantity: Density, Value: got.Density}, {Quantity: Coverage, Value: got.Coverage},
	}
	e := got.Errors
	for i, standard := range []float64{e.Precision, e.Recall, e.Density, e.Coverage} {
		values[i].setInterval(normalInterval(values[i].Value, standard))
		values[i].Warnings = got.Warnings
	}
	return values, nil
}

// write leaves the files that were asked for.
func (r *run) write() error {
	maker := features.Maker{}
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
	return writeFeatures(r.o.WriteFeatures, features.Set{Features: r.samples.features, Logits: r.samples.logits}, maker)
}
