package evaluate

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// normals makes features [n, d] around a mean that is far from 0.
func normals(n, d int, seed uint64) *tensor.Tensor {
	t := tensor.New(tensor.Float32, n, d)
	rng.New(seed).Normal(tensor.Data[float32](t), 1, 0, 0)
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] += 1000
	}
	return t
}

func part(t *tensor.Tensor, from, to int) *tensor.Tensor {
	d := t.Shape()[1]
	return tensor.Of(tensor.Data[float32](t)[from*d:to*d], to-from, d)
}

func TestStatisticsAgreeWithNumPy(t *testing.T) {
	want, err := ReadStatistics("testdata/pytorch_fid.npz")
	if err != nil {
		t.Fatal(err)
	}
	got := statisticsOf(t, testkit.Arrays(t, "testdata/golden.npz")["a"])
	if want.Count != 0 || got.Count != 1200 {
		t.Errorf("counts %d and %d, want 0 in the file and 1200", want.Count, got.Count)
	}
	closeTo(t, got, want, 1e-13)
}

func closeTo(t *testing.T, got, want *Statistics, relative float64) {
	t.Helper()
	for i := range want.Mean {
		if math.Abs(got.Mean[i]-want.Mean[i]) > relative*math.Abs(want.Mean[i]) {
			t.Errorf("mean %d: %.17g, want %.17g", i, got.Mean[i], want.Mean[i])
		}
	}
	scale := 0.0
	for _, v := range want.Covariance {
		scale = max(scale, math.Abs(v))
	}
	for i := range want.Covariance {
		if math.Abs(got.Covariance[i]-want.Covariance[i]) > relative*scale {
			t.Errorf("covariance %d: %.17g, want %.17g", i, got.Covariance[i], want.Covariance[i])
		}
	}
}

// Batches do not change a bit; shards change the order of sums.
func TestBatchesAndShards(t *testing.T) {
	const n, d = 1500, 5
	features := normals(n, d, 1)
	whole := statisticsOf(t, features)

	batches, _ := NewAccumulator(d)
	for from, size := 0, 1; from < n; from, size = from+size, size+37 {
		if err := batches.Add(part(features, from, min(n, from+size))); err != nil {
			t.Fatal(err)
		}
		if batches.Count() > 1 {
			if _, err := batches.Statistics(); err != nil { // must not disturb what follows
				t.Fatal(err)
			}
		}
	}
	got, err := batches.Statistics()
	if err != nil || !slices.Equal(got.Mean, whole.Mean) || !slices.Equal(got.Covariance, whole.Covariance) || got.Count != n {
		t.Errorf("batches: %+v, %v, want %+v", got, err, whole)
	}

	merged, _ := NewAccumulator(d)
	for _, shard := range [][2]int{{0, 1}, {1, 1}, {1, 700}, {700, n}} {
		a, _ := NewAccumulator(d)
		if err := a.Add(part(features, shard[0], shard[1])); err != nil {
			t.Fatal(err)
		}
		if err := merged.Merge(a); err != nil {
			t.Fatal(err)
		}
	}
	got, err = merged.Statistics()
	if err != nil || got.Count != n {
		t.Fatalf("%d samples, %v", got.Count, err)
	}
	closeTo(t, got, whole, 1e-12)
	if err := merged.Merge(merged); err != nil || merged.Count() != 2*n {
		t.Errorf("merged with itself: %d samples, %v, want %d", merged.Count(), err, 2*n)
	}
}

func TestStatisticsFile(t *testing.T) {
	want := statisticsOf(t, normals(40, 7, 2))
	path := filepath.Join(t.TempDir(), "s.npz")
	if err := want.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadStatistics(path)
	if err != nil || !slices.Equal(got.Mean, want.Mean) || !slices.Equal(got.Covariance, want.Covariance) || got.Count != 40 {
		t.Fatalf("%+v, %v, want %+v", got, err, want)
	}
	// What pytorch-fid looks for: mu and sigma, of float64.
	arrays, err := npz.ReadFile(path)
	if err != nil || arrays["mu"].String() != "float64[7]" || arrays["sigma"].String() != "float64[7 7]" {
		t.Errorf("%v, %v", arrays, err)
	}
}

