package rng

import (
	"fmt"
	"math/bits"
)

// MaxSamples bounds the sample index: it must be below 2⁴⁸.
const MaxSamples = 1 << 48

const (
	maxPurpose = 1 << 8
	maxIndex   = 1 << 32
	chunk      = 256 // words drawn at a time; a multiple of 4
)

// Source is a seed. The zero value is the source of seed 0. Sources are
// values without state and may be used by several goroutines at once.
type Source struct {
	seed uint64
}

// New returns the source of a seed. Every seed is as good as any other.
func New(seed uint64) Source { return Source{seed} }

// Seed returns the seed.
func (s Source) Seed() uint64 { return s.seed }

func (s Source) stream(p Purpose, sample uint64, step uint32) stream {
	if p >= maxPurpose {
		panic(fmt.Sprintf("rng: purpose %d is not below %d", p, maxPurpose))
	}
	if sample >= MaxSamples {
		panic(fmt.Sprintf("rng: sample index %d is not below 2^48", sample))
	}
	return stream{
		k0: uint32(s.seed), k1: uint32(s.seed >> 32),
		c1: step, c2: uint32(sample), c3: uint32(sample>>32) | uint32(p)<<16,
	}
}

func checkLen(n int) {
	if uint64(n) > maxIndex {
		panic(fmt.Sprintf("rng: %d numbers asked of one stream, which has 2^32", n))
	}
}

// Uint32s fills dst with random words.
func (s Source) Uint32s(dst []uint32, p Purpose, sample uint64, step uint32) {
	checkLen(len(dst))
	st := s.stream(p, sample, step)
	st.fill(dst, 0)
}

// Uniform fills dst with numbers uniform on the multiples of 2⁻²⁴ in [0, 1).
func (s Source) Uniform(dst []float32, p Purpose, sample uint64, step uint32) {
	checkLen(len(dst))
	st := s.stream(p, sample, step)
	var buf [chunk]uint32
	for first := 0; first < len(dst); first += chunk {
		words := buf[:min(chunk, len(dst)-first)]
		st.fill(words, uint32(first/4))
		for i, w := range words {
			dst[first+i] = float32(w>>8) * (1.0 / (1 << 24))
		}
	}
}

// Normal fills dst with standard normal numbers.
func (s Source) Normal(dst []float32, p Purpose, sample uint64, step uint32) {
	checkLen(len(dst))
	st := s.stream(p, sample, step)
	var buf [chunk]uint32
	for first := 0; first < len(dst); first += chunk {
		words := buf[:min(chunk, len(dst)-first)]
		st.fill(words, uint32(first/4))
		out := dst[first:][:len(words)]
		for i, w := range words {
			v := position(w)
			layer := &ziggurat[uint8(w)]
			if magnitude(v) < layer.inner {
				out[i] = float32(v) * layer.scale
			} else {
				out[i] = st.normalOutside(w, uint32(first+i))
			}
		}
	}
}

// Uint64 returns the first 64 bits of the stream.
func (s Source) Uint64(p Purpose, sample uint64, step uint32) uint64 {
	st := s.stream(p, sample, step)
	lo, hi, _, _ := st.block(0, 0)
	return uint64(lo) | uint64(hi)<<32
}

// IntN returns a number in [0, n). It is uniform up to a bias below n/2⁶⁴. It
// panics unless n > 0.
func (s Source) IntN(n int, p Purpose, sample uint64, step uint32) int {
	if n <= 0 {
		panic(fmt.Sprintf("rng: IntN of %d", n))
	}
	hi, _ := bits.Mul64(s.Uint64(p, sample, step), uint64(n))
	return int(hi)
}

// Permutation returns a random order of 0, …, n−1 by the Fisher–Yates
// shuffle: the element of position i < n is exchanged with that of position
// IntN(i+1, p, epoch, i). It panics unless 0 ≤ n < 2³².
func (s Source) Permutation(n int, p Purpose, epoch uint64) []int {
	if n < 0 {
		panic(fmt.Sprintf("rng: permutation of %d elements", n))
	}
	checkLen(n)
	order := make([]int, n)
	for i := range order {
		j := s.IntN(i+1, p, epoch, uint32(i))
		order[i] = order[j]
		order[j] = i
	}
	return order
}

// Stream returns the numbers of one stream in sequence, as a source for
// math/rand/v2 and for gonum. It is not safe for use by several goroutines.
func (s Source) Stream(p Purpose, sample uint64, step uint32) *Stream {
	return &Stream{stream: s.stream(p, sample, step)}
}

// Stream is a sequential reader of one stream. It implements rand.Source of
// math/rand/v2.
type Stream struct {
	stream stream
	next   uint64 // index of the next 64-bit number
	second uint64 // the second number of the current block
}

// Uint64 returns the next 64 bits. A stream holds 2³³ numbers and panics
// after the last.
func (s *Stream) Uint64() uint64 {
	n := s.next
	s.next++
	if n%2 == 1 {
		return s.second
	}
	if n/2 >= maxIndex {
		panic("rng: stream is exhausted after 2^33 numbers")
	}
	a, b, c, d := s.stream.block(uint32(n/2), 0)
	s.second = uint64(c) | uint64(d)<<32
	return uint64(a) | uint64(b)<<32
}
