package restore

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"ebm/internal/testkit"
	"ebm/models/energy"
	"ebm/models/tensor"
)

// TestGaussianPosterior: with a normal prior the posterior is normal, with
// covariance (C⁻¹ + AᵀA/σ_y²)⁻¹; mean and covariance of the samples are those, for a
// matrix of full rank, for one that lacks it and for a mask.
func TestGaussianPosterior(t *testing.T) {
	testkit.Long(t)
	prior := energy.Gaussian{Mean: []float64{0.2, -0.1, 0.4, 0}, Sigma: []float64{0.3, 0.2, 0.5, 0.4}}
	n := energy.Known{Density: prior}
	const sigma0, sigma, count = 0.2, 0.15, 4096
	for name, a := range map[string]*Operator{
		"full":      matrix(t, random(1, 4), random(2, 4), random(3, 4)),
		"deficient": matrix(t, []float64{1, 2, 0, -1}, []float64{2, 4, 0, -2}, []float64{0, 1, 1, 0}),
		"mask":      matrix(t, []float64{1, 0, 0, 0}, []float64{0, 0, 1, 0}),
	} {
		truth := []float64{0.5, 0.1, 0.9, -0.5}
		p, err := Measure(a, tensor.Of(truth, 1, 4), sigma, 7)
		if err != nil {
			t.Fatal(err)
		}
		s := sampler(t, n, nil, a, sigma0, 2)
		x, err := s.Run(t.Context(), p, Settings{Updates: eq8(0.06, []float64{9, 4, 2}, 700), Exact: true, Spread: 1,
			Samples: count, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		mean, cov := posterior(prior, a, p.Measured.Float64s(), sigma)
		gotMean, gotCov := moments(x)
		for i := range mean {
			spread := math.Sqrt(cov.At(i, i))
			if d := math.Abs(gotMean[i] - mean[i]); d > 4.5*spread/math.Sqrt(count) {
				t.Errorf("%s: mean %d is %g, want %g ± %g", name, i, gotMean[i], mean[i], spread/math.Sqrt(count))
			}
			for j := range mean {
				unit := spread * math.Sqrt(cov.At(j, j))
				// 4.5 standard errors, and 1 % for the steps' size.
				if d := math.Abs(gotCov[i][j] - cov.At(i, j)); d > unit*(4.5*math.Sqrt(2.0/count)+0.012) {
					t.Errorf("%s: covariance %d, %d is %g, want %g", name, i, j, gotCov[i][j], cov.At(i, j))
				}
			}
		}
	}
}

// posterior returns the mean and covariance for a normal prior.
func posterior(prior energy.Gaussian, a *Operator, y []float64, sigma float64) ([]float64, *mat.Dense) {
	d := prior.Dim()
	precision, right := mat.NewDense(d, d, nil), mat.NewVecDense(d, nil)
	var columns [][]float64
	for i := range d {
		unit := make([]float64, d)
		unit[i] = 1
		columns = append(columns, a.Apply(unit))
	}
	for i := range d {
		for j := range d {
			for k := range y {
				precision.Set(i, j, precision.At(i, j)+columns[i][k]*columns[j][k]/(sigma*sigma))
			}
		}
		inverse := 1 / (prior.Sigma[i] * prior.Sigma[i])
		precision.Set(i, i, precision.At(i, i)+inverse)
		sum := inverse * prior.Mean[i]
		for k := range y {
			sum += columns[i][k] * y[k] / (sigma * sigma)
		}
		right.SetVec(i, sum)
	}
	var cov mat.Dense
	if err := cov.Inverse(precision); err != nil {
		panic(err)
	}
	var mean mat.VecDense
	mean.MulVec(&cov, right)
	return mean.RawVector().Data, &cov
}

func moments(x *tensor.Tensor) (mean []float64, cov [][]float64) {
	n, d, values := x.Shape()[0], x.Shape()[1], x.Float64s()
	mean, cov = make([]float64, d), make([][]float64, d)
	for i := range values {
		mean[i%d] += values[i] / float64(n)
	}
	for i := range cov {
		cov[i] = make([]float64, d)
		for j := range d {
			for k := range n {
				cov[i][j] += (values[k*d+i] - mean[i]) * (values[k*d+j] - mean[j]) / float64(n-1)
			}
		}
	}
	return mean, cov
}

// TestMixturePosterior: of three clusters on a plane, of which x₀ + x₁ is measured,
// the posterior is a mixture with other weights, means and widths.
func TestMixturePosterior(t *testing.T) {
	testkit.Long(t)
	prior := energy.Clusters{Means: [][]float64{{-0.6, 0.6}, {0.5, -0.3}, {0.2, 0.3}}, Weights: []float64{1, 1, 1}, Sigma: 0.2}
	a := matrix(t, []float64{1, 1})
	const sigma, y, count = 0.3, 0.35, 4096
	s := sampler(t, energy.Known{Density: prior}, nil, a, 0.2, 2)
	var hot []float64
	for k := range 200 {
		hot = append(hot, math.Pow(30, 1-float64(k)/200))
	}
	p := Problem{Operator: a, Measured: tensor.Of([]float64{y}, 1, 1), Sigma: sigma}
	x, err := s.Run(t.Context(), p, Settings{Updates: eq8(0.08, hot, 500), Exact: true, Spread: 1, Samples: count, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	// Each cluster N(m, w²) becomes normal with its weight times N(y; Σm, 2w² + σ²).
	v := 2*prior.Sigma*prior.Sigma + sigma*sigma
	weights, means, total := make([]float64, 3), make([][2]float64, 3), 0.0
	for k, m := range prior.Means {
		off := y - m[0] - m[1]
		weights[k] = math.Exp(-off * off / (2 * v))
		total += weights[k]
		gain := prior.Sigma * prior.Sigma / v * off
		means[k] = [2]float64{m[0] + gain, m[1] + gain}
	}
	var want [2]float64
	for k, w := range weights {
		want[0] += w / total * means[k][0]
		want[1] += w / total * means[k][1]
	}
	mean, cov := moments(x)
	for i := range want {
		if d := math.Abs(mean[i] - want[i]); d > 4.5*math.Sqrt(cov[i][i]/count)+0.01 {
			t.Errorf("mean %d is %g, want %g", i, mean[i], want[i])
		}
	}
}
