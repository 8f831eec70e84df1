package evaluate

import (
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/models/rng"
	"ebm/models/tensor"
)

// logitsOf gives each picture the wanted classes, [n][channels], with a
// logit margin over the other classes.
func logitsOf(margin float32, classes int, wanted ...[]int) *tensor.Tensor {
	channels := len(wanted[0])
	out := tensor.New(tensor.Float32, len(wanted), channels, classes)
	for i, picture := range wanted {
		for c, class := range picture {
			tensor.Data[float32](out)[(i*channels+c)*classes+class] = margin
		}
	}
	return out
}

func coverage(t *testing.T, logits *tensor.Tensor) ModeResult {
	t.Helper()
	r, err := ModeCoverage(logits, ModeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestModesOfKnownPictures(t *testing.T) {
	// Half of the pictures are 123, a quarter each 999 and 040.
	r := coverage(t, logitsOf(20, 10, []int{1, 2, 3}, []int{9, 9, 9}, []int{1, 2, 3}, []int{0, 4, 0}))
	if r.Modes != 1000 || r.Samples != 4 || r.Covered != 3 || r.Counts[123] != 2 || r.Counts[999] != 1 || r.Counts[40] != 1 {
		t.Errorf("%d of %d modes: %d, %d and %d", r.Covered, r.Modes, r.Counts[123], r.Counts[999], r.Counts[40])
	}
	near(t, "KL", r.KL, math.Log(1000)-1.5*math.Ln2, 1e-12)
	if want := []int{2, 2, 2, 2, 1, 0, 0, 0, 0, 3}; !slices.Equal(r.Classes, want) {
		t.Errorf("classes %v, want %v", r.Classes, want)
	}
	// One class of ten has the probability 1/(1 + 9e⁻²⁰) in each channel.
	near(t, "confidence", r.Confidence, math.Pow(1+9*math.Exp(-20), -3), 1e-12)
	if r.Confident != 1 || r.Threshold != 0.9 {
		t.Errorf("%g are surer than %g", r.Confident, r.Threshold)
	}
	// Unsure of everything: every class has a tenth.
	r = coverage(t, logitsOf(0, 10, []int{3}, []int{5}))
	near(t, "confidence of equal logits", r.Confidence, 0.1, 1e-12)
	if r.Confident != 0 || r.Covered != 1 || r.Modes != 10 {
		t.Errorf("equal logits: %g confident, %d modes of %d", r.Confident, r.Covered, r.Modes)
	}
}

// Draws from distributions whose entropy is known: that of the modes is their
// number's logarithm less the relative entropy, up to the bias of counting.
func TestModesOfKnownDistributions(t *testing.T) {
	source := rng.New(11)
	const n = 20000
	for _, c := range []struct {
		what    string
		weights []int // of classes in each channel, in units of 1/Σ
		covered int
		bias    float64 // (modes − 1)/2n, the first order of the mean of KL above its limit
	}{
		{"uniform", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 1000, 999.0 / 2 / n},
		{"half of the digits", []int{1, 0, 1, 0, 1, 0, 1, 0, 1, 0}, 125, 124.0 / 2 / n},
		{"uneven", []int{1, 2, 3, 4}, 64, 63.0 / 2 / n},
	} {
		total, kl := 0, 0.0
		for _, w := range c.weights {
			total += w
		}
		for _, w := range c.weights {
			if p := float64(w) / float64(total); p > 0 {
				kl += 3 * p * math.Log(p*float64(len(c.weights)))
			}
		}
		pictures := make([][]int, n)
		for i := range pictures {
			for channel := range uint32(3) {
				at, class := source.IntN(total, rng.Probe, uint64(i), channel), 0
				for at >= c.weights[class] {
					at -= c.weights[class]
					class++
				}
				pictures[i] = append(pictures[i], class)
			}
		}
		r := coverage(t, logitsOf(9, len(c.weights), pictures...))
		if r.Covered != c.covered {
			t.Errorf("%s: %d modes, want %d", c.what, r.Covered, c.covered)
		}
		// Five standard deviations of the mean of −log p, and of the χ² of the bias.
		if off := r.KL - kl - c.bias; !(math.Abs(off) < 0.02) {
			t.Errorf("%s: KL %.4f, want %.4f and a bias of %.4f", c.what, r.KL, kl, c.bias)
		}
		t.Logf("%s: KL %.5f, in the limit %.5f, bias %.5f", c.what, r.KL, kl, c.bias)
	}
}

// The expectations are those of direct sums, of the mean over many draws, and
// of the limit of many pictures.
func TestExpectationsOfUniform(t *testing.T) {
	for _, c := range []struct{ n, modes int }{{1, 10}, {3, 2}, {7, 4}, {50, 10}} {
		covered, kl := ofUniform(c.n, c.modes)
		p := 1 / float64(c.modes)
		var wantCovered, wantKL float64
		choose := 1.0
		for k := 0; k <= c.n; k++ {
			if k > 0 {
				choose *= float64(c.n-k+1) / float64(k)
			}
			probability := choose * math.Pow(p, float64(k)) * math.Pow(1-p, float64(c.n-k))
			if k > 0 {
				wantCovered += float64(c.modes) * probability
				wantKL += float64(c.modes) * probability * float64(k) / float64(c.n) * math.Log(float64(k*c.modes)/float64(c.n))
			}
		}
		near(t, "covered", covered, wantCovered, 1e-12)
		near(t, "KL", kl, wantKL, 1e-12)
	}
	source := rng.New(2)
	const n, modes, repeats = 3000, 1000, 60
	var meanCovered, meanKL float64
	for r := range repeats {
		pictures := make([][]int, n)
		for i := range pictures {
			m := source.IntN(modes, rng.Probe, uint64(i), uint32(r))
			pictures[i] = []int{m / 100, m / 10 % 10, m % 10}
		}
		got := coverage(t, logitsOf(9, 10, pictures...))
		meanCovered += float64(got.Covered) / repeats
		meanKL += got.KL / repeats
	}
	covered, kl := ofUniform(n, modes)
	near(t, "covered over many draws", meanCovered, covered, 2e-3)
	near(t, "KL over many draws", meanKL, kl, 1e-2)
	_, kl = ofUniform(10_000_000, modes)
	near(t, "KL in the limit", kl, float64(modes-1)/2/10_000_000, 1e-3)
}

func TestFewPicturesAreWarnedOf(t *testing.T) {
	uniform := func(n, modes int) *tensor.Tensor {
		pictures := make([][]int, n)
		for i := range pictures {
			if m := i % modes; modes == 10 {
				pictures[i] = []int{m}
			} else {
				pictures[i] = []int{m / 100, m / 10 % 10, m % 10}
			}
		}
		return logitsOf(9, 10, pictures...)
	}
	for _, c := range []struct {
		n, modes int
		want     string // "" for no warning
	}{
		{8000, 1000, ""}, {2000, 1000, "would cover 864.8"}, {8, 10, "would cover 5.7"}, {200, 10, ""},
	} {
		r := coverage(t, uniform(c.n, c.modes))
		if c.want == "" && len(r.Warnings) > 0 || c.want != "" && (len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], c.want)) {
			t.Errorf("%d pictures of %d modes: warnings %q, want %q", c.n, c.modes, r.Warnings, c.want)
		}
	}
	// The number that a warning asks for is the least that has none.
	for _, modes := range []int{2, 10, 1000} {
		n := enough(modes, 0.1)
		for _, m := range []int{n - 1, n} {
			r := ModeResult{Samples: m, Modes: modes}
			r.ExpectedCovered, r.ExpectedKL = ofUniform(m, modes)
			if warned := len(r.fewSamples()) > 0; warned != (m < n) {
				t.Errorf("%d pictures of %d modes: warned is %t, though %d are asked for", m, modes, warned, n)
			}
		}
	}
}

