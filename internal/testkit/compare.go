package testkit

import (
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/models/tensor"
)

// Difference returns the largest difference of two lists of numbers over the
// largest size of a wanted one: +Inf where their lengths differ, or where one
// alone has a NaN.
func Difference(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	off, largest := 0.0, 0.0
	for i, w := range want {
		d := math.Abs(got[i] - w)
		switch {
		case math.IsNaN(w) && math.IsNaN(got[i]), got[i] == w:
			d = 0
		case math.IsNaN(d):
			return math.Inf(1)
		}
		off = max(off, d)
		if !math.IsNaN(w) {
			largest = max(largest, math.Abs(w))
		}
	}
	if off == 0 {
		return 0
	}
	return off / largest
}

// Apart is [Difference] for tensors, +Inf where their shapes differ.
func Apart(got, want *tensor.Tensor) float64 {
	if got == nil || want == nil || !slices.Equal(got.Shape(), want.Shape()) {
		return math.Inf(1)
	}
	return Difference(got.Float64s(), want.Float64s())
}

// Near holds the elements of a tensor to numbers, within a [Difference].
func Near(t testing.TB, what string, got *tensor.Tensor, want []float64, relative float64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: no tensor, want %d numbers", what, len(want))
		return
	}
	if off := Difference(got.Float64s(), want); !(off <= relative) {
		t.Errorf("%s: %v is off by %.2g of the largest of %d numbers, want %.2g at most", what, got, off, len(want), relative)
	}
}

// Within holds a number to another and a distance from it.
func Within(t testing.TB, what string, got, want, distance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= distance) {
		t.Errorf("%s: %.15g, want %.15g to within %.2g", what, got, want, distance)
	}
}

// SameBits holds two lists of numbers to each other, bit by bit.
func SameBits(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d numbers, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Errorf("%s: element %d is %.9g, want %.9g", what, i, got[i], want[i])
			return
		}
	}
}

// WantError wants an error that says each of some things.
func WantError(t testing.TB, what string, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want one that says %q", what, says)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%s: error %q, want one that says %q", what, err, s)
		}
	}
}
