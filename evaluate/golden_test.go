package evaluate

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/tensor"
)

// near fails unless got is within a relative tolerance of want.
func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if off := math.Abs(got - want); !(off <= relative*math.Abs(want)) {
		t.Errorf("%s: %.15g, want %.15g: relative difference %.2g, want %.2g at most", what, got, want, off/math.Abs(want), relative)
	} else {
		t.Logf("%s: relative difference %.2g", what, off/math.Abs(want))
	}
}

func statisticsOf(t testing.TB, features *tensor.Tensor) *Statistics {
	t.Helper()
	s, err := StatisticsOf(features)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The pairs have full covariances (ab), singular ones (ce: 20 and 24 samples
// of 32 features), and a full with a singular one (cf).
func TestFrechetAgreesWithPeers(t *testing.T) {
	g := testkit.Arrays(t, "testdata/golden.npz")
	for _, pair := range []string{"ab", "ce", "cf"} {
		a, b := statisticsOf(t, g[pair[:1]]), statisticsOf(t, g[pair[1:]])
		for _, order := range [][2]*Statistics{{a, b}, {b, a}} {
			got, err := Frechet(context.Background(), order[0], order[1])
			if err != nil {
				t.Fatal(err)
			}
			near(t, pair+" with 60 digits", got.Distance, g["fid_exact_"+pair].Float64s()[0], 1e-12)
			near(t, pair+" by pytorch-fid", got.Distance, g["fid_"+pair].Float64s()[0], 1e-6)
			near(t, pair+" by torch-fidelity", got.Distance, g["fid_torch_fidelity_"+pair].Float64s()[0], 1e-6)
			if len(got.Warnings) != 2 {
				t.Errorf("%s: warnings %q, want one for each set", pair, got.Warnings)
			}
		}
	}
	a := statisticsOf(t, g["a"])
	got, err := Frechet(context.Background(), a, a)
	if err != nil || math.Abs(got.Distance) > 1e-11 {
		t.Errorf("a distance from itself of %g, %v", got.Distance, err)
	}
}

func TestKernelDistanceAgreesWithTorchFidelity(t *testing.T) {
	g := testkit.Arrays(t, "testdata/golden.npz")
	got, err := KernelDistance(context.Background(), g["a"], g["b"], KernelOptions{SubsetSize: 200})
	if err != nil {
		t.Fatal(err)
	}
	for name, tolerance := range map[string]float64{"kid64_ab": 1e-11, "kid32_ab": 1e-6} {
		want := g[name].Float64s()
		near(t, name+" mean", got.Mean, want[0], tolerance)
		near(t, name+" deviation", got.Deviation, want[1], tolerance)
	}
	if got.Subsets != 100 || got.Warnings != nil {
		t.Errorf("%d subsets, warnings %q", got.Subsets, got.Warnings)
	}
	other, err := KernelDistance(context.Background(), g["a"], g["b"], KernelOptions{SubsetSize: 200, Seed: 1})
	if err != nil || other.Mean == got.Mean {
		t.Errorf("another seed: %g, %v, want another number than %g", other.Mean, err, got.Mean)
	}
}

func TestInceptionScoreAgreesWithTorchFidelity(t *testing.T) {
	g := testkit.Arrays(t, "testdata/golden.npz")
	logits := g["logits"]
	probabilities := tensor.Of(logits.Float64s(), logits.Shape()...)
	for i := range logits.Shape()[0] {
		softmax(tensor.Data[float64](probabilities)[20*i : 20*i+20])
	}
	for name, o := range map[string]ScoreOptions{"isc": {}, "isc_in_order": {InOrder: true}} {
		for _, rows := range []*tensor.Tensor{logits, probabilities} {
			o.Probabilities = rows == probabilities
			got, err := InceptionScore(context.Background(), rows, o)
			if err != nil {
				t.Fatal(err)
			}
			near(t, name+" mean", got.Mean, g[name].Float64s()[0], 1e-12)
			near(t, name+" deviation", got.Deviation, g[name].Float64s()[1], 1e-11)
			if got.Splits != 10 || len(got.Warnings) != 1 {
				t.Errorf("%d splits, warnings %q", got.Splits, got.Warnings)
			}
		}
	}
}

func TestManifoldAgreesWithPeers(t *testing.T) {
	g := testkit.Arrays(t, "testdata/golden.npz")
	for _, pair := range []string{"ab", "fc"} {
		got, err := Manifold(context.Background(), g[pair[:1]], g[pair[1:]], ManifoldOptions{})
		if err != nil {
			t.Fatal(err)
		}
		prc, dc := g["prc_"+pair].Float64s(), g["dc_"+pair].Float64s()
		// torch-fidelity's shares are float32.
		near(t, pair+" precision", got.Precision, prc[0], 1e-7)
		near(t, pair+" recall", got.Recall, prc[1], 1e-7)
		near(t, pair+" density", got.Density, dc[0], 1e-14)
		near(t, pair+" coverage", got.Coverage, dc[1], 1e-14)
		if len(got.Warnings) != 2 {
			t.Errorf("warnings %q, want one of few samples and one of unequal numbers", got.Warnings)
		}
	}
}

func TestRandomStateIsNumPys(t *testing.T) {
	g := testkit.Arrays(t, "testdata/golden.npz")
	for _, seed := range []uint32{0, 2020, math.MaxUint32} {
		s := newRandomState(seed)
		for i, want := range tensor.Data[int64](g[fmt.Sprintf("words_%d", seed)]) {
			if got := s.uint32(); int64(got) != want {
				t.Fatalf("seed %d: output %d is %d, want %d", seed, i, got, want)
			}
		}
		var got []int64
		for range 2 {
			for _, v := range s.permutation(1500)[:7] {
				got = append(got, int64(v))
			}
		}
		for _, v := range s.permutation(10) {
			got = append(got, int64(v))
		}
		want := slices.Concat(tensor.Data[int64](g[fmt.Sprintf("choice_%d", seed)]), tensor.Data[int64](g[fmt.Sprintf("permutation_%d", seed)]))
		if !slices.Equal(got, want) {
			t.Errorf("seed %d: %v, want %v", seed, got, want)
		}
	}
}
