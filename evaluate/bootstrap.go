package evaluate

import (
	"context"
	"fmt"
	"math"
	"slices"

	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// Interval says how far a number may be off because its samples were drawn at
// random. It says nothing of the bias that their count causes.
type Interval struct {
	Low, High float64 // 95 %
	Error     float64 // standard error
}

// BootstrapOptions are the settings of [BootstrapScore] and
// [BootstrapFrechet].
type BootstrapOptions struct {
	Resamples int    // 0 means 200
	Seed      uint64 // of the draws
	Progress  progress.Progress
	// Multiplier multiplies matrices; nil computes products in Go.
	Multiplier *Multiplier
}

// BootstrapScore returns the spread of the Inception score of logits over
// resamples, which draw as many rows with replacement. A resample repeats
// rows, which biases its score further; the interval is therefore the
// resamples' about their mean, moved to the score (Efron and Tibshirani, "An
// Introduction to the Bootstrap", 1993, chapters 10 and 13).
func BootstrapScore(ctx context.Context, logits *tensor.Tensor, score float64, splits int, o BootstrapOptions) (Interval, error) {
	n, _, err := checkFeatures("logits", logits)
	if err != nil {
		return Interval{}, err
	}
	if splits < 1 || n < splits {
		return Interval{}, fmt.Errorf("%d samples for %d splits, want one in each", n, splits)
	}
	p := predictionsOf(logits)
	return bootstrap(ctx, "resampled scores", score, o, func(b int) (float64, error) {
		rows := resample(o.Seed, n, uint64(b))
		sum := 0.0
		for i := range splits {
			sum += p.score(rows[i*n/splits : (i+1)*n/splits])
		}
		return sum / float64(splits), nil
	})
}

// BootstrapFrechet is the same for the Fréchet distance of two sets of
// features. Every resample takes as long as the distance itself.
func BootstrapFrechet(ctx context.Context, generated, real *tensor.Tensor, distance float64, o BootstrapOptions) (Interval, error) {
	ng, nr, _, err := checkPair(generated, real)
	if err != nil {
		return Interval{}, err
	}
	return bootstrap(ctx, "resampled distances", distance, o, func(b int) (float64, error) {
		g, err := o.Multiplier.StatisticsOf(gathered(generated, resample(o.Seed, ng, 2*uint64(b))))
		if err != nil {
			return 0, err
		}
		r, err := o.Multiplier.StatisticsOf(gathered(real, resample(o.Seed, nr, 2*uint64(b)+1)))
		if err != nil {
			return 0, err
		}
		f, err := o.Multiplier.Frechet(ctx, g, r)
		return f.Distance, err
	})
}

// resample draws n of n rows with replacement.
func resample(seed uint64, n int, number uint64) []int {
	stream := rng.New(seed).Stream(rng.Resample, number, 0)
	rows := make([]int, n)
	for i := range rows {
		rows[i] = int((stream.Uint64() >> 11) % uint64(n)) // of 2⁵³: no bias that matters
	}
	return rows
}

func bootstrap(ctx context.Context, what string, value float64, o BootstrapOptions, of func(b int) (float64, error)) (Interval, error) {
	if o.Resamples == 0 {
		o.Resamples = 200
	}
	if o.Resamples < 20 {
		return Interval{}, fmt.Errorf("%d resamples, want 20 or more for an interval", o.Resamples)
	}
	stage := progress.Begin(o.Progress, what, int64(o.Resamples), "resamples")
	defer stage.Done()
	values := make([]float64, o.Resamples)
	for b := range values {
		if err := ctx.Err(); err != nil {
			return Interval{}, err
		}
		var err error
		if values[b], err = of(b); err != nil {
			return Interval{}, err
		}
		stage.Add(1)
	}
	mean, deviation := meanAndDeviation(values)
	n := float64(o.Resamples)
	slices.Sort(values)
	return Interval{
		Low: value + quantile(values, 0.025) - mean, High: value + quantile(values, 0.975) - mean,
		Error: deviation * math.Sqrt(n/(n-1)),
	}, nil
}

// quantile interpolates between ordered numbers.
func quantile(ordered []float64, q float64) float64 {
	at := q * float64(len(ordered)-1)
	low := int(at)
	high := min(low+1, len(ordered)-1)
	return ordered[low] + (at-float64(low))*(ordered[high]-ordered[low])
}
