package ebm_test

import (
	"math"
	"testing"

	"ebm"
	"ebm/internal/testkit"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// TestRiskIsTheErrorLeft: without the clean pictures the estimate has the mean of the
// true errors, of a network that denoises badly as of any other.
func TestRiskIsTheErrorLeft(t *testing.T) {
	testkit.Long(t)
	const sigma, n = 0.3, 400
	m, err := ebm.Load("mnist16")
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Open(t.Context(), ebm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	// Pictures that the model has never seen the like of.
	x := tensor.New(tensor.Float32, append([]int{n}, m.Shape()...)...)
	clean := x.Clone()
	each := x.Len() / n
	noise, level := make([]float32, each), make([]float32, 2)
	for i := range n {
		rng.New(1).Normal(noise, rng.TrainNoise, uint64(i), 0)
		rng.New(1).Uniform(level, rng.Density, uint64(i), 0)
		for j, v := range noise {
			c := level[j/16%2]
			tensor.Data[float32](clean)[i*each+j] = c
			tensor.Data[float32](x)[i*each+j] = c + sigma*v
		}
	}
	denoised, err := e.Denoise(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	sigmas := make([]float64, n)
	for i := range sigmas {
		sigmas[i] = sigma
	}
	risks, err := e.Risk(t.Context(), x, denoised, sigmas, 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	truth := ebm.Level(clean, denoised)
	sum, squares := 0.0, 0.0
	for i, r := range risks {
		d := r - truth[i]*truth[i]
		sum += d / n
		squares += d * d / n
	}
	if limit := 4 * math.Sqrt(squares/n); math.Abs(sum) > limit {
		t.Errorf("the mean estimate is off by %g, want %g at most", sum, limit)
	}
	if squares == 0 {
		t.Error("every estimate is the true error")
	}
	for what, bad := range map[string]func() ([]float64, error){
		"0 probes":       func() ([]float64, error) { return e.Risk(t.Context(), x, denoised, sigmas, 0, 5) },
		"1 noise levels": func() ([]float64, error) { return e.Risk(t.Context(), x, denoised, sigmas[:1], 1, 5) },
	} {
		_, err := bad()
		testkit.WantError(t, what, err, what)
	}
}
