package evaluate

import (
	"context"
	"math"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// normal draws n vectors of d independent standard normal numbers.
func normal(n, d int, number uint64) *tensor.Tensor {
	v := make([]float32, n*d)
	rng.New(8).Normal(v, rng.Density, number, 0)
	return tensor.Of(v, n, d)
}

// The distance of N samples from the very distribution they come from is its
// bias alone, and the limit is 0.
func TestFrechetLimit(t *testing.T) {
	ctx := context.Background()
	const n, d, draws = 800, 16, 6
	real := &Statistics{Mean: make([]float64, d), Covariance: make([]float64, d*d)}
	for i := range d {
		real.Covariance[i*d+i] = 1
	}
	biased, limits, spread := 0.0, 0.0, 0.0
	for k := range draws {
		got, err := FrechetLimit(ctx, normal(n, d, uint64(k)), real, LimitOptions{Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Counts) != 15 || got.Counts[0] != n/10 || got.Counts[14] != n || !(got.Slope > 0) || !(got.Error > 0) {
			t.Errorf("%+v, want 15 points from %d to %d on a line that rises", got, n/10, n)
		}
		biased += got.Values[14] / draws
		limits += got.Value / draws
		spread += got.Value * got.Value / draws
	}
	t.Logf("with %d samples %.4f, in the limit %.4f, root mean square %.4f", n, biased, limits, math.Sqrt(spread))
	if !(biased > 0.05) || !(math.Abs(limits) < biased/4) {
		t.Errorf("a mean distance of %g and a mean limit of %g, want the limit near 0", biased, limits)
	}
	if _, err := FrechetLimit(ctx, normal(63, d, 0), real, LimitOptions{}); err == nil ||
		!strings.Contains(err.Error(), "63 samples of 16 features, want 64") {
		t.Errorf("too few samples: %v", err)
	}
	if _, err := FrechetLimit(ctx, normal(64, d, 0), real, LimitOptions{Points: 2}); err == nil {
		t.Error("two points: no error")
	}
}

// Each sample is certain of one of k classes, all equally likely: the score is
// k for unlimited samples.
func TestUnbiasedScores(t *testing.T) {
	ctx := context.Background()
	const n, k, draws = 200, 20, 20
	plain, unbiased, limit := 0.0, 0.0, 0.0
	for draw := range draws {
		logits := make([]float32, n*k)
		for i := range n {
			logits[i*k+rng.New(9).IntN(k, rng.Density, uint64(i), uint32(draw))] = 40
		}
		x := tensor.Of(logits, n, k)
		one, err := InceptionScore(ctx, x, ScoreOptions{Splits: 1})
		if err != nil {
			t.Fatal(err)
		}
		u, err := UnbiasedScore(x)
		if err != nil {
			t.Fatal(err)
		}
		l, err := ScoreLimit(ctx, x, LimitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		plain, unbiased, limit = plain+one.Mean/draws, unbiased+u/draws, limit+l.Value/draws
	}
	t.Logf("plain %.3f, unbiased %.3f, limit %.3f of %d", plain, unbiased, limit, k)
	bias := k - plain
	if !(bias > 0.5) || !(math.Abs(unbiased-k) < bias/5) || !(math.Abs(limit-k) < bias/2) {
		t.Errorf("scores of %g, unbiased %g, in the limit %g, want near %d", plain, unbiased, limit, k)
	}
	if _, err := UnbiasedScore(tensor.New(tensor.Float32, 1, 4)); err == nil {
		t.Error("one sample: no error")
	}
	if _, err := ScoreLimit(ctx, tensor.New(tensor.Float32, 19, 4), LimitOptions{}); err == nil {
		t.Error("19 samples: no error")
	}
}

// Intervals are held to what they claim: the spread over fresh samples.
func TestBootstrapIsTheSpread(t *testing.T) {
	ctx := context.Background()
	const n, d, draws = 300, 4, 60
	real := normal(n, d, 1000)
	var distances, scores []float64
	for k := range draws {
		x := normal(n, d, uint64(k))
		f, err := Frechet(ctx, statisticsOf(t, x), statisticsOf(t, normal(n, d, uint64(2000+k))))
		if err != nil {
			t.Fatal(err)
		}
		s, err := InceptionScore(ctx, x, ScoreOptions{Splits: 3})
		if err != nil {
			t.Fatal(err)
		}
		distances, scores = append(distances, f.Distance), append(scores, s.Mean)
	}
	_, wantDistance := meanAndDeviation(distances)
	_, wantScore := meanAndDeviation(scores)
	x := normal(n, d, 0)
	f, err := BootstrapFrechet(ctx, x, real, distances[0], BootstrapOptions{Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	s, err := BootstrapScore(ctx, x, scores[0], 3, BootstrapOptions{Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what        string
		got         Interval
		value, want float64
	}{{"Fréchet distance", f, distances[0], wantDistance}, {"score", s, scores[0], wantScore}} {
		t.Logf("%s: error %.4g, spread of fresh samples %.4g", c.what, c.got.Error, c.want)
		if !(c.got.Error > c.want/2 && c.got.Error < 2.5*c.want) || !(c.got.Low < c.value && c.value < c.got.High) {
			t.Errorf("%s: %+v around %g, want an error like %g", c.what, c.got, c.value, c.want)
		}
		// Resamples are biased further, intervals are not.
		if middle := (c.got.Low + c.got.High) / 2; math.Abs(middle-c.value) > 0.5*c.got.Error {
			t.Errorf("%s: the interval's middle is %g, want near %g", c.what, middle, c.value)
		}
	}
	// The two sides are resampled apart, though they be equal.
	if f, err = BootstrapFrechet(ctx, x, x, 0, BootstrapOptions{Resamples: 20}); err != nil || !(f.Error > wantDistance/3) {
		t.Errorf("a set and itself: %+v, %v, want an error like %g", f, err, wantDistance)
	}
	if _, err := BootstrapScore(ctx, x, 1, 3, BootstrapOptions{Resamples: 19}); err == nil {
		t.Error("19 resamples: no error")
	}
	stopped, stop := context.WithCancel(ctx)
	stop()
	if _, err := BootstrapScore(stopped, x, 1, 3, BootstrapOptions{}); err == nil {
		t.Error("stopped: no error")
	}
}

// The error of a kernel distance is that of the whole set, not of a subset.
func TestKernelErrorIsTheSpread(t *testing.T) {
	ctx := context.Background()
	const n, d, draws = 200, 3, 30
	var values []float64
	claimed := 0.0
	for k := range draws {
		y := normal(n, d, uint64(3000+k))
		for i := range tensor.Data[float32](y) {
			tensor.Data[float32](y)[i] += 0.5
		}
		got, err := KernelDistance(ctx, normal(n, d, uint64(k)), y, KernelOptions{Subsets: 50, SubsetSize: 50})
		if err != nil {
			t.Fatal(err)
		}
		values, claimed = append(values, got.Mean), claimed+got.Error/draws
	}
	_, spread := meanAndDeviation(values)
	t.Logf("error %.4g, spread of fresh samples %.4g", claimed, spread)
	if !(claimed > spread/2 && claimed < 2*spread) {
		t.Errorf("a standard error of %g, want that of fresh samples, %g", claimed, spread)
	}
}

// Subsets by themselves, and out of all pairs, have the same distances.
func TestKernelOfSubsetsAndPairs(t *testing.T) {
	x, y := normal(1100, 6, 1), normal(600, 6, 2)
	state := newRandomState(1)
	var xs, ys [][]int
	for range 40 {
		xs, ys = append(xs, ordered(state.permutation(1100)[:300])), append(ys, ordered(state.permutation(600)[:300]))
	}
	k := kernel{ctx: context.Background(), d: 6}
	together, err := k.discrepancies(x, y, xs, ys, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range xs {
		alone, err := k.discrepancies(x, y, xs[i:i+1], ys[i:i+1], nil)
		if err != nil {
			t.Fatal(err)
		}
		// Differences of means of some units each.
		if off := math.Abs(alone[0] - together[i]); !(off < 1e-11) {
			t.Errorf("subset %d: %g by itself, %g out of all pairs", i, alone[0], together[i])
		}
	}
}

func TestManifoldErrors(t *testing.T) {
	got, err := Manifold(context.Background(), normal(400, 3, 1), normal(400, 3, 2), ManifoldOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ share, deviation float64 }{
		{got.Precision, got.Errors.Precision}, {got.Recall, got.Errors.Recall}, {got.Coverage, got.Errors.Coverage},
	} {
		if want := math.Sqrt(c.share * (1 - c.share) / 400); math.Abs(c.deviation-want) > 1e-12 {
			t.Errorf("the error of a share %g is %g, want the binomial's %g", c.share, c.deviation, want)
		}
	}
	if e := got.Errors.Density; !(e > 0 && e < 0.1) {
		t.Errorf("the error of a density of %g is %g", got.Density, e)
	}
}

// Products through ONNX Runtime are those in Go, and so are the numbers.
func TestMultiplier(t *testing.T) {
	ctx := context.Background()
	m, err := NewMultiplier(testkit.Open(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	x, y := normal(700, 40, 1), normal(600, 40, 2)
	for _, size := range []int{100, 590} { // subsets by themselves, and all pairs once
		a, err := KernelDistance(ctx, x, y, KernelOptions{Subsets: 4, SubsetSize: size})
		if err != nil {
			t.Fatal(err)
		}
		b, err := KernelDistance(ctx, x, y, KernelOptions{Subsets: 4, SubsetSize: size, Multiplier: m})
		if err != nil {
			t.Fatal(err)
		}
		// The distance is a difference of sums near 1.
		if off := math.Abs(a.Mean - b.Mean); !(off < 1e-12) {
			t.Errorf("subsets of %d: kernel distances of %g and %g", size, a.Mean, b.Mean)
		}
	}
	a, err := Manifold(ctx, x, y, ManifoldOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Manifold(ctx, x, y, ManifoldOptions{Multiplier: m})
	if err != nil {
		t.Fatal(err)
	}
	if a.Precision != b.Precision || a.Recall != b.Recall || a.Density != b.Density || a.Coverage != b.Coverage {
		t.Errorf("%+v and %+v", a, b)
	}
}
