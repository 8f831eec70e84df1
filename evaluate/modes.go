package evaluate

import (
	"fmt"
	"math"

	"ebm/models/tensor"
)

// ModeOptions are the settings of [ModeCoverage].
type ModeOptions struct {
	// Threshold is the confidence from which a picture counts as one that the
	// classifier is sure of; 0 means 0.9.
	Threshold float64
}

// ModeResult says how pictures spread over modes. With C channels of K
// classes each there are M = Kᶜ modes: the 10 digits of MNIST, or the 1,000
// triples of stacked MNIST.
type ModeResult struct {
	Samples int
	Modes   int   // M
	Counts  []int // [M] pictures of each mode; the first channel's class is the highest digit
	Covered int   // modes with one picture at least
	// KL is the relative entropy Σ (cₘ/n) log(M·cₘ/n) of the modes to the
	// uniform distribution, in nats: 0 to log M.
	KL float64
	// ExpectedCovered and ExpectedKL are the means of Covered and KL for as
	// many pictures of a perfect model, one that draws every mode as often.
	ExpectedCovered, ExpectedKL float64

	Classes []int // [K] digits of each class, over all channels
	// Confidence is the mean over pictures of the probability of their mode,
	// which is the product of its channels' class probabilities.
	Confidence float64
	Confident  float64 // share of the pictures with a confidence of Threshold or more
	Threshold  float64
	Warnings   []string
}

// maxModes bounds the counts.
const maxModes = 1 << 20

// ModeCoverage counts the modes of pictures by a classifier's logits
// [n, C, classes], as [Classifier.Features] returns them. Warnings say when
// even a perfect model would miss modes with so few pictures, or look far
// from uniform.
//
// The measure is that of Metz et al., "Unrolled generative adversarial
// networks" (ICLR 2017), for three stacked digits. Mistakes of the classifier
// count as modes too, so a few may be covered that the pictures do not show.
func ModeCoverage(logits *tensor.Tensor, o ModeOptions) (ModeResult, error) {
	if o.Threshold == 0 {
		o.Threshold = 0.9
	}
	if !(o.Threshold > 0 && o.Threshold <= 1) {
		return ModeResult{}, fmt.Errorf("a threshold of confidence of %g, want one from 0 to 1", o.Threshold)
	}
	modes, confidences, k, err := modesOf(logits)
	if err != nil {
		return ModeResult{}, err
	}
	n, channels := len(modes), logits.Shape()[1]
	r := ModeResult{Samples: n, Modes: power(k, channels), Classes: make([]int, k), Threshold: o.Threshold}
	r.Counts = make([]int, r.Modes)
	for i, m := range modes {
		r.Counts[m]++
		for range channels {
			r.Classes[m%k]++
			m /= k
		}
		r.Confidence += confidences[i] / float64(n)
		if confidences[i] >= o.Threshold {
			r.Confident += 1 / float64(n)
		}
	}
	for _, c := range r.Counts {
		if c > 0 {
			r.Covered++
		}
		r.KL += klTerm(c, n, r.Modes)
	}
	r.KL = max(r.KL, 0) // rounding
	r.ExpectedCovered, r.ExpectedKL = ofUniform(n, r.Modes)
	r.Warnings = r.fewSamples()
	return r, nil
}

// fewSamples says what a small number of pictures does to the result.
func (r ModeResult) fewSamples() []string {
	const most = 0.1 // nats of bias that are let pass
	if r.ExpectedCovered >= float64(r.Modes)-0.5 && r.ExpectedKL <= most {
		return nil
	}
	return []string{fmt.Sprintf("%d pictures are few for %d modes: a perfect model would cover %.1f and have a KL of %.3f nats with so "+
		"many, want %d pictures or more",
		r.Samples, r.Modes, r.ExpectedCovered, r.ExpectedKL, enough(r.Modes, most))}
}

