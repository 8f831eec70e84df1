package evaluate

import (
	"context"
	"fmt"
	"math"

	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// Limit holds the number that is expected for unlimited samples, and the line
// that says so.
type Limit struct {
	Value  float64   // at 1/N = 0
	Error  float64   // standard error of Value from the scatter around the line
	Slope  float64   // change of the number by 1/N
	Counts []int     // N of each point
	Values []float64 // the number at each point
}

// LimitOptions are the settings of [FrechetLimit] and [ScoreLimit].
type LimitOptions struct {
	Points   int    // subsets of the samples; 0 means 15
	Seed     uint64 // of the subsets
	Progress progress.Progress
	// Multiplier multiplies matrices; nil computes products in Go.
	Multiplier *Multiplier
}

// FrechetLimit extrapolates the Fréchet distance over the number of generated
// samples, which biases it by about a constant over N: FID∞ of Chong and
// Forsyth ("Effectively Unbiased FID and Inception Score and Where to Find
// Them", CVPR 2020, eq. 5 and section 4), for features [n, d] and real
// statistics. The line is fitted over 1/N to distances of random subsets, from
// a tenth of the samples, or two for each feature where that is more, to all
// of them. The bias that the real samples' number causes stays. Fewer samples
// than 4 for each feature are an error: no line describes them.
func FrechetLimit(ctx context.Context, generated *tensor.Tensor, real *Statistics, o LimitOptions) (Limit, error) {
	n, d, err := checkFeatures("generated features", generated)
	if err != nil {
		return Limit{}, err
	}
	if n < 4*d {
		return Limit{}, fmt.Errorf("%d samples of %d features, want %d or more to extrapolate from", n, d, 4*d)
	}
	return limit(ctx, "Fréchet distance for unlimited samples", n, max(n/10, 2*d), o, func(rows []int) (float64, error) {
		s, err := o.Multiplier.StatisticsOf(gathered(generated, rows))
		if err != nil {
			return 0, err
		}
		f, err := o.Multiplier.Frechet(ctx, s, real)
		return f.Distance, err
	})
}

// ScoreLimit extrapolates the Inception score of all samples as one split: IS∞
// of the same paper. Fewer than 20 samples are an error.
func ScoreLimit(ctx context.Context, logits *tensor.Tensor, o LimitOptions) (Limit, error) {
	n, _, err := checkFeatures("logits", logits)
	if err != nil {
		return Limit{}, err
	}
	if n < 20 {
		return Limit{}, fmt.Errorf("%d samples, want 20 or more to extrapolate from", n)
	}
	p := predictionsOf(logits)
	return limit(ctx, "Inception score for unlimited samples", n, max(n/10, 2), o, func(rows []int) (float64, error) {
		return p.score(rows), nil
	})
}

// limit fits the line. of gives the number for the samples in rows.
func limit(ctx context.Context, what string, n, least int, o LimitOptions, of func(rows []int) (float64, error)) (Limit, error) {
	if o.Points == 0 {
		o.Points = 15
	}
	if o.Points < 3 {
		return Limit{}, fmt.Errorf("a line through %d points, want 3 or more", o.Points)
	}
	stage := progress.Begin(o.Progress, what, int64(o.Points), "subsets")
	defer stage.Done()
	out := Limit{Counts: make([]int, o.Points), Values: make([]float64, o.Points)}
	inverse := make([]float64, o.Points)
	for i := range o.Points {
		if err := ctx.Err(); err != nil {
			return Limit{}, err
		}
		count := least + int(math.Round(float64(i)*float64(n-least)/float64(o.Points-1)))
		rows := rng.New(o.Seed).Permutation(n, rng.Resample, uint64(i))[:count]
		v, err := of(rows)
		if err != nil {
			return Limit{}, err
		}
		out.Counts[i], out.Values[i], inverse[i] = count, v, 1/float64(count)
		stage.Add(1)
	}
	out.Value, out.Slope, out.Error = line(inverse, out.Values)
	return out, nil
}

// line fits y = intercept + slope·x by least squares. The error is the
// intercept's standard error.
func line(x, y []float64) (intercept, slope, deviation float64) {
	n := float64(len(x))
	mx, _ := meanAndDeviation(x)
	my, _ := meanAndDeviation(y)
	sxx, sxy := 0.0, 0.0
	for i := range x {
		sxx += (x[i] - mx) * (x[i] - mx)
		sxy += (x[i] - mx) * (y[i] - my)
	}
	slope = sxy / sxx
	intercept = my - slope*mx
	left := 0.0
	for i := range x {
		r := y[i] - intercept - slope*x[i]
		left += r * r
	}
	return intercept, slope, math.Sqrt(left / (n - 2) * (1/n + mx*mx/sxx))
}

// gathered returns some rows of features as float64.
func gathered(features *tensor.Tensor, rows []int) *tensor.Tensor {
	d := features.Shape()[1]
	out := make([]float64, len(rows)*d)
	for i, r := range rows {
		copyRow(out[i*d:(i+1)*d], features, r)
	}
	return tensor.Of(out, len(rows), d)
}

// UnbiasedScore returns the Inception score of all samples as one split, with
// the leading part of its bias taken off. The entropy of the mean prediction
// p̄ is too small by Σ Var p(y)/(2·N·p̄(y)), y over the classes, to order 1/N:
// Miller's correction of entropies ("Note on the bias of information
// estimates", 1955), for predictions in place of counts.
func UnbiasedScore(logits *tensor.Tensor) (float64, error) {
	n, classes, err := checkFeatures("logits", logits)
	if err != nil {
		return 0, err
	}
	if n < 2 {
		return 0, fmt.Errorf("an unbiased score of %d samples, want 2 or more", n)
	}
	p, mean, squares := make([]float64, classes), make([]float64, classes), make([]float64, classes)
	entropy := 0.0
	for i := range n {
		copyRow(p, logits, i)
		softmax(p)
		for j, v := range p {
			mean[j] += v / float64(n)
			squares[j] += v * v / float64(n)
			entropy -= plogp(v) / float64(n)
		}
	}
	information := -entropy
	for j, m := range mean {
		information -= plogp(m)
		if m > 0 {
			variance := max(squares[j]-m*m, 0) * float64(n) / float64(n-1)
			information += variance / (2 * float64(n) * m)
		}
	}
	return math.Exp(information), nil
}
