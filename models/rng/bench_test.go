package rng

import (
	"math/rand/v2"
	"testing"
)

// One operation is one number. The peer is math/rand/v2 in the same run.

func BenchmarkNormal(b *testing.B) {
	dst := make([]float32, 3072)
	s := New(1)
	for i := 0; i < b.N; i += len(dst) {
		s.Normal(dst, TrainNoise, uint64(i), 0)
	}
}

func BenchmarkNormalPeer(b *testing.B) {
	dst := make([]float32, 3072)
	r := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < b.N; i += len(dst) {
		for j := range dst {
			dst[j] = float32(r.NormFloat64())
		}
	}
}

func BenchmarkUint32s(b *testing.B) {
	dst := make([]uint32, 3072)
	s := New(1)
	for i := 0; i < b.N; i += len(dst) {
		s.Uint32s(dst, TrainNoise, uint64(i), 0)
	}
}

func BenchmarkUniform(b *testing.B) {
	dst := make([]float32, 3072)
	s := New(1)
	for i := 0; i < b.N; i += len(dst) {
		s.Uniform(dst, TrainNoise, uint64(i), 0)
	}
}

// One operation is one epoch's order of 60000 pictures.

func BenchmarkPermutation(b *testing.B) {
	s := New(1)
	for i := range b.N {
		s.Permutation(60000, TrainNoise, uint64(i))
	}
}

func BenchmarkPermutationPeer(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for range b.N {
		r.Perm(60000)
	}
}
