package features

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/evaluate"
	"ebm/internal/testkit"
	"ebm/mdsm/dataset"
	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/models/zoo"
	"ebm/runtime"
)

// shipped are the weights of the default classifier.
func shipped(t *testing.T) *weights.Set {
	t.Helper()
	set, err := zoo.OpenClassifier(DefaultClassifier)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// modes counts the classes that logits [n C classes] say.
func modes(t *testing.T, logits *tensor.Tensor) evaluate.ModeResult {
	t.Helper()
	r, err := evaluate.ModeCoverage(logits, evaluate.ModeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func statisticsOf(t *testing.T, features *tensor.Tensor) *evaluate.Statistics {
	t.Helper()
	s, err := evaluate.StatisticsOf(features)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// classified loads a classifier for pictures of the set's shape and returns
// what it says of them.
func classified(t *testing.T, rt *runtime.Runtime, o ClassifierOptions, pictures *tensor.Tensor) Set {
	t.Helper()
	o.Weights, o.Channels, o.Size = shipped(t), pictures.Shape()[1], pictures.Shape()[2]
	c, err := NewClassifier(rt, o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, err := c.Features(t.Context(), pictures, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// every returns each n-th picture of a set, and their labels.
func every(t *testing.T, spec dataset.Spec, n int) (*tensor.Tensor, []uint16) {
	t.Helper()
	set, err := dataset.Load(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	var pixels []uint8
	var labels []uint16
	for i := 0; i < set.Len(); i += n {
		pixels = append(pixels, set.Picture(i)...)
		labels = append(labels, set.Labels[i])
	}
	return tensor.Of(pixels, len(labels), set.Channels, set.Height, set.Width), labels
}

func TestShippedClassifierKnowsDigits(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 1)
	var first Set
	for _, size := range []int{28, 16, 32} {
		pictures, labels := every(t, dataset.Spec{Name: "mnist", Split: dataset.Test, Size: size}, 4)
		out := classified(t, rt, ClassifierOptions{Batch: size * 5}, pictures)
		accuracy, err := evaluate.Accuracy(out.Classes, labels)
		if err != nil || !(accuracy >= 0.985) {
			t.Errorf("size %d: %.2f %% of %d right (%v), want 98.5 at least", size, 100*accuracy, len(labels), err)
		}
		t.Logf("size %d: %.2f %% of %d", size, 100*accuracy, len(labels))
		// Sizes and batches change rounding alone.
		if first.Features == nil {
			first = out
		} else if off := testkit.Apart(out.Features, first.Features); !(off < 1e-5) {
			t.Errorf("features at size %d are off by %.2g", size, off)
		}
	}
}

// The shipped weights are what their card says, all of it a program's words.
func TestShippedClassifiersAreWhole(t *testing.T) {
	names := zoo.Classifiers()
	if !slices.Contains(names, DefaultClassifier) {
		t.Fatalf("shipped are %v, want %s among them", names, DefaultClassifier)
	}
	for _, name := range names {
		set, err := zoo.OpenClassifier(name)
		if err != nil {
			t.Error(err)
			continue
		}
		w := energy.Weights(set.Tensors())
		if n, err := classifier.Recognise(w); err != nil || n.Classes != 10 || set.Metadata["data"] != name {
			t.Errorf("%s: %v of %s, %v", name, n, set.Metadata["data"], err)
		}
		c, err := zoo.ClassifierCardOf(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.HasPrefix(c.Command, "ebm classifier --data-name "+name) || c.Minutes <= 0 || c.Pictures != 10000 ||
			!(c.Accuracy > 0.9) || len(c.Loss) < 10 {
			t.Errorf("%s: the card does not say how it was made: %+v", name, c)
		}
		if first, last := c.Loss[0], c.Loss[len(c.Loss)-1]; !(last[1] < first[1]/2) || int(last[0]) != c.Steps {
			t.Errorf("%s: cross-entropy from %v to %v in %d steps", name, first, last, c.Steps)
		}
	}
	if _, err := zoo.OpenClassifier("nothing"); err == nil || !strings.Contains(err.Error(), DefaultClassifier) {
		t.Errorf("opened a classifier that is not there: %v", err)
	}
	if _, err := zoo.ClassifierCardOf("nothing"); err == nil {
		t.Error("a card that is not there: no error")
	}
}

// Real triples of digits, whose modes the labels say: what a perfect sampler
// gets, and what the classifier's mistakes make of it.
func TestModesOfRealStackedDigits(t *testing.T) {
	testkit.Long(t)
	set, err := dataset.Load(t.Context(), dataset.Spec{Name: "stacked-mnist", Split: dataset.Test, Size: 28, Seed: 4, Count: 8000})
	if err != nil {
		t.Fatal(err)
	}
	pictures := tensor.Of(set.Pixels, set.Len(), 3, 28, 28)
	out := classified(t, testkit.Open(t, 1), ClassifierOptions{}, pictures)
	if got, want := out.Features.Shape()[1], 3*classifier.Default().Features; out.Classes.String() != "float32[8000 3 10]" || got != want {
		t.Fatalf("logits %v, %d features", out.Classes, got)
	}
	got := modes(t, out.Classes)

	said := tensor.New(tensor.Float32, set.Len(), 3, 10) // what the labels say, as logits
	for i, l := range set.Labels {
		for c, digit := range []int{int(l) / 100, int(l) / 10 % 10, int(l) % 10} {
			tensor.Data[float32](said)[(i*3+c)*10+digit] = 20
		}
	}
	want := modes(t, said)
	accuracy, err := evaluate.Accuracy(out.Classes, set.Labels)
	if err != nil || !(accuracy > 0.955) { // three digits at 98.5 %
		t.Errorf("%.2f %% of triples right, %v", 100*accuracy, err)
	}
	if d := got.Covered - want.Covered; d < -1 || d > 1 || got.Covered < 995 {
		t.Errorf("%d modes, by the labels %d", got.Covered, want.Covered)
	}
	// MNIST's own digits are uneven by Σ p log 10p = 0.0024 nats a channel.
	if off := got.KL - want.KL; !(math.Abs(off) < 0.01) || !(want.KL > got.ExpectedKL && want.KL < got.ExpectedKL+0.03) {
		t.Errorf("KL %.4f, by the labels %.4f, of uniform draws %.4f", got.KL, want.KL, got.ExpectedKL)
	}
	if !(got.Confidence > 0.9) || !(got.Confident > 0.85) || len(got.Warnings) > 0 {
		t.Errorf("confidence %.3f, %.3f above %g; %q", got.Confidence, got.Confident, got.Threshold, got.Warnings)
	}
	t.Logf("%d modes (by the labels %d, uniform %.1f), KL %.4f (%.4f, %.4f), %.2f %% of triples right, confidence %.4f, %.2f %% sure",
		got.Covered, want.Covered, got.ExpectedCovered, got.KL, want.KL, got.ExpectedKL, 100*accuracy, got.Confidence, 100*got.Confident)
}

// A channel of a picture is classified as that digit alone.
func TestChannelsAreDigitsOfTheirOwn(t *testing.T) {
	rt := testkit.Open(t, 1)
	pictures, _ := every(t, dataset.Spec{Name: "mnist", Split: dataset.Test, Size: 32}, 400)
	grey := tensor.Of(tensor.Data[uint8](pictures)[:24*1024], 24, 1, 32, 32)
	alone, together := classified(t, rt, ClassifierOptions{}, grey), classified(t, rt, ClassifierOptions{Batch: 3}, grey.Reshape(8, 3, 32, 32))
	if off := testkit.Difference(together.Classes.Float64s(), alone.Classes.Float64s()); !(off < 1e-5) {
		t.Errorf("logits are off by %.2g", off)
	}
	if off := testkit.Difference(together.Features.Float64s(), alone.Features.Float64s()); !(off < 1e-5) || together.Features.Shape()[0] != 8 {
		t.Errorf("features %v are off by %.2g", together.Features, off)
	}
}

// The distance orders sets as eyes do: other digits of the same hands are
// closer than noisy ones, and ones without some digits.
func TestClassifierFrechetOrdersDamage(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 1)
	pictures, labels := every(t, dataset.Spec{Name: "mnist", Split: dataset.Test, Size: 16}, 2)
	all := classified(t, rt, ClassifierOptions{}, pictures)
	distance := func(a, b *tensor.Tensor) float64 {
		t.Helper()
		d, err := evaluate.Frechet(t.Context(), statisticsOf(t, a), statisticsOf(t, b))
		if err != nil {
			t.Fatal(err)
		}
		return d.Distance
	}
	rows := func(keep func(i int) bool) *tensor.Tensor {
		var out []float32
		d := all.Features.Shape()[1]
		for i := range labels {
			if keep(i) {
				out = append(out, tensor.Data[float32](all.Features)[i*d:(i+1)*d]...)
			}
		}
		return tensor.Of(out, len(out)/d, d)
	}
	noisy := pictures.Clone()
	noise := make([]float32, noisy.Len())
	rng.New(1).Normal(noise, rng.Probe, 0, 0)
	for i, p := range tensor.Data[uint8](noisy) {
		tensor.Data[uint8](noisy)[i] = uint8(min(max(float32(p)+40*noise[i], 0), 255))
	}
	even, odd := rows(func(i int) bool { return i%2 == 0 }), rows(func(i int) bool { return i%2 == 1 })
	halves := distance(even, odd)
	missing := distance(all.Features, rows(func(i int) bool { return labels[i] < 7 }))
	damaged := distance(all.Features, classified(t, rt, ClassifierOptions{}, noisy).Features)
	if !(halves < missing/3) || !(halves < damaged/3) {
		t.Errorf("halves %.3f, without three digits %.3f, noisy %.3f", halves, missing, damaged)
	}
	t.Logf("halves %.3f, without three digits %.3f, noisy %.3f", halves, missing, damaged)
}

func TestClassifierMistakesAreErrors(t *testing.T) {
	rt := testkit.Open(t, 1)
	var other weights.Set
	if err := other.Add("ln1.weight", tensor.New(tensor.Float32, 1, 4)); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]ClassifierOptions{
		"[0 0 0]":                 {Weights: shipped(t)},
		"[2 28 28]":               {Weights: shipped(t), Channels: 2, Size: 28},
		"of [14 16 28 32]":        {Weights: shipped(t), Channels: 1, Size: 24},
		"batches of -1":           {Weights: shipped(t), Channels: 1, Size: 28, Batch: -1},
		"weights of a classifier": {Channels: 1, Size: 28, Weights: &other},
	} {
		c, err := NewClassifier(rt, o)
		if err == nil {
			c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", o, err, want)
		}
	}
	c, err := NewClassifier(rt, ClassifierOptions{Weights: shipped(t), Channels: 1, Size: 28})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for want, pictures := range map[string]*tensor.Tensor{
		"<nil>":              nil,
		"float32[2 1 28 28]": tensor.New(tensor.Float32, 2, 1, 28, 28),
		"uint8[2 1 32 32]":   tensor.New(tensor.Uint8, 2, 1, 32, 32),
		"no pictures":        tensor.New(tensor.Uint8, 0, 1, 28, 28),
	} {
		if _, err := c.Features(t.Context(), pictures, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := c.Features(stopped, tensor.New(tensor.Uint8, 2, 1, 28, 28), nil); err == nil {
		t.Error("stopped: no error")
	}
}
