package evaluate

import (
	"context"
	"math"
	"strings"
	"testing"

	"ebm/models/tensor"
)

// A set that is the other, shuffled or not, overlaps with it: ties of equal
// samples must be ties, also across tiles.
func TestManifoldOfEqualSets(t *testing.T) {
	a := normals(tile+88, 9, 3)
	got, err := Manifold(context.Background(), a, a, ManifoldOptions{})
	if err != nil || got.Precision != 1 || got.Recall != 1 || got.Coverage != 1 {
		t.Errorf("%+v, %v, want ones", got, err)
	}
	// The balls are around each sample and reach to the k-th other one, so k
	// samples are strictly inside: the centre and k−1 others.
	if got.Density != 1 {
		t.Errorf("a density of %g, want 1", got.Density)
	}
	far := tensor.Of(make([]float32, 9*600), 600, 9)
	for i := range tensor.Data[float32](far) {
		tensor.Data[float32](far)[i] = float32(i%50) - 5000
	}
	got, err = Manifold(context.Background(), far, a, ManifoldOptions{})
	if err != nil || got.Precision != 0 || got.Recall != 0 || got.Density != 0 || got.Coverage != 0 {
		t.Errorf("far apart: %+v, %v, want zeros", got, err)
	}
}

// On a line everything can be counted by hand.
func TestManifoldOnALine(t *testing.T) {
	real := tensor.Of([]float32{0, 1, 2, 10}, 4, 1)
	generated := tensor.Of([]float32{3, 3, 20}, 3, 1)
	// Radii with one neighbour: real 1, 1, 1, 8; generated 0, 0, 17.
	got, err := Manifold(context.Background(), generated, real, ManifoldOptions{Neighbours: 1, DensityNeighbours: 1})
	if err != nil {
		t.Fatal(err)
	}
	// 3 is on the border of the ball of 2 and inside that of 10; 10 alone is in the ball of 20.
	want := ManifoldResult{Precision: 2.0 / 3, Recall: 0.25, Density: 2.0 / 3, Coverage: 0.25}
	if got.Precision != want.Precision || got.Recall != want.Recall || got.Density != want.Density || got.Coverage != want.Coverage {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestScoreLimits(t *testing.T) {
	sure := tensor.New(tensor.Float32, 40, 4)
	for i := range 40 {
		tensor.Data[float32](sure)[4*i+i%4] = 1000
	}
	got, err := InceptionScore(context.Background(), sure, ScoreOptions{Splits: 1})
	if err != nil || math.Abs(got.Mean-4) > 1e-12 || got.Deviation != 0 {
		t.Errorf("four classes in equal parts: %+v, %v, want 4", got, err)
	}
	got, err = InceptionScore(context.Background(), tensor.New(tensor.Float32, 40, 4), ScoreOptions{})
	if err != nil || math.Abs(got.Mean-1) > 1e-12 {
		t.Errorf("no idea of any: %+v, %v, want 1", got, err)
	}
}

func TestErrorsOfSets(t *testing.T) {
	ctx := context.Background()
	stopped, stop := context.WithCancel(ctx)
	stop()
	a, b := normals(20, 3, 4), normals(20, 4, 5)
	bad := normals(20, 3, 6)
	tensor.Data[float32](bad)[30] = float32(math.Inf(-1))
	kernel := func(x, y *tensor.Tensor, o KernelOptions) error {
		_, err := KernelDistance(ctx, x, y, o)
		return err
	}
	manifold := func(x, y *tensor.Tensor, o ManifoldOptions) error {
		_, err := Manifold(ctx, x, y, o)
		return err
	}
	score := func(x *tensor.Tensor, o ScoreOptions) error {
		_, err := InceptionScore(ctx, x, o)
		return err
	}
	_, stoppedKernel := KernelDistance(stopped, a, a, KernelOptions{SubsetSize: 5})
	_, stoppedManifold := Manifold(stopped, a, a, ManifoldOptions{})
	_, stoppedScore := InceptionScore(stopped, a, ScoreOptions{})
	for _, test := range []struct {
		err  error
		want string
	}{
		{kernel(a, b, KernelOptions{}), "generated samples have 3 features and real ones 4"},
		{kernel(a, bad, KernelOptions{}), "real features: feature 0 of sample 10 is not finite"},
		{kernel(a, a, KernelOptions{}), "20 generated and 20 real samples for subsets of 1000: too few"},
		{kernel(a, a, KernelOptions{SubsetSize: 1}), "100 subsets of 1 samples"},
		{manifold(bad, a, ManifoldOptions{}), "generated features: feature 0 of sample 10 is not finite"},
		{manifold(a, part(a, 0, 5), ManifoldOptions{}), "20 generated and 5 real samples for 5 neighbours"},
		{manifold(a, a, ManifoldOptions{Neighbours: -1}), "-1 and 5 neighbours"},
		{score(part(a, 0, 9), ScoreOptions{}), "9 samples in 10 splits"},
		{score(a, ScoreOptions{Probabilities: true}), "sum to"},
		{score(tensor.Of([]float64{2, -1}, 1, 2), ScoreOptions{Probabilities: true, Splits: 1}), "class 1 of sample 0 has -1"},
		{stoppedKernel, "context canceled"},
		{stoppedManifold, "context canceled"},
		{stoppedScore, "context canceled"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%v, want %q", test.err, test.want)
		}
	}
}

func TestKernelWarnsOfEqualSubsets(t *testing.T) {
	a := normals(30, 3, 7)
	got, err := KernelDistance(context.Background(), a, a, KernelOptions{SubsetSize: 20, Subsets: 3})
	if err != nil || len(got.Warnings) != 1 {
		t.Errorf("%+v, %v, want a warning", got, err)
	}
}
