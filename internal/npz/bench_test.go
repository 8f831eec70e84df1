package npz

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"ebm/models/tensor"
)

// One operation is one array of 256 pictures of 32×32×3; the peer copies as
// many bytes.

func benchmarkArray(dtype tensor.DType) *tensor.Tensor { return tensor.New(dtype, 256, 32, 32, 3) }

func BenchmarkReadNpy(b *testing.B) {
	var file bytes.Buffer
	if err := WriteNpy(&file, benchmarkArray(tensor.Float32)); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(file.Len()))
	for b.Loop() {
		if _, err := readNpy(bytes.NewReader(file.Bytes()), 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteNpy(b *testing.B) {
	array := benchmarkArray(tensor.Float32)
	b.SetBytes(int64(4 * array.Len()))
	for b.Loop() {
		if err := WriteNpy(io.Discard, array); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCopyPeer(b *testing.B) {
	from, to := make([]byte, 4*256*3072), make([]byte, 4*256*3072)
	b.SetBytes(int64(len(to)))
	for b.Loop() {
		copy(to, from)
	}
}

func BenchmarkRows(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.npz")
	array := benchmarkArray(tensor.Uint8)
	var file bytes.Buffer
	if err := Write(&file, map[string]*tensor.Tensor{"a": array}, Store); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(array.Len()))
	for b.Loop() {
		r, err := OpenRows(path, "a")
		for err == nil {
			_, err = r.Next(32)
		}
		if err != io.EOF {
			b.Fatal(err)
		}
		r.Close()
	}
}
