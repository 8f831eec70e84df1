package ais

import (
	"math"
	"slices"
)

// Doubtful is the Pareto shape k̂ above which the mean of weights, and every
// error bar of it, is not to be believed (Vehtari, Simpson, Gelman, Yao and
// Gabry, Pareto smoothed importance sampling, JMLR 2024, section 3).
const Doubtful = 0.7

// ParetoShape estimates the shape k of a generalised Pareto distribution of the
// largest weights exp(v): moments of order 1/k and above do not exist, so that
// with k over 1/2 the weights have no variance, and over 1 no mean. The tail is
// the largest min(S/5, 3√S) of S weights. It is +Inf for tails of four or
// fewer, which say nothing.
func ParetoShape(v []float64) float64 {
	n := len(v)
	size := int(math.Ceil(min(float64(n)/5, 3*math.Sqrt(float64(n)))))
	if n == 0 || size >= n {
		return math.Inf(1)
	}
	sorted := slices.Sorted(slices.Values(v))
	most := sorted[n-1]
	cut := math.Exp(max(sorted[n-1-size]-most, math.Log(math.SmallestNonzeroFloat64)))
	var tail []float64
	for _, x := range sorted[n-size:] {
		if excess := math.Exp(x-most) - cut; excess > 0 {
			tail = append(tail, excess)
		}
	}
	if len(tail) <= 4 {
		return math.Inf(1)
	}
	return fitPareto(tail)
}

// fitPareto estimates the shape of ascending excesses by the posterior mean of
// Zhang and Stephens (A new and efficient estimation method for the generalized
// Pareto distribution, Technometrics 2009), and shrinks it towards 1/2 as ten
// more observations would.
func fitPareto(x []float64) float64 {
	const prior, scale, shrink = 0.5, 3, 10
	n := float64(len(x))
	grid := 30 + int(math.Sqrt(n))
	quartile := x[int(n/4+0.5)-1]
	// k(b) = mean log(1 − b·x), and the profile likelihood of b = −k/σ.
	shape := func(b float64) float64 {
		sum := 0.0
		for _, v := range x {
			sum += math.Log1p(-b * v)
		}
		return sum / n
	}
	bs, likelihoods := make([]float64, grid), make([]float64, grid)
	for i := range bs {
		b := (1-math.Sqrt(float64(grid)/(float64(i)+0.5)))/(scale*quartile) + 1/x[len(x)-1]
		k := shape(b)
		bs[i], likelihoods[i] = b, n*(math.Log(-b/k)-k-1)
	}
	best := slices.Max(likelihoods)
	var sum, mean float64
	for i, l := range likelihoods {
		w := math.Exp(l - best)
		sum += w
		mean += w * bs[i]
	}
	return (n*shape(mean/sum) + shrink*prior) / (n + shrink)
}
