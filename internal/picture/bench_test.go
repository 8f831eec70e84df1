package picture

import (
	"io"
	"testing"

	"ebm/models/tensor"
)

// One operation is 64 pictures of 32×32×3.

func BenchmarkBytes(b *testing.B) {
	x := tensor.New(tensor.Float32, 64, 3, 32, 32)
	b.SetBytes(int64(x.Len()))
	for b.Loop() {
		if _, err := Bytes(x); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNHWC(b *testing.B) {
	x := tensor.New(tensor.Uint8, 64, 3, 32, 32)
	b.SetBytes(int64(x.Len()))
	for b.Loop() {
		if _, err := NHWC(x); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGridPNG(b *testing.B) {
	x := tensor.New(tensor.Uint8, 64, 3, 32, 32)
	for i := range tensor.Data[uint8](x) {
		tensor.Data[uint8](x)[i] = uint8(i * i)
	}
	b.SetBytes(int64(x.Len()))
	for b.Loop() {
		if err := (Grid{Padding: 2}).WritePNG(io.Discard, x); err != nil {
			b.Fatal(err)
		}
	}
}