func TestStatisticsFileErrors(t *testing.T) {
	ones := func(shape ...int) *tensor.Tensor {
		x := tensor.New(tensor.Float64, shape...)
		for i := range tensor.Data[float64](x) {
			tensor.Data[float64](x)[i] = 1
		}
		return x
	}
	nan := ones(2)
	tensor.Data[float64](nan)[1] = math.NaN()
	for _, test := range []struct {
		arrays map[string]*tensor.Tensor
		want   string
	}{
		{map[string]*tensor.Tensor{"mu": ones(2)}, "arrays [mu], want mu and sigma"},
		{map[string]*tensor.Tensor{"mu": ones(2), "sigma": ones(2, 3)}, "mu has the shape [2] and sigma [2 3]"},
		{map[string]*tensor.Tensor{"mu": ones(2, 1), "sigma": ones(2, 2)}, "mu is float64[2 1], want floats with 1 axes"},
		{map[string]*tensor.Tensor{"mu": tensor.New(tensor.Int64, 2), "sigma": ones(2, 2)}, "mu is int64[2]"},
		{map[string]*tensor.Tensor{"mu": nan, "sigma": ones(2, 2)}, "the mean of feature 1 is not finite"},
		{map[string]*tensor.Tensor{"mu": ones(2), "sigma": tensor.Of([]float64{1, 2, 0, 1}, 2, 2)}, "not symmetric: 0 at [1 0] and 2 at [0 1]"},
		{map[string]*tensor.Tensor{"mu": ones(1), "sigma": ones(1, 1), "count": tensor.Of([]int64{-1})}, "count is -1"},
		{map[string]*tensor.Tensor{"mu": ones(1), "sigma": ones(1, 1), "count": ones(1)}, "count is float64[1]"},
	} {
		path := filepath.Join(t.TempDir(), "s.npz")
		var b bytes.Buffer
		if err := npz.Write(&b, test.arrays, npz.Store); err != nil {
			t.Fatal(err)
		}
		testkit.Write(t, path, b.Bytes())
		if _, err := ReadStatistics(path); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want %q and the file", err, test.want)
		}
	}
	if _, err := ReadStatistics("testdata/none.npz"); !os.IsNotExist(errUnwrapAll(err)) {
		t.Errorf("no file: %v", err)
	}
	if err := (&Statistics{Mean: []float64{1}}).Write(&bytes.Buffer{}); err == nil {
		t.Error("a covariance without numbers was written")
	}
}

func errUnwrapAll(err error) error {
	for {
		next, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		if _, ok := err.(*os.PathError); ok {
			return err
		}
		err = next.Unwrap()
	}
}

func TestAccumulatorErrors(t *testing.T) {
	a, err := NewAccumulator(3)
	if err != nil {
		t.Fatal(err)
	}
	bad := tensor.New(tensor.Float32, 4, 3)
	tensor.Data[float32](bad)[7] = float32(math.NaN())
	for _, test := range []struct {
		features *tensor.Tensor
		want     string
	}{
		{bad, "feature 1 of sample 2 is not finite"},
		{tensor.New(tensor.Float32, 4, 2), "samples have 2 features, those before had 3"},
		{tensor.New(tensor.Uint8, 4, 3), "uint8[4 3], want floats"},
		{tensor.New(tensor.Float32, 3), "float32[3], want floats of shape"},
		{nil, "want floats of shape"},
	} {
		if err := a.Add(test.features); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
	if a.Count() != 0 {
		t.Errorf("%d samples after errors alone", a.Count())
	}
	if err := a.Add(tensor.New(tensor.Float16, 1, 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Statistics(); err == nil || !strings.Contains(err.Error(), "1 samples, want 2 at least") {
		t.Errorf("one sample: %v", err)
	}
	other, _ := NewAccumulator(2)
	if a.Merge(other) == nil {
		t.Error("accumulators of 3 and 2 features were merged")
	}
	for _, d := range []int{-1, 0, 1 << 20} {
		if _, err := NewAccumulator(d); err == nil {
			t.Errorf("an accumulator of %d features", d)
		}
	}
}

func TestFrechetErrors(t *testing.T) {
	of := func(covariance ...float64) *Statistics {
		d := int(math.Sqrt(float64(len(covariance))))
		return &Statistics{Mean: make([]float64, d), Covariance: covariance}
	}
	ok := of(1, 0, 0, 1)
	for _, test := range []struct {
		a, b *Statistics
		want string
	}{
		{ok, of(1), "statistics of 2 and of 1 features"},
		{of(1, 2, 2, 1), ok, "negative eigenvalues"},
		{ok, of(0, 1, 1, 0), "negative eigenvalues"},
		{ok, of(-1, 0, 0, -1), "negative eigenvalues"},
		{of(1, 0, 0, math.Inf(1)), ok, "features 1 and 1 is not finite"},
		{of(), ok, "a mean of 0 features"},
	} {
		if _, err := Frechet(context.Background(), test.a, test.b); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Frechet(stopped, ok, ok); err != context.Canceled {
		t.Errorf("stopped: %v", err)
	}
}

// Formulas that are known: constant samples, and one feature.
func TestFrechetOfKnownDistributions(t *testing.T) {
	for _, test := range []struct{ ma, va, mb, vb, want float64 }{
		{1, 0, 3, 0, 4},
		{0, 4, 0, 0, 4},
		{0, 4, 1, 9, 2},
	} {
		a := &Statistics{Mean: []float64{test.ma}, Covariance: []float64{test.va}}
		b := &Statistics{Mean: []float64{test.mb}, Covariance: []float64{test.vb}}
		got, err := Frechet(context.Background(), a, b)
		if err != nil || math.Abs(got.Distance-test.want) > 1e-14 || got.Warnings != nil {
			t.Errorf("%+v: %+v, %v", test, got, err)
		}
	}
}

func FuzzReadStatistics(f *testing.F) {
	seed := testkit.Read(f, "testdata/pytorch_fid.npz")
	f.Add(seed)
	f.Add(seed[:len(seed)/2])
	f.Add([]byte("PK"))
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "s.npz")
		testkit.Write(t, path, file)
		if s, err := ReadStatistics(path); err == nil && len(s.Covariance) != len(s.Mean)*len(s.Mean) {
			t.Errorf("%d means and %d covariances", len(s.Mean), len(s.Covariance))
		}
	})
}
