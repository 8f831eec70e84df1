package tensor_test

import (
	"math"
	"testing"

	"ebm/models/tensor"
)

// Every float16 comes back, and so does what lies less than halfway to the
// next one; the middle goes to the even neighbour.
func TestToFloat16RoundsToNearestEven(t *testing.T) {
	for bits := range 0x7c00 {
		h := tensor.Float16Bits(bits)
		low := float64(h.Float32())
		if got := tensor.ToFloat16(float32(low)); got != h {
			t.Fatalf("%#04x became %#04x", h, got)
		}
		if got := tensor.ToFloat16(float32(-low)); got != h|0x8000 {
			t.Fatalf("-%#04x became %#04x", h, got)
		}
		high := 65536.0 // what follows the largest finite one
		if h+1 < 0x7c00 {
			high = float64((h + 1).Float32())
		}
		middle := float32((low + high) / 2)
		even := h + h&1
		if got := tensor.ToFloat16(middle); got != even {
			t.Fatalf("%g between %#04x and the next became %#04x, want %#04x", middle, h, got, even)
		}
		if got := tensor.ToFloat16(math.Nextafter32(middle, 0)); got != h {
			t.Fatalf("below the middle after %#04x: %#04x", h, got)
		}
		if got := tensor.ToFloat16(math.Nextafter32(middle, 1e9)); got != h+1 {
			t.Fatalf("above the middle after %#04x: %#04x", h, got)
		}
	}
	inf := float32(math.Inf(1))
	if tensor.ToFloat16(inf) != 0x7c00 || tensor.ToFloat16(-inf) != 0xfc00 || tensor.ToFloat16(1e30) != 0x7c00 {
		t.Error("infinities are not kept")
	}
	if h := tensor.ToFloat16(float32(math.NaN())); !math.IsNaN(float64(h.Float32())) {
		t.Errorf("NaN became %#04x", h)
	}
}
