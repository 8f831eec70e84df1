package npz

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ebm/models/tensor"
)

// npy makes a version 1.0 file with any header.
func npy(header string, elements ...byte) []byte {
	out := append([]byte(magic), 1, 0)
	out = binary.LittleEndian.AppendUint16(out, uint16(len(header)))
	return append(append(out, header...), elements...)
}

func TestHeaderForms(t *testing.T) {
	for _, c := range []struct {
		header string
		shape  []int
	}{
		{"{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", []int{2}},
		{"{\"shape\":(2L,),\"fortran_order\":True,\"descr\":\"<u1\"}\n", []int{2}},
		{" { 'shape' : ( 1 , 2 ) , 'descr' : '|u1' , 'fortran_order' : False } ", []int{1, 2}},
	} {
		got, err := readNpy(bytes.NewReader(npy(c.header, 1, 2)), 0)
		if err != nil || !slices.Equal(got.Shape(), c.shape) {
			t.Errorf("header %q gives %v, error %v; want shape %v", c.header, got, err, c.shape)
		}
	}
}

func TestMalformedHeaders(t *testing.T) {
	for _, header := range []string{
		"",
		"{}",
		"{'descr': '<f4'}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
		"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': [2]}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2 2)}",
		"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 0)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
		"{'descr': '<u2', 'fortran_order': False, 'shape': (2,)}",
		"{'descr': '|f4', 'fortran_order': False, 'shape': (2,)}",
		"{'descr': '<f\\x34', 'fortran_order': False, 'shape': (2,)}",
		"{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': (2,)}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (" + strings.Repeat("1,", 65) + ")}",
	} {
		if _, err := readNpy(bytes.NewReader(npy(header, make([]byte, 64)...)), 0); err == nil {
			t.Errorf("header %q was accepted", header)
		}
	}
	var good bytes.Buffer
	if err := WriteNpy(&good, golden(tensor.Int32, 5)); err != nil {
		t.Fatal(err)
	}
	for n := range good.Len() {
		if _, err := readNpy(bytes.NewReader(good.Bytes()[:n]), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("file cut to %d bytes: error %v, want %v", n, err, io.ErrUnexpectedEOF)
		}
	}
	version := slices.Clone(good.Bytes())
	version[6] = 4
	long := append([]byte(magic), 2, 0, 0xff, 0xff, 0xff, 0xff)
	for _, data := range [][]byte{version, long, []byte(strings.Repeat("x", 20))} {
		if _, err := readNpy(bytes.NewReader(data), 0); err == nil {
			t.Errorf("%q was accepted", data[:12])
		}
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestMemoryIsBounded(t *testing.T) {
	huge := npy("{'descr': '<f8', 'fortran_order': True, 'shape': (1000000, 1000000)}", 1, 2, 3)
	path := filepath.Join(t.TempDir(), "huge.npy")
	if err := os.WriteFile(path, huge, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() error{
		"stream": func() error { _, err := readNpy(bytes.NewReader(huge), 0); return err },
		"file":   func() error { _, err := ReadNpyFile(path); return err },
	} {
		var err error
		if n := allocated(func() { err = read() }); n > 1<<20 {
			t.Errorf("%s: %d bytes were allocated for a file of %d", name, n, len(huge))
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: error %v, want %v", name, err, io.ErrUnexpectedEOF)
		}
	}
}

// member is one raw entry of a zip archive.
type member struct {
	header  zip.FileHeader
	content []byte
}

func writeZip(t *testing.T, members ...member) string {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, m := range members {
		w, err := z.CreateRaw(&m.header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.npz")
	if err := os.WriteFile(path, buf.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMalformedArchives(t *testing.T) {
	array := npy("{'descr': '|u1', 'fortran_order': False, 'shape': (4,)}", 1, 2, 3, 4)
	size := uint64(len(array))
	stored := func(name string, claimed uint64, content []byte) member {
		return member{zip.FileHeader{Name: name, CompressedSize64: uint64(len(content)), UncompressedSize64: claimed}, content}
	}
	for name, path := range map[string]string{
		"wrong sum":      writeZip(t, member{zip.FileHeader{Name: "a.npy", CRC32: 1, CompressedSize64: size, UncompressedSize64: size}, array}),
		"two of a name":  writeZip(t, stored("a.npy", size, array), stored("a.npy", size, array)),
		"bomb":           writeZip(t, stored("a.npy", expandFree+1, array)),
		"bomb of many":   writeZip(t, stored("a.npy", expandFree, array), stored("b.npy", expandFree, array)),
		"longer":         writeZip(t, stored("a.npy", size+1, append(slices.Clone(array), 5))),
		"shorter":        writeZip(t, stored("a.npy", size-1, array[:size-1])),
		"claims more":    writeZip(t, stored("a.npy", size+10, array)),
		"claims less":    writeZip(t, stored("a.npy", size-2, array)),
		"unknown method": writeZip(t, member{zip.FileHeader{Name: "a.npy", Method: 99, CompressedSize64: size, UncompressedSize64: size}, array}),
		"no deflate": writeZip(t, member{zip.FileHeader{Name: "a.npy", Method: zip.Deflate, CompressedSize64: size,
			UncompressedSize64: size}, array}),
		"all 64 bits": writeZip(t, member{zip.FileHeader{Name: "a.npy", CompressedSize64: size,
			UncompressedSize64: math.MaxUint64 - 1}, array}),
		"no zip":  filepath.Join("testdata", "v1.npy"),
		"nothing": filepath.Join("testdata", "none"),
	} {
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that names the file", name, err)
		}
	}
	good := writeZip(t, member{zip.FileHeader{Name: "readme.txt", CompressedSize64: 0}, nil})
	if arrays, err := ReadFile(good); err != nil || len(arrays) != 0 {
		t.Errorf("an archive without arrays gives %v, error %v", arrays, err)
	}
}

func FuzzReadNpy(f *testing.F) {
	for _, name := range []string{"v1.npy", "v2.npy", "v3.npy", "records.npy", "big_endian.npy", "objects.npy"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(npy("{'descr': '<f8', 'fortran_order': True, 'shape': (0, 1000000)}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		array, err := readNpy(bytes.NewReader(data), 0)
		if err != nil {
			return
		}
		var buf bytes.Buffer
		if err := WriteNpy(&buf, array); err != nil {
			t.Fatal(err)
		}
		again, err := readNpy(bytes.NewReader(buf.Bytes()), 0)
		if err != nil {
			t.Fatal(err)
		}
		var second bytes.Buffer
		if err := WriteNpy(&second, again); err != nil || !bytes.Equal(buf.Bytes(), second.Bytes()) {
			t.Fatalf("%v changed when it was written and read, error %v", array, err)
		}
	})
}

func FuzzReadFile(f *testing.F) {
	for _, name := range []string{"stored.npz", "deflated.npz"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a.npz")
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		arrays, err := ReadFile(path)
		if err != nil {
			return
		}
		if err := Write(io.Discard, arrays, Deflate); err != nil && !strings.Contains(err.Error(), "name of") {
			t.Fatal(err)
		}
	})
}