// enough returns a number of pictures with which a perfect model misses half
// a mode, and has a KL above 0 by the given nats, at most.
func enough(modes int, nats float64) int {
	n := 1
	fits := func(n int) bool {
		covered, kl := ofUniform(n, modes)
		return covered >= float64(modes)-0.5 && kl <= nats
	}
	for !fits(n) {
		n *= 2
	}
	for low := n / 2; low+1 < n; {
		if mid := (low + n) / 2; fits(mid) {
			n = mid
		} else {
			low = mid
		}
	}
	return n
}

// ofUniform returns the expected number of covered modes, and the expected
// relative entropy to the uniform distribution, of n draws from it.
func ofUniform(n, modes int) (covered, kl float64) {
	m := float64(modes)
	if modes == 1 {
		return 1, 0
	}
	// A mode is missed with probability (1 − 1/M)ⁿ.
	missed := float64(n) * math.Log1p(-1/m)
	covered = -m * math.Expm1(missed)
	// Its number of draws c is binomial: from P(0), each next one by the ratio
	// of neighbours, in logarithms because P(0) may be below all floats.
	logP := missed
	for c := 0; c < n; c++ {
		logP += math.Log(float64(n-c)/float64(c+1)) - math.Log(m-1)
		p := math.Exp(logP)
		kl += m * p * klTerm(c+1, n, modes)
		if float64(c) > float64(n)/m && p < 1e-18 {
			break
		}
	}
	return covered, max(kl, 0)
}

// klTerm is (c/n) log(M·c/n), 0 for a mode without pictures.
func klTerm(c, n, modes int) float64 {
	if c == 0 {
		return 0
	}
	p := float64(c) / float64(n)
	return p * math.Log(p*float64(modes))
}

// Accuracy returns the share of pictures whose mode is their label. Labels
// number modes as ModeResult.Counts does, which is how data sets have them.
func Accuracy(logits *tensor.Tensor, labels []uint16) (float64, error) {
	modes, _, _, err := modesOf(logits)
	if err != nil {
		return 0, err
	}
	if len(labels) != len(modes) {
		return 0, fmt.Errorf("%d labels for %d pictures, want one for each", len(labels), len(modes))
	}
	right := 0
	for i, m := range modes {
		if m == int(labels[i]) {
			right++
		}
	}
	return float64(right) / float64(len(modes)), nil
}

// modesOf returns the mode and its probability for each picture, and the
// number of classes.
func modesOf(logits *tensor.Tensor) (modes []int, confidences []float64, classes int, err error) {
	if logits == nil || logits.Rank() != 3 || logits.Len() == 0 {
		return nil, nil, 0, fmt.Errorf("logits are %v, want floats [pictures, channels, classes] of one picture at least", logits)
	}
	n, channels, k := logits.Shape()[0], logits.Shape()[1], logits.Shape()[2]
	if k < 2 || power(k, channels) > maxModes {
		return nil, nil, 0, fmt.Errorf("logits are %v: %d classes in %d channels, want 2 classes and %d modes or fewer",
			logits, k, channels, maxModes)
	}
	if _, _, err := checkFeatures("logits", logits.Reshape(n, channels*k)); err != nil {
		return nil, nil, 0, err
	}
	values := logits.Float64s()
	modes, confidences = make([]int, n), make([]float64, n)
	for i := range n {
		confidences[i] = 1
		for c := range channels {
			class, p := likeliest(values[(i*channels+c)*k:][:k])
			modes[i] = k*modes[i] + class
			confidences[i] *= p
		}
	}
	return modes, confidences, k, nil
}

// likeliest returns the class of the largest logit, the first of several, and
// its probability.
func likeliest(logits []float64) (class int, p float64) {
	for i, v := range logits {
		if v > logits[class] {
			class = i
		}
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(v - logits[class])
	}
	return class, 1 / sum
}

// power returns bᵉ, or more than maxModes where that is larger.
func power(b, e int) int {
	p := 1
	for range e {
		if p > maxModes {
			break
		}
		p *= b
	}
	return p
}
