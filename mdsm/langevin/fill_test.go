package langevin

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// precision is that of a normal distribution of four values, all of them
// dependent: E = ½ (x−mu)ᵀ A (x−mu).
var precision = [4][4]float64{{4, 1, -0.5, 0.3}, {1, 3, 0.8, -0.6}, {-0.5, 0.8, 5, 1.2}, {0.3, -0.6, 1.2, 2.5}}

var centre = [4]float64{0.3, 0.5, 0.6, 0.4}

func gaussian4(x *graph.Node) *graph.Node {
	g := x.Graph()
	constant := func(shape []int, v ...float64) *graph.Node {
		return g.Constant(tensor.Of(v, shape...).AsFloat32())
	}
	var a []float64
	for _, row := range precision {
		a = append(a, row[:]...)
	}
	d := graph.Sub(x, graph.Broadcast(constant([]int{4}, centre[:]...), x.Shape()))
	return graph.Scale(graph.ReduceSum(graph.Mul(d, graph.MatMul(d, constant([]int{4, 4}, a...))), 1), 0.5)
}

func fillModels(t testing.TB, n energy.Network, w energy.Weights) Files {
	t.Helper()
	f, err := NewFillFiles(n, w, sigma0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// conditional returns the mean and the covariance of the two hidden values of a
// chain at temperature T, given the others. The mean is that of the conditional
// distribution, μ_h − A_hh⁻¹ A_hg (y − μ_g). The covariance is T·A_hh⁻¹ but for
// the step's size: with h = ε²/2 the chain is
//
//	x ← x − h A_hh (x − mean) − h A_hg σ₀√T n_g + √(2hT) n_h
//
// and so is the fixed point of S ← (1−hA_hh) S (1−hA_hh)ᵀ + 2hT + h²T σ₀² A_hg A_hgᵀ.
func conditional(hidden, given [2]int, y [2]float64, stepSize, temperature float64) (mean [2]float64, covariance [2][2]float64) {
	part := func(rows, columns [2]int) (m [2][2]float64) {
		for i, r := range rows {
			for j, c := range columns {
				m[i][j] = precision[r][c]
			}
		}
		return m
	}
	hh, hg := part(hidden, hidden), part(hidden, given)
	det := hh[0][0]*hh[1][1] - hh[0][1]*hh[1][0]
	inverse := [2][2]float64{{hh[1][1] / det, -hh[0][1] / det}, {-hh[1][0] / det, hh[0][0] / det}}
	var pull [2]float64
	for i := range 2 {
		for j := range 2 {
			pull[i] += hg[i][j] * (y[j] - centre[given[j]])
		}
	}
	for i := range 2 {
		mean[i] = centre[hidden[i]] - inverse[i][0]*pull[0] - inverse[i][1]*pull[1]
	}
	h := stepSize * stepSize / 2
	step := [2][2]float64{{1 - h*hh[0][0], -h * hh[0][1]}, {-h * hh[1][0], 1 - h*hh[1][1]}}
	for range 10000 {
		var next [2][2]float64
		for i := range 2 {
			for j := range 2 {
				for k := range 2 {
					next[i][j] += h * h * temperature * sigma0 * sigma0 * hg[i][k] * hg[j][k]
					for l := range 2 {
						next[i][j] += step[i][k] * covariance[k][l] * step[j][l]
					}
				}
			}
			next[i][i] += 2 * h * temperature
		}
		covariance = next
	}
	return mean, covariance
}

// TestFillsOfAGaussian compares the mean and the covariance of completions with
// those that are known, at five standard errors, for two pictures with masks of
// their own, and the jump of hidden values with its formula. With small steps
// the covariance is within 2 % of T·A_hh⁻¹, that of the conditional
// distribution.
func TestFillsOfAGaussian(t *testing.T) {
	testkit.Long(t)
	const count, stepSize = 4096, 0.15
	s := sampler(t, 2, fillModels(t, points{4, gaussian4}, nil))
	masks := [][2]int{{0, 2}, {1, 3}}
	givens := [][2]int{{1, 3}, {0, 2}}
	pictures := []float32{9, 0.9, -9, 0.1, 0.2, 9, 1.4, 9} // what is hidden has no effect
	for _, temperature := range []float64{1, 4} {
		for _, raw := range []bool{true, false} {
			set := Settings{
				Schedule: Schedule{Cooling: Constant, Steps: 300, Cool: temperature}, StepSize: stepSize, Start: Start{Mean: 0.5, Sigma: 1},
				Count: 2 * count, Seed: 3, Raw: raw,
				Fill: &Fill{Pictures: tensor.Of(pictures, 2, 4), Hidden: tensor.Of([]float32{1, 0, 1, 0, 0, 1, 0, 1}, 2, 4), Completions: count},
			}
			x, _ := all(t, s, set)
			values := x.Float64s()
			for p := range 2 {
				hidden, given := masks[p], givens[p]
				y := [2]float64{float64(pictures[4*p+given[0]]), float64(pictures[4*p+given[1]])}
				mean, covariance := conditional(hidden, given, y, stepSize, temperature)
				if !raw {
					// x − σ₀²A_hh(x − mean) keeps the mean, and shrinks what is off it.
					covariance = shrunk(covariance, hidden)
				}
				var got [2]float64
				var square [2][2]float64
				for i := range count {
					row := values[4*(p*count+i):]
					if row[given[0]] != y[0] || row[given[1]] != y[1] {
						t.Fatalf("given values %v became %v, %v", y, row[given[0]], row[given[1]])
					}
					for a := range 2 {
						got[a] += row[hidden[a]] / count
						for b := range 2 {
							square[a][b] += (row[hidden[a]] - mean[a]) * (row[hidden[b]] - mean[b]) / count
						}
					}
				}
				what := fmt.Sprintf("picture %d at temperature %g, raw %v", p, temperature, raw)
				for a := range 2 {
					if off := math.Abs(got[a]-mean[a]) / math.Sqrt(covariance[a][a]/count); off > 5 {
						t.Errorf("%s: mean %v, want %v, is %.1f standard errors off", what, got, mean, off)
					}
					for b := range 2 {
						se := math.Sqrt((covariance[a][a]*covariance[b][b] + covariance[a][b]*covariance[a][b]) / count)
						if off := math.Abs(square[a][b]-covariance[a][b]) / se; off > 5 {
							t.Errorf("%s: covariance %v, want %v, is %.1f standard errors off", what, square, covariance, off)
						}
					}
				}
			}
		}
	}
	_, fine := conditional([2]int{0, 2}, [2]int{1, 3}, [2]float64{}, 0.02, 1)
	det := 4*5 - 0.25
	for i, want := range []float64{5 / det, 4 / det} {
		if math.Abs(fine[i][i]/want-1) > 0.02 {
			t.Errorf("with small steps the covariance is %v, want %g at %d", fine, want, i)
		}
	}
}

// shrunk returns the covariance after the jump of the hidden values.
func shrunk(c [2][2]float64, hidden [2]int) (out [2][2]float64) {
	var keep [2][2]float64
	for i, r := range hidden {
		for j, s := range hidden {
			keep[i][j] = -sigma0 * sigma0 * precision[r][s]
		}
		keep[i][i]++
	}
	for i := range 2 {
		for j := range 2 {
			for k := range 2 {
				for l := range 2 {
					out[i][j] += keep[i][k] * c[k][l] * keep[j][l]
				}
			}
		}
	}
	return out
}

// TestFillsHaveTheSameBits on any number of threads, in any batch, block and
// part of the range.
func TestFillsHaveTheSameBits(t *testing.T) {
	m := fillModels(t, small, energy.Init(small, rng.New(3)))
	pictures, mask := tensor.New(tensor.Float32, 5, 1, 16, 16), tensor.New(tensor.Float32, 1, 1, 16, 16)
	rng.New(6).Uniform(tensor.Data[float32](pictures), rng.Probe, 0, 0)
	for i := range 128 {
		tensor.Data[float32](mask)[i] = 1
	}
	set := short(35, 11)
	set.Fill = &Fill{Pictures: pictures, Hidden: mask, Completions: 7}
	want, _ := all(t, sampler(t, 1, m), set)
	two := sampler(t, 2, m)
	for _, batch := range []int{0, 50, 7} {
		set.Batch, set.StepsPerRun = batch, batch%4
		got, _ := all(t, two, set)
		equalBits(t, fmt.Sprintf("batch %d", batch), got, want)
	}
	part := set
	part.First, part.Count = 20, 9
	got, _ := all(t, two, part)
	equalBits(t, "a part", got, tensor.Of(tensor.Data[float32](want)[20*256:29*256], 9, 1, 16, 16))
	for i := range 35 {
		for j := 128; j < 256; j++ {
			if tensor.Data[float32](want)[i*256+j] != tensor.Data[float32](pictures)[i/7*256+j] {
				t.Fatalf("sample %d: given pixel %d has moved", i, j)
			}
		}
	}
	if math.Abs(float64(tensor.Data[float32](want)[0]-tensor.Data[float32](want)[256])) < 1e-3 {
		t.Error("two completions of a picture are alike")
	}
}

// TestStartFromPoints: chains of no noise and temperature 0 begin at the points.
func TestStartFromPoints(t *testing.T) {
	s := sampler(t, 2, models(t, small))
	x := tensor.New(tensor.Float32, 3, 1, 16, 16)
	rng.New(6).Uniform(tensor.Data[float32](x), rng.Probe, 0, 0)
	set := short(7, 1)
	set.Schedule, set.StepSize, set.Raw = Schedule{Cooling: Constant, Steps: 1, Cool: 1e-12}, 1e-12, true
	set.Start = Start{From: x}
	got, _ := all(t, s, set)
	for i := range 7 {
		equalBits(t, fmt.Sprintf("sample %d", i), tensor.Of(tensor.Data[float32](got)[i*256:(i+1)*256], 256),
			tensor.Of(tensor.Data[float32](x)[i%3*256:(i%3+1)*256], 256))
	}
	set.Start.Sigma = 0.5
	got, _ = all(t, s, set)
	sum := 0.0
	for i := range 256 {
		d := float64(tensor.Data[float32](got)[i] - tensor.Data[float32](x)[i])
		sum += d * d / 256
	}
	if math.Abs(math.Sqrt(sum)-0.5) > 0.1 {
		t.Errorf("the noise on the start is %g, want 0.5", math.Sqrt(sum))
	}
}

func TestFillsThatDoNotFit(t *testing.T) {
	s := sampler(t, 1, fillModels(t, small, energy.Init(small, rng.New(3))))
	fill := func(pictures, masks, completions int) *Fill {
		return &Fill{Pictures: tensor.New(tensor.Float32, pictures, 1, 16, 16), Hidden: tensor.New(tensor.Float32, masks, 1, 16, 16),
			Completions: completions}
	}
	grey := fill(2, 1, 1)
	tensor.Data[float32](grey.Hidden)[7] = 0.5
	nan := fill(2, 1, 1)
	tensor.Data[float32](nan.Pictures)[7] = float32(math.NaN())
	narrow := fill(2, 1, 1)
	narrow.Hidden = tensor.New(tensor.Float32, 1, 1, 16, 8)
	both := short(2, 1)
	both.Start.From = fill(2, 1, 1).Pictures
	for want, set := range map[string]Settings{
		"3 masks for 2 pictures": {Fill: fill(2, 3, 1), Count: 2},
		"0 completions":          {Fill: fill(2, 1, 0), Count: 2},
		"value 7 of the masks":   {Fill: grey, Count: 2},
		"pictures: value 7":      {Fill: nan, Count: 2},
		"masks are float32":      {Fill: narrow, Count: 2},
		"that have 2":            {Fill: fill(2, 1, 1), Count: 3},
		"only one of them":       {Fill: fill(2, 1, 1), Count: 2, Start: both.Start},
	} {
		full := short(set.Count, 1)
		full.Fill, full.Start = set.Fill, set.Start
		if _, err := s.Sample(t.Context(), full, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	plain := sampler(t, 1, models(t, small))
	set := short(2, 1)
	set.Fill = fill(2, 1, 1)
	if _, err := plain.Sample(t.Context(), set, func(int, *tensor.Tensor) error { return nil }); err == nil {
		t.Error("a sampler without the model of masked steps fills in pictures")
	}
}
