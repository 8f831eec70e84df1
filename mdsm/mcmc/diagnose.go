package mcmc

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Diagnostics say how good a quantity's draws are.
type Diagnostics struct {
	Mean   float64 `json:"mean"`
	StdDev float64 `json:"std_dev"`
	// StdErr is the Monte Carlo error of the mean, StdDev/√ESS with the effective
	// sample size of the draws as they are.
	StdErr float64 `json:"std_err"`
	// RHat is the larger of rank-normalised split R̂ and its folded form; about 1
	// is good, above 1.01 is not.
	RHat float64 `json:"r_hat"`
	// Bulk and Tail are effective sample sizes: of rank-normalised draws, and the
	// smaller of those of the quantiles 5 % and 95 %.
	Bulk float64 `json:"ess_bulk"`
	Tail float64 `json:"ess_tail"`
}

// leastDraws is the number of draws of a chain below which halves say nothing.
const leastDraws = 4

// Diagnose returns the diagnostics of draws [chains][draws]. Each chain must have as many
// draws as the others, four or more, and all must be finite. Draws that do not
// vary have effective sample sizes of their number, and no R̂ (NaN).
func Diagnose(chains [][]float64) (Diagnostics, error) {
	if len(chains) == 0 || len(chains[0]) < leastDraws {
		return Diagnostics{}, fmt.Errorf("diagnostics of %d chains, want %d draws or more of each", len(chains), leastDraws)
	}
	for i, c := range chains {
		if len(c) != len(chains[0]) {
			return Diagnostics{}, fmt.Errorf("diagnostics: chain %d has %d draws, chain 0 %d", i, len(c), len(chains[0]))
		}
		for j, v := range c {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return Diagnostics{}, fmt.Errorf("diagnostics: draw %d of chain %d is %g", j, i, v)
			}
		}
	}
	halves := split(chains)
	all := slices.Concat(chains...)
	mean, variance := moments(all)
	d := Diagnostics{Mean: mean, StdDev: math.Sqrt(variance)}
	d.StdErr = d.StdDev / math.Sqrt(effective(halves))
	d.RHat = max(rHat(ranked(halves)), rHat(ranked(folded(halves, all))))
	d.Bulk = effective(ranked(halves))
	d.Tail = min(effective(below(halves, quantile(all, 0.05))), effective(below(halves, quantile(all, 0.95))))
	return d, nil
}

// split cuts each chain in two halves; the middle one of an odd number of draws
// belongs to neither.
func split(chains [][]float64) [][]float64 {
	var halves [][]float64
	for _, c := range chains {
		n := len(c) / 2
		halves = append(halves, c[:n], c[len(c)-n:])
	}
	return halves
}

// mapped returns f of every draw.
func mapped(chains [][]float64, f func(float64) float64) [][]float64 {
	out := make([][]float64, len(chains))
	for i, c := range chains {
		out[i] = make([]float64, len(c))
		for j, v := range c {
			out[i][j] = f(v)
		}
	}
	return out
}

// folded returns distances from the median of all draws.
func folded(chains [][]float64, all []float64) [][]float64 {
	median := quantile(all, 0.5)
	return mapped(chains, func(v float64) float64 { return math.Abs(v - median) })
}

// below returns 1 for draws that are at most q, and 0.
func below(chains [][]float64, q float64) [][]float64 {
	return mapped(chains, func(v float64) float64 {
		if v <= q {
			return 1
		}
		return 0
	})
}

// ranked replaces draws by the normal quantile of (rank − 3/8)/(S + 1/4) among
// all S, ranks from 1; equal draws share their mean rank.
func ranked(chains [][]float64) [][]float64 {
	type place struct {
		value       float64
		chain, draw int
	}
	var all []place
	out := make([][]float64, len(chains))
	for i, c := range chains {
		out[i] = make([]float64, len(c))
		for j, v := range c {
			all = append(all, place{v, i, j})
		}
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Compare(a.value, b.value) })
	for first := 0; first < len(all); {
		end := first + 1
		for end < len(all) && all[end].value == all[first].value {
			end++
		}
		rank := float64(first+1+end) / 2
		z := normalQuantile((rank - 3./8) / (float64(len(all)) + 1./4))
		for _, p := range all[first:end] {
			out[p.chain][p.draw] = z
		}
		first = end
	}
	return out
}

// normalQuantile is the inverse of the standard normal distribution function.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// rHat returns √(variance of all / mean variance of a chain), in the form of
// Gelman and Rubin: with n draws, within W and between B, √((n−1)/n + B/(nW)).
func rHat(chains [][]float64) float64 {
	n := float64(len(chains[0]))
	within, between := spread(chains)
	return math.Sqrt((n-1)/n + between/within)
}

// spread returns the mean of the chains' variances, and the variance of their
// means.
func spread(chains [][]float64) (within, between float64) {
	means := make([]float64, len(chains))
	for i, c := range chains {
		m, v := moments(c)
		means[i] = m
		within += v / float64(len(chains))
	}
	if len(chains) > 1 {
		_, between = moments(means)
	}
	return within, between
}

// effective returns the number of independent draws with the same error of the
// mean, after Geyer, "Practical Markov chain Monte Carlo" (Stat. Sci. 7, 1992):
// autocorrelations of the chains together are summed in pairs of lags (2k,
// 2k+1) for as long as the sums are positive, and no sum counts more than the one
// before it. It is bounded by S·log₁₀ S for S draws.
func effective(chains [][]float64) float64 {
	draws := len(chains[0])
	n, total := float64(draws), float64(draws*len(chains))
	within, between := spread(chains)
	if within == 0 && between == 0 {
		return total
	}
	variance := within*(n-1)/n + between
	centred := make([][]float64, len(chains))
	for i, c := range chains {
		m, _ := moments(c)
		centred[i] = mapped([][]float64{c}, func(v float64) float64 { return v - m })[0]
	}
	correlation := func(lag int) float64 {
		if lag == 0 {
			return 1
		}
		return 1 - (within-autocovariance(centred, lag))/variance
	}
	tau, last := -1.0, math.Inf(1)
	lag := 0
	for {
		even, odd := correlation(lag), correlation(lag+1)
		sum := even + odd
		// The first lag of the pair that is left out still counts, once, if it is
		// positive: the sum so far ends in the middle of a correlation that falls.
		if more := lag+4 < draws; lag > 0 && sum <= 0 || !more {
			if even > 0 {
				tau += even
			}
			break
		}
		sum = min(sum, last)
		tau += 2 * sum
		last = sum
		lag += 2
	}
	return total / max(tau, 1/math.Log10(total))
}

// autocovariance returns the mean over chains of (1/n) Σ x_t·x_{t+lag}, for
// chains whose means are 0.
func autocovariance(chains [][]float64, lag int) float64 {
	mean := 0.0
	for _, c := range chains {
		sum := 0.0
		for t, v := range c[lag:] {
			sum += c[t] * v
		}
		mean += sum / float64(len(c)) / float64(len(chains))
	}
	return mean
}

// moments returns the mean and the unbiased variance.
func moments(v []float64) (mean, variance float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		variance += (x - mean) * (x - mean)
	}
	return mean, variance / float64(max(len(v)-1, 1))
}

// quantile returns that of p, between the two nearest draws.
func quantile(v []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(v))
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
