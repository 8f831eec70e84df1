package dataset

import (
	"bytes"
	"testing"
)

// BenchmarkFill brings a batch of 64 pictures of 32×32×3 to floats.
func BenchmarkFill(b *testing.B) {
	s := &Set{Channels: 3, Height: 32, Width: 32, Pixels: make([]uint8, 64*3072)}
	dst, index := make([]float32, len(s.Pixels)), make([]int, 64)
	for i := range index {
		index[i] = 63 - i
	}
	b.SetBytes(int64(len(s.Pixels)))
	for b.Loop() {
		s.Fill(dst, index)
	}
}

// BenchmarkReadIDX reads and hashes 1000 pictures of 28×28.
func BenchmarkReadIDX(b *testing.B) {
	data := idxBytes(make([]uint8, 784000), 1000, 28, 28)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := readIDX(bytes.NewReader(data), 3); err != nil {
			b.Fatal(err)
		}
	}
}