func TestModeMistakesAreErrors(t *testing.T) {
	nan := logitsOf(1, 10, []int{1}, []int{2})
	tensor.Data[float32](nan)[13] = float32(math.NaN())
	for want, logits := range map[string]*tensor.Tensor{
		"<nil>":                      nil,
		"float32[2 10]":              tensor.New(tensor.Float32, 2, 10),
		"float32[0 1 10]":            tensor.New(tensor.Float32, 0, 1, 10),
		"int64[2 1 10]":              nil,
		"feature 3 of sample 1":      nan,
		"1 classes":                  tensor.New(tensor.Float32, 2, 1, 1),
		"10 classes in 300 channels": tensor.New(tensor.Float32, 1, 300, 10),
	} {
		if strings.HasPrefix(want, "int64") {
			logits = tensor.New(tensor.Int64, 2, 1, 10)
			want = "int64"
		}
		if _, err := ModeCoverage(logits, ModeOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error about %s, not %v", want, err)
		}
	}
	good := logitsOf(9, 10, []int{4}, []int{7})
	for _, threshold := range []float64{-1, 1.5, math.NaN()} {
		if _, err := ModeCoverage(good, ModeOptions{Threshold: threshold}); err == nil {
			t.Errorf("threshold %g: no error", threshold)
		}
	}
	if got, err := Accuracy(good, []uint16{4, 8}); err != nil || got != 0.5 {
		t.Errorf("accuracy %g, %v", got, err)
	}
	if _, err := Accuracy(good, []uint16{4}); err == nil {
		t.Error("one label for two pictures: no error")
	}
}
