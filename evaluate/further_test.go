package evaluate

import (
	"testing"

	"ebm/internal/testkit"
	"ebm/models/tensor"
)

func further(t *testing.T) map[string]*tensor.Tensor {
	t.Helper()
	return testkit.Arrays(t, "testdata/further.npz")
}

func multiplierOf(t *testing.T) *Multiplier {
	t.Helper()
	m, err := NewMultiplier(testkit.Open(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestGaussianKernelAgreesWithTorchFidelity(t *testing.T) {
	g, want := testkit.Arrays(t, "testdata/golden.npz"), further(t)["kid_rbf_ab"].Float64s()
	for _, m := range []*Multiplier{nil, multiplierOf(t)} {
		got, err := KernelDistance(t.Context(), g["a"], g["b"], KernelOptions{SubsetSize: 200, Sigma: 2, Multiplier: m})
		if err != nil {
			t.Fatal(err)
		}
		near(t, "mean", got.Mean, want[0], 1e-10)
		near(t, "deviation", got.Deviation, want[1], 1e-10)
	}
	_, err := KernelDistance(t.Context(), g["a"], g["b"], KernelOptions{SubsetSize: 200, Sigma: -1})
	testkit.WantError(t, "a width below 0", err, "width -1")
}

func TestKernelDistanceOfASetFromItself(t *testing.T) {
	a := testkit.Arrays(t, "testdata/golden.npz")["a"]
	got, err := KernelDistance(t.Context(), a, a.Clone(), KernelOptions{SubsetSize: 200})
	if err != nil || got.Mean != 0 || got.Deviation != 0 || len(got.Warnings) != 1 {
		t.Errorf("%+v, %v, want 0 and a remark", got, err)
	}
}

func TestMemorizationAgreesWithTorchmetrics(t *testing.T) {
	g, want, m := testkit.Arrays(t, "testdata/golden.npz"), further(t), multiplierOf(t)
	for _, pair := range []string{"ab", "ba", "fc"} {
		x, y := g[pair[:1]], g[pair[1:]]
		got, err := Memorization(t.Context(), x, y, m, nil)
		if err != nil {
			t.Fatal(err)
		}
		near(t, pair, got.Distance, want["memorization_"+pair].Float64s()[0], 1e-10)
		f, err := m.Frechet(t.Context(), statisticsOf(t, x), statisticsOf(t, y))
		if err != nil {
			t.Fatal(err)
		}
		// torchmetrics' square root of a singular covariance (fc) has half of the digits.
		near(t, pair+", with the penalty", f.Distance*got.Penalty(), want["mifid_"+pair].Float64s()[0], 1e-7)
	}
	one, err := Memorization(t.Context(), g["a"], g["b"], nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the reverse", one.Reverse, want["memorization_ba"].Float64s()[0], 1e-10)
	if p := (MemorizationResult{Distance: 0.2}).Penalty(); p != 1 {
		t.Errorf("a penalty of %g far from the data, want none", p)
	}
	if _, err := Memorization(t.Context(), tensor.New(tensor.Float32, 5, 16), g["b"], nil, nil); err == nil {
		t.Error("features of 0: no error")
	}
}

func TestVendiAgreesWithItsAuthors(t *testing.T) {
	g, want := testkit.Arrays(t, "testdata/golden.npz"), further(t)
	for _, set := range []string{"a", "c", "f"} {
		for _, m := range []*Multiplier{nil, multiplierOf(t)} {
			got, err := Vendi(t.Context(), g[set], m)
			if err != nil {
				t.Fatal(err)
			}
			near(t, set, got, want["vendi_"+set].Float64s()[0], 1e-11)
		}
	}
	// Samples at right angles are as many as there are; equal ones are one.
	eye, same := tensor.New(tensor.Float32, 5, 7), tensor.New(tensor.Float32, 5, 7)
	for i := range 5 {
		tensor.Data[float32](eye)[i*7+i], tensor.Data[float32](same)[i*7+2] = float32(i+1), float32(i+1)
	}
	for x, n := range map[*tensor.Tensor]float64{eye: 5, same: 1} {
		got, err := Vendi(t.Context(), x, nil)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "by hand", got, n, 1e-12)
	}
	if _, err := Vendi(t.Context(), tensor.New(tensor.Float32, 5, 7), nil); err == nil {
		t.Error("features of 0: no error")
	}
}

func TestCMMDIsItsDefinition(t *testing.T) {
	g, want := testkit.Arrays(t, "testdata/golden.npz"), further(t)
	for _, pair := range []string{"ab", "ba", "fc"} {
		got, err := CMMD(t.Context(), g[pair[:1]], g[pair[1:]], multiplierOf(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		near(t, pair, got, want["cmmd_"+pair].Float64s()[0], 1e-8)
	}
	if got, err := CMMD(t.Context(), g["a"], g["a"], nil, nil); err != nil || got != 0 {
		t.Errorf("of a set and itself %g, %v, want 0", got, err)
	}
}
