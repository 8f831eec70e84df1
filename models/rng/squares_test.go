package rng

import (
	"fmt"
	"math"
	"testing"
)

// The words are those of the test sets of Python's package randomgen, which its authors made
// with Widynski's own code: pairs of 32-bit words for two keys.
func TestSquaresKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		key   uint64
		pair  uint64
		words uint64 // of counters 2·pair and 2·pair + 1, the lower first
	}{
		{0x3bc8bca4d301945b, 0, 0x0e03102b5167ea8b}, {0x3bc8bca4d301945b, 1, 0x943ac4d0e59f61d7},
		{0x3bc8bca4d301945b, 2, 0x8de3053855a66612}, {0x3bc8bca4d301945b, 670, 0xde3fe22ff6fe79f1},
		{0x32d1638d0d582acf, 0, 0x4666b59384ef8bb4}, {0x32d1638d0d582acf, 1, 0x8788c4c4366ada38},
		{0x32d1638d0d582acf, 669, 0xd62aeecbf73551cc}, {0x32d1638d0d582acf, 670, 0x8533912f0a4a52af},
	} {
		got := uint64(Squares(2*c.pair, c.key)) | uint64(Squares(2*c.pair+1, c.key))<<32
		if got != c.words {
			t.Errorf("pair %d under key %#x is %#x, want %#x", c.pair, c.key, got, c.words)
		}
	}
}

// Keys have the form that the generator's paper asks for, and seeds keys of their own.
func TestSquaresKey(t *testing.T) {
	seen := map[uint64]uint64{}
	for i := range uint64(9_000) {
		seed, p, block := i/9, []Purpose{SampleNoise, Momentum, Init}[i%3], []uint64{0, 1, 1 << 20}[i/3%3]
		key := SquaresKey(seed, p, block)
		if other, again := seen[key]; again {
			t.Fatalf("cases %d and %d have one key %#x", other, i, key)
		}
		seen[key] = i
		for half := range 2 {
			var digits uint16
			for i := range 8 {
				d := key >> (32*half + 4*i) & 15
				if d == 0 || digits>>d&1 == 1 {
					t.Fatalf("seed %d: digits of %#x are zero or repeat", seed, key)
				}
				digits |= 1 << d
			}
		}
		if key%2 == 0 {
			t.Fatalf("seed %d: key %#x is even", seed, key)
		}
	}
	if got, want := SquaresKey(1, SampleNoise, 0), uint64(0x85cd73912ea4c3db); got != want {
		t.Errorf("the key of seed 1 is %#x, want %#x: keys of seeds never change", got, want)
	}
}

func TestSquaresCounter(t *testing.T) {
	if got, want := SquaresCounter(0xabcdef1, 0x2345, 0x6789a), uint64(0xabcdef123456789a); got != want {
		t.Errorf("counter %#x, want %#x", got, want)
	}
	for _, c := range [][3]uint64{{1 << SquaresSampleBits, 0, 0}, {0, 1 << SquaresStepBits, 0}, {0, 0, 1 << SquaresWordBits}} {
		mustPanic(t, fmt.Sprint(c), func() { SquaresCounter(c[0], c[1], c[2]) })
	}
}

// Words are uniform, and independent of their neighbours, along each part of the counter: the
// higher parts move only the higher bits of it. Each line has one part run and the others fixed.
func TestSquaresDistribution(t *testing.T) {
	const n = 1 << 16
	lines := map[string]func(i uint64) uint64{
		"words":   func(i uint64) uint64 { return SquaresCounter(3, 5, i) },
		"lanes":   func(i uint64) uint64 { return SquaresCounter(3, i>>2, i&1<<19|i>>1&1) },
		"steps":   func(i uint64) uint64 { return SquaresCounter(i>>16, i&0xffff, 7) },
		"samples": func(i uint64) uint64 { return SquaresCounter(i, 5, 7) },
		"last":    func(i uint64) uint64 { return SquaresCounter(1<<28-1-i, 2699, 1<<19+767) },
	}
	for _, seed := range []uint64{0, 12345} {
		key := SquaresKey(seed, SampleNoise, 0)
		for name, counter := range lines {
			what := fmt.Sprintf("seed %d, %s", seed, name)
			var bytes [4][256]float64
			var bits [32]float64
			values := make([]float32, n)
			lags := map[int]float64{1: 0, 2: 0, 16: 0, 768: 0}
			centred := make([]float64, n)
			for i := range uint64(n) {
				w := Squares(counter(i), key)
				for b := range bytes {
					bytes[b][w>>(8*b)&255]++
				}
				for b := range bits {
					bits[b] += float64(w >> b & 1)
				}
				values[i] = float32(w>>8) / (1 << 24)
				centred[i] = (float64(w) + 0.5) * 0x1p-32 * math.Sqrt(12)
				centred[i] -= math.Sqrt(3)
			}
			for b := range bytes {
				checkChiSquare(t, fmt.Sprintf("%s: byte %d", what, b), bytes[b][:], n)
			}
			for b, ones := range bits {
				checkZ(t, fmt.Sprintf("%s: ones of bit %d", what, b), ones, n/2, math.Sqrt(n)/2)
			}
			for lag := range lags {
				sum := 0.0
				for i := lag; i < n; i++ {
					sum += centred[i] * centred[i-lag]
				}
				checkZ(t, fmt.Sprintf("%s: correlation over %d", what, lag), sum, 0, math.Sqrt(float64(n-lag)))
			}
			checkKS(t, what, values, func(x float64) float64 { return x })
		}
	}
}
