package evaluate

import (
	"fmt"

	"gonum.org/v1/gonum/stat/distuv"

	"ebm/models/tensor"
)

// Balance says whether samples spread over classes as a reference does.
type Balance struct {
	Samples, Reference []int // pictures of each class
	// ChiSquared is Pearson's statistic of the table of both, Σ (O − E)²/E with the
	// counts E that one distribution would have, and Freedom its degrees of freedom:
	// the classes that occur, less one.
	ChiSquared float64
	Freedom    int
	// P is the probability of a statistic at least as large where both have one
	// distribution.
	P float64
}

// ClassBalance compares how often a classifier finds each class, by its logits of samples
// and of a reference: [n K], or [n C K] of C channels with a class each, which then count as
// the modes of [ModeCoverage]. Its mistakes are in both, so that they need not be known.
func ClassBalance(samples, reference *tensor.Tensor) (Balance, error) {
	var b Balance
	sides := []*[]int{&b.Samples, &b.Reference}
	for i, logits := range []*tensor.Tensor{samples, reference} {
		if logits != nil && logits.Rank() == 2 {
			logits = logits.Reshape(logits.Shape()[0], 1, logits.Shape()[1])
		}
		modes, _, k, err := modesOf(logits)
		if err != nil {
			return b, err
		}
		counts := make([]int, power(k, logits.Shape()[1]))
		for _, m := range modes {
			counts[m]++
		}
		*sides[i] = counts
	}
	if len(b.Samples) != len(b.Reference) {
		return b, fmt.Errorf("logits of %d and of %d classes, want those of one classifier", len(b.Samples), len(b.Reference))
	}
	n, m := float64(samples.Shape()[0]), float64(reference.Shape()[0])
	b.Freedom = -1
	for i, c := range b.Samples {
		r := b.Reference[i]
		if c+r == 0 {
			continue
		}
		b.Freedom++
		for _, side := range []struct {
			count int
			of    float64
		}{{c, n}, {r, m}} {
			want := float64(c+r) * side.of / (n + m)
			b.ChiSquared += (float64(side.count) - want) * (float64(side.count) - want) / want
		}
	}
	b.P = 1
	if b.Freedom > 0 {
		b.P = distuv.ChiSquared{K: float64(b.Freedom)}.Survival(b.ChiSquared)
	}
	return b, nil
}
