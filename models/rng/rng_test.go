package rng

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The known-answer vectors of Random123 for philox4x32-10.
func TestPhiloxKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			[4]uint32{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32},
			[2]uint32{math.MaxUint32, math.MaxUint32},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			[2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		var got [4]uint32
		got[0], got[1], got[2], got[3] = philox(c.counter[0], c.counter[1], c.counter[2], c.counter[3], c.key[0], c.key[1])
		if got != c.want {
			t.Errorf("philox(%#x, %#x) = %#x, want %#x", c.counter, c.key, got, c.want)
		}
		s := stream{k0: c.key[0], k1: c.key[1], c1: c.counter[1], c2: c.counter[2], c3: c.counter[3]}
		var pair [8]uint32
		s.pair(&pair, c.counter[0])
		if [4]uint32(pair[:4]) != c.want {
			t.Errorf("pair at %#x starts with %#x, want %#x", c.counter, pair[:4], c.want)
		}
		s.pair(&pair, c.counter[0]-1)
		if [4]uint32(pair[4:]) != c.want {
			t.Errorf("pair before %#x ends with %#x, want %#x", c.counter, pair[4:], c.want)
		}
	}
}

func TestCounterLayout(t *testing.T) {
	got := New(0x1111222233334444).stream(0x55, 0x666677778888, 0x9999aaaa)
	want := stream{k0: 0x33334444, k1: 0x11112222, c1: 0x9999aaaa, c2: 0x77778888, c3: 0x00556666}
	if got != want {
		t.Fatalf("stream %#x, want %#x", got, want)
	}
	var word [4]uint32
	word[0], word[1], word[2], word[3] = philox(0xbbbbcccc, 0x9999aaaa, 0x77778888, 0xdd556666, 0x33334444, 0x11112222)
	var lane [4]uint32
	lane[0], lane[1], lane[2], lane[3] = got.block(0xbbbbcccc, 0xdd)
	if lane != word {
		t.Fatalf("block %#x, want %#x", lane, word)
	}
}

// Samples are named by their seed, so these values never change.
func TestGolden(t *testing.T) {
	var f [6]float32
	New(7).Normal(f[:], SampleNoise, 1<<40|3, 2700)
	wantNormal := [6]uint32{0x3d9bde92, 0x3e9b02b5, 0x3dc74475, 0xbf54d04f, 0x3f8ab5a0, 0x3ecb9d8b}
	for i := range f {
		if got := math.Float32bits(f[i]); got != wantNormal[i] {
			t.Errorf("normal %d is %#x (%v), want %#x", i, got, f[i], wantNormal[i])
		}
	}
	New(7).Uniform(f[:], Flip, 5, 6)
	wantUniform := [6]uint32{0x3f051e42, 0x3e1e3c88, 0x3e47f678, 0x3e5203fc, 0x3ed14aca, 0x3f7abeff}
	for i := range f {
		if got := math.Float32bits(f[i]); got != wantUniform[i] {
			t.Errorf("uniform %d is %#x (%v), want %#x", i, got, f[i], wantUniform[i])
		}
	}
	if got, want := New(7).Permutation(10, Shuffle, 1), ([]int{8, 2, 5, 3, 0, 1, 9, 4, 6, 7}); !slices.Equal(got, want) {
		t.Errorf("permutation %v, want %v", got, want)
	}
	if got, want := New(7).IntN(1000, Compose, 1, 2), 515; got != want {
		t.Errorf("IntN is %d, want %d", got, want)
	}

	// A million normals, with about 12,000 that take the slow path.
	hash := sha256.New()
	big := make([]float32, 1<<14)
	for sample := range uint64(64) {
		New(1).Normal(big, TrainNoise, sample, 1)
		if err := binary.Write(hash, binary.LittleEndian, big); err != nil {
			t.Fatal(err)
		}
	}
	const want = "875d5599df4db52671e9f5bdee551cf911c55ff285ce00214dddeb0f204baa3f"
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		t.Errorf("hash of normals is %s, want %s", got, want)
	}
}

// A shorter destination gets a prefix, and a number does not depend on how
// its neighbours were drawn.
func TestPrefix(t *testing.T) {
	const n = 3*chunk + 21
	s := New(3)
	normal, uniform, words := make([]float32, n), make([]float32, n), make([]uint32, n)
	s.Normal(normal, TrainNoise, 9, 1)
	s.Uniform(uniform, TrainNoise, 9, 1)
	s.Uint32s(words, TrainNoise, 9, 1)
	for m := range n {
		f, w := make([]float32, m), make([]uint32, m)
		if s.Normal(f, TrainNoise, 9, 1); !slices.Equal(f, normal[:m]) {
			t.Fatalf("%d normals are not a prefix of %d", m, n)
		}
		if s.Uniform(f, TrainNoise, 9, 1); !slices.Equal(f, uniform[:m]) {
			t.Fatalf("%d uniforms are not a prefix of %d", m, n)
		}
		if s.Uint32s(w, TrainNoise, 9, 1); !slices.Equal(w, words[:m]) {
			t.Fatalf("%d words are not a prefix of %d", m, n)
		}
	}
}

func TestIntNAndPermutation(t *testing.T) {
	s := New(5)
	var counts [24]float64
	const draws = 48000
	for epoch := range uint64(draws) {
		p := s.Permutation(4, Shuffle, epoch)
		if sorted := slices.Sorted(slices.Values(p)); !slices.Equal(sorted, []int{0, 1, 2, 3}) {
			t.Fatalf("%v is no permutation", p)
		}
		rank := 0 // in the factorial number system
		for i := range p {
			smaller := 0
			for _, later := range p[i+1:] {
				if later < p[i] {
					smaller++
				}
			}
			rank = rank*(4-i) + smaller
		}
		counts[rank]++
	}
	checkChiSquare(t, "permutations of 4", counts[:], draws)

	var buckets [10]float64
	for i := range uint32(100000) {
		buckets[s.IntN(10, Compose, 0, i)]++
	}
	checkChiSquare(t, "IntN(10)", buckets[:], 100000)

	if p := s.Permutation(0, Shuffle, 0); len(p) != 0 {
		t.Errorf("permutation of nothing is %v", p)
	}
	if i := s.IntN(1, Shuffle, 0, 0); i != 0 {
		t.Errorf("IntN(1) is %d", i)
	}
}

func TestStream(t *testing.T) {
	s := New(11)
	words := make([]uint32, 14)
	s.Uint32s(words, Probe, 4, 2)
	var source rand.Source = s.Stream(Probe, 4, 2)
	for i := range 7 {
		want := uint64(words[2*i]) | uint64(words[2*i+1])<<32
		if got := source.Uint64(); got != want {
			t.Errorf("number %d is %#x, want %#x", i, got, want)
		}
	}
	last := s.Stream(Probe, 4, 2)
	last.next = 1<<33 - 2
	last.Uint64()
	last.Uint64()
	mustPanic(t, "a stream past its end", func() { last.Uint64() })
}

func TestOutOfRange(t *testing.T) {
	s, dst := New(0), make([]float32, 1)
	s.Normal(dst, 255, MaxSamples-1, math.MaxUint32)
	mustPanic(t, "purpose 256", func() { s.Normal(dst, 256, 0, 0) })
	mustPanic(t, "sample 2^48", func() { s.Uniform(dst, Init, MaxSamples, 0) })
	mustPanic(t, "IntN(0)", func() { s.IntN(0, Init, 0, 0) })
	mustPanic(t, "permutation of -1", func() { s.Permutation(-1, Init, 0) })
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}
