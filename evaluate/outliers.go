package evaluate

import (
	"fmt"
	"math"
	"slices"
	"sort"
)

// Separation says how well a score tells two sets of samples apart.
type Separation struct {
	// AUROC is the area under the receiver operating characteristic: the
	// probability that a random sample of the second set scores higher than one
	// of the first, ties counted half. 0.5 is no separation; below it the second
	// set scores lower.
	AUROC float64
	// Error is AUROC's standard error after DeLong et al. (Biometrics 1988), 0
	// where a set has a single sample.
	Error float64
}

// Separate compares the scores of ordinary samples with those of samples that
// count as outliers when they score higher. Both need at least one finite
// score and no other.
func Separate(ordinary, outliers []float64) (Separation, error) {
	for _, s := range []struct {
		name   string
		scores []float64
	}{{"ordinary samples", ordinary}, {"outliers", outliers}} {
		if err := checkScores(s.name, s.scores); err != nil {
			return Separation{}, err
		}
	}
	m, n := float64(len(outliers)), float64(len(ordinary))
	all := midranks(append(slices.Clone(outliers), ordinary...))
	own, other := midranks(outliers), midranks(ordinary)
	// The mid-rank among all less that among its own set counts the samples of
	// the other set below a sample.
	above := make([]float64, len(outliers)) // of each outlier, the share of ordinary samples below it
	for i := range outliers {
		above[i] = (all[i] - own[i]) / n
	}
	below := make([]float64, len(ordinary)) // of each ordinary sample, the share of outliers above it
	for j := range ordinary {
		below[j] = 1 - (all[len(outliers)+j]-other[j])/m
	}
	mean, va := meanAndVariance(above)
	_, vb := meanAndVariance(below)
	return Separation{AUROC: mean, Error: math.Sqrt(va/m + vb/n)}, nil
}

func checkScores(name string, scores []float64) error {
	if len(scores) == 0 {
		return fmt.Errorf("scores of %s: there are none", name)
	}
	if i := firstNotFinite(scores); i >= 0 {
		return fmt.Errorf("scores of %s: score %d is %v, want finite numbers", name, i, scores[i])
	}
	return nil
}

// midranks returns the rank of every value, from 1, and for equal values the
// mean of their ranks.
func midranks(v []float64) []float64 {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool { return v[order[a]] < v[order[b]] })
	ranks := make([]float64, len(v))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && v[order[j]] == v[order[i]] {
			j++
		}
		for _, at := range order[i:j] {
			ranks[at] = float64(i+j+1) / 2
		}
		i = j
	}
	return ranks
}

// meanAndVariance returns the mean and the variance divided by N−1, 0 for a
// single value.
func meanAndVariance(v []float64) (mean, variance float64) {
	mean, deviation := meanAndDeviation(v)
	if len(v) < 2 {
		return mean, 0
	}
	return mean, deviation * deviation * float64(len(v)) / float64(len(v)-1)
}

// Histogram counts the values of several sets in bins that they share.
type Histogram struct {
	Edges  []float64 // of the bins, ascending; a bin has its lower edge, the last one its upper edge too
	Counts [][]int   // [set][bin]
	Below  []int     // [set], values below the first edge
	Above  []int     // [set], values above the last edge
}

// NewHistogram counts sets of finite values in equal bins between low and
// high. Bins are right as numpy.histogram's are.
func NewHistogram(low, high float64, bins int, sets ...[]float64) (Histogram, error) {
	if bins < 1 || bins > 1<<16 || !(low < high) || math.IsInf(high-low, 0) {
		return Histogram{}, fmt.Errorf("histogram of %d bins from %g to %g, want 1 to %d bins and finite, ascending ends", bins, low, high, 1<<16)
	}
	h := Histogram{Edges: make([]float64, bins+1)}
	for i := range h.Edges {
		h.Edges[i] = low + (high-low)*(float64(i)/float64(bins))
	}
	h.Edges[bins] = high
	for i, set := range sets {
		if at := firstNotFinite(set); at >= 0 {
			return Histogram{}, fmt.Errorf("histogram: value %d of set %d is %v, want finite numbers", at, i+1, set[at])
		}
		counts, below, above := make([]int, bins), 0, 0
		for _, v := range set {
			switch {
			case v < low:
				below++
			case v > high:
				above++
			default:
				counts[h.bin(v)]++
			}
		}
		h.Counts, h.Below, h.Above = append(h.Counts, counts), append(h.Below, below), append(h.Above, above)
	}
	return h, nil
}

// bin returns the bin of a value between the ends.
func (h Histogram) bin(v float64) int {
	bins := len(h.Edges) - 1
	return min(sort.Search(bins, func(i int) bool { return h.Edges[i+1] > v }), bins-1)
}

// Density returns the counts of a set as densities: with the width of the
// bins they sum to the share of the set's values that is in them.
func (h Histogram) Density(set int) []float64 {
	total := h.Below[set] + h.Above[set]
	for _, c := range h.Counts[set] {
		total += c
	}
	density := make([]float64, len(h.Counts[set]))
	for i, c := range h.Counts[set] {
		density[i] = float64(c) / (float64(max(total, 1)) * (h.Edges[i+1] - h.Edges[i]))
	}
	return density
}

// HistogramRange returns ends for a histogram of the sets that a few values far
// out do not stretch: those of every set's values within three times its
// interquartile range of its quartiles (Tukey's outer fences). Equal values
// get a range around them.
func HistogramRange(sets ...[]float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, set := range sets {
		if len(set) == 0 {
			continue
		}
		v := slices.Sorted(slices.Values(set))
		first, third := v[len(v)/4], v[len(v)-1-len(v)/4]
		fence := 3 * (third - first)
		low, high = min(low, max(v[0], first-fence)), max(high, min(v[len(v)-1], third+fence))
	}
	if !(low <= high) {
		return 0, 1
	}
	if !(high > low) {
		half := max(math.Abs(low)*0.1, 1e-12)
		return low - half, high + half
	}
	return low, high
}
