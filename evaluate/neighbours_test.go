package evaluate

import (
	"context"
	"errors"
	"math"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/tensor"
)

// peers reads what scikit-learn and NumPy say; testdata/make_neighbours.py
// explains the names.
func peers(t testing.TB) map[string]*tensor.Tensor {
	t.Helper()
	arrays := testkit.Arrays(t, "testdata/neighbours.npz")
	return arrays
}

func TestNearestAgreesWithScikitLearn(t *testing.T) {
	g := peers(t)
	got, err := Nearest(t.Context(), g["queries"], g["set"], 5, nil)
	if err != nil {
		t.Fatal(err)
	}
	index, distance := tensor.Data[int64](g["index"]), g["distance"].Float64s()
	for i, row := range got.Index {
		for j, at := range row {
			if int64(at) != index[5*i+j] {
				t.Errorf("neighbour %d of query %d is %d, want %d", j, i, at, index[5*i+j])
			}
			if d := got.Distance[i][j]; math.Abs(d-distance[5*i+j]) > 1e-10 {
				t.Errorf("distance %d of query %d is %.15g, want %.15g", j, i, d, distance[5*i+j])
			}
		}
	}
	for i, at := range []int{7, 1299, 0, 511, 512} {
		if got.Index[i][0] != at || got.Distance[i][0] != 0 {
			t.Errorf("query %d equals sample %d and its nearest is %d at %g", i, at, got.Index[i][0], got.Distance[i][0])
		}
	}
}

// Samples at the same distance come in the order of their indices, in every
// number of threads and across tiles.
func TestNearestOrdersTiesByIndex(t *testing.T) {
	set := tensor.New(tensor.Float32, 1200, 2)
	for i := range 1200 {
		tensor.Data[float32](set)[2*i] = float32(i % 3)
	}
	queries := tensor.New(tensor.Float32, 1100, 2)
	for _, threads := range []int{1, 3} {
		before := goruntime.GOMAXPROCS(threads)
		got, err := Nearest(t.Context(), queries, set, 402, nil)
		goruntime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range got.Index {
			if !slices.Equal(row[:3], []int{0, 3, 6}) || !slices.Equal(row[399:], []int{1197, 1, 4}) || got.Distance[i][400] != 1 {
				t.Fatalf("%d threads: query %d has %v … %v", threads, i, row[:3], row[399:])
			}
		}
	}
}

func TestNearestRefuses(t *testing.T) {
	two, three := tensor.New(tensor.Float32, 4, 2), tensor.New(tensor.Float32, 4, 3)
	bad := tensor.Of([]float32{1, float32(math.NaN())}, 1, 2)
	for _, c := range []struct {
		queries, set *tensor.Tensor
		k            int
		want         string
	}{
		{two, three, 1, "equal numbers"},
		{two, two, 5, "5 nearest of 4"},
		{two, two, 0, "0 nearest"},
		{bad, two, 1, "not finite"},
		{two, nil, 1, "set"},
	} {
		if _, err := Nearest(t.Context(), c.queries, c.set, c.k, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v, %d: %v, want %q", c.queries, c.set, c.k, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Nearest(ctx, two, two, 1, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancelling: %v", err)
	}
}
