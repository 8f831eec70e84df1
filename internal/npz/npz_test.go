package npz

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ebm/models/tensor"
)

// value is the i-th element of the golden arrays.
func value(dtype tensor.DType, i int) float64 {
	v := float64(7 * i % 23)
	switch dtype {
	case tensor.Bool:
		return math.Mod(v, 2)
	case tensor.Uint8:
		return v
	}
	return v - 4
}

func checkGolden(t *testing.T, name string, got *tensor.Tensor, dtype tensor.DType, shape ...int) {
	t.Helper()
	if got.DType() != dtype || !slices.Equal(got.Shape(), shape) {
		t.Errorf("%s is %v, want %v%v", name, got, dtype, shape)
		return
	}
	for i, v := range got.Float64s() {
		if want := value(dtype, i); v != want {
			t.Errorf("%s: element %d is %v, want %v", name, i, v, want)
			return
		}
	}
}

// golden makes an array as testdata/make_golden.py does.
func golden(dtype tensor.DType, shape ...int) *tensor.Tensor {
	n := tensor.Volume(shape)
	switch dtype {
	case tensor.Float32:
		return fill[float32](n, shape, dtype)
	case tensor.Float64:
		return fill[float64](n, shape, dtype)
	case tensor.Int8:
		return fill[int8](n, shape, dtype)
	case tensor.Int16:
		return fill[int16](n, shape, dtype)
	case tensor.Int32:
		return fill[int32](n, shape, dtype)
	case tensor.Int64:
		return fill[int64](n, shape, dtype)
	case tensor.Uint8:
		return fill[uint8](n, shape, dtype)
	}
	data := make([]bool, n)
	for i := range data {
		data[i] = value(dtype, i) != 0
	}
	return tensor.Of(data, shape...)
}

func fill[T float32 | float64 | int8 | int16 | int32 | int64 | uint8](n int, shape []int, dtype tensor.DType) *tensor.Tensor {
	data := make([]T, n)
	for i := range data {
		data[i] = T(value(dtype, i))
	}
	return tensor.Of(data, shape...)
}

var plainTypes = []tensor.DType{
	tensor.Float32, tensor.Float64, tensor.Int8, tensor.Int16, tensor.Int32, tensor.Int64, tensor.Uint8, tensor.Bool,
}

func TestReadNumPyArchives(t *testing.T) {
	for _, file := range []string{"stored.npz", "deflated.npz"} {
		a, err := Open(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		want := map[string]Header{
			"fortran": {DType: tensor.Float32, Shape: []int{2, 3, 4}, Fortran: true},
			"scalar":  {DType: tensor.Float64, Shape: nil},
			"empty":   {DType: tensor.Int32, Shape: []int{0, 5}},
			"vector":  {DType: tensor.Float32, Shape: []int{7}},
			"float16": {DType: tensor.Float16, Shape: []int{2, 3, 4}},
		}
		for _, d := range plainTypes {
			want[d.String()] = Header{DType: d, Shape: []int{2, 3, 4}}
		}
		if len(a.Names()) != len(want) {
			t.Errorf("%s holds %q, want %d arrays", file, a.Names(), len(want))
		}
		for name, header := range want {
			h, err := a.Header(name)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(h, header) {
				t.Errorf("%s: header of %s is %v, want %v", file, name, h, header)
			}
			got, err := a.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, file+" "+name, got, header.DType, header.Shape...)
		}
		if _, err := a.Read("none"); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("missing array: error %v", err)
		}
	}
}

func TestReadNumPyVersions(t *testing.T) {
	for major := 1; major <= 3; major++ {
		name := fmt.Sprintf("v%d.npy", major)
		got, err := ReadNpyFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		checkGolden(t, name, got, tensor.Int16, 3, 5)
	}
	big, err := ReadNpyFile(filepath.Join("testdata", "big_endian.npy"))
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "big_endian.npy", big, tensor.Float32, 3, 5)
	for _, c := range [][2]string{{"records.npy", "record"}, {"objects.npy", `"|O"`}} {
		path := filepath.Join("testdata", c[0])
		if _, err := ReadNpyFile(path); err == nil || !strings.Contains(err.Error(), c[1]) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that says %s", path, err, c[1])
		}
	}
}

// What NumPy wrote in row-major order is what we write, byte for byte.
func TestWriteAsNumPyDoes(t *testing.T) {
	z, err := zip.OpenReader(filepath.Join("testdata", "stored.npz"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name == "fortran.npy" {
			continue
		}
		array, err := readNpy(bytes.NewReader(want), 0)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := WriteNpy(&got, array); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: wrote %q, NumPy %q", f.Name, got.Bytes(), want)
		}
	}
	if err := WriteNpy(io.Discard, tensor.New(tensor.BFloat16, 1)); err == nil {
		t.Error("bfloat16 was written")
	}
	if err := WriteNpy(io.Discard, tensor.New(tensor.Int8, make([]int, 65)...)); err == nil {
		t.Error("65 dimensions were written")
	}
}

func TestArchiveRoundTrip(t *testing.T) {
	arrays := map[string]*tensor.Tensor{"scalar": tensor.Of([]float32{3}), "none": tensor.New(tensor.Int64, 4, 0)}
	for _, d := range plainTypes {
		arrays[d.String()] = golden(d, 60, 50, 3, 10) // several chunks
	}
	for _, method := range []Method{Store, Deflate} {
		var first, second bytes.Buffer
		if err := errors.Join(Write(&first, arrays, method), Write(&second, arrays, method)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Error("the same arrays gave different bytes")
		}
		path := filepath.Join(t.TempDir(), "a.npz")
		if err := os.WriteFile(path, first.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		got, err := ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, arrays) {
			t.Error("arrays changed on the way")
		}
	}
	if err := Write(io.Discard, map[string]*tensor.Tensor{"": tensor.New(tensor.Bool)}, Store); err == nil {
		t.Error("an array without a name was written")
	}
}

func writeShard(t *testing.T, path string, dtype tensor.DType, first, rows int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewRowWriter(f, dtype, 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	all := golden(dtype, first+rows, 3, 2).Float64s()[6*first:]
	for row := range rows {
		one := make([]float32, 6)
		for i := range one {
			one[i] = float32(all[6*row+i])
		}
		if err := w.Write(tensor.Of(one, 1, 3, 2)); err != nil {
			t.Fatal(err)
		}
	}
	if w.Rows() != rows {
		t.Errorf("writer has %d rows, want %d", w.Rows(), rows)
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestRowsAndJoin(t *testing.T) {
	dir := t.TempDir()
	var shards []string
	rows := 0
	for i, n := range []int{5, 0, 1, 9} {
		path := filepath.Join(dir, fmt.Sprintf("%d.npy", i))
		writeShard(t, path, tensor.Float32, rows, n)
		got, err := ReadNpyFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := []int{n, 3, 2}; !slices.Equal(got.Shape(), want) {
			t.Errorf("shard is %v, want shape %v", got, want)
		}
		shards = append(shards, path)
		rows += n
	}
	for _, method := range []Method{Store, Deflate} {
		path := filepath.Join(dir, "joined.npz")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		n, err := JoinRows(f, "arr_0", shards, method)
		if err := errors.Join(err, f.Close()); err != nil || n != rows {
			t.Fatalf("joined %d rows, want %d; error %v", n, rows, err)
		}
		all, err := ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		checkGolden(t, "joined", all["arr_0"], tensor.Float32, rows, 3, 2)

		reader, err := OpenRows(path, "")
		if err != nil {
			t.Fatal(err)
		}
		var elements []float64
		for {
			part, err := reader.Next(4)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			elements = append(elements, part.Float64s()...)
		}
		if !slices.Equal(elements, all["arr_0"].Float64s()) {
			t.Error("rows differ from the whole array")
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRowsOfDamagedArchives flips every byte of the array in turn: wrong rows
// never all arrive, in whatever parts they are read.
func TestRowsOfDamagedArchives(t *testing.T) {
	for _, method := range []Method{Store, Deflate} {
		var b bytes.Buffer
		if err := Write(&b, map[string]*tensor.Tensor{"a": golden(tensor.Float32, 3, 5)}, method); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "a.npz")
		end := bytes.Index(b.Bytes(), []byte("PK\x01\x02")) - 16 // without the sums after the array
		for at := 30 + len("a.npy"); at < end; at++ {
			damaged := bytes.Clone(b.Bytes())
			damaged[at] ^= 0x40
			if err := os.WriteFile(path, damaged, 0o666); err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{1, 2, 3, 4} {
				r, err := OpenRows(path, "a")
				var got []float64
				for err == nil {
					var part *tensor.Tensor
					if part, err = r.Next(n); err == nil {
						got = append(got, part.Float64s()...)
					}
				}
				// Deflated data end with bits that stand for nothing.
				if len(got) == 15 && !slices.Equal(got, golden(tensor.Float32, 3, 5).Float64s()) {
					t.Fatalf("byte %d of %d is flipped, parts of %d: all rows arrive, error %v", at, b.Len(), n, err)
				}
				if r != nil {
					r.Close()
				}
			}
		}
	}
}

func TestRowsThatDoNotFit(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, array *tensor.Tensor, extra string) string {
		var buf bytes.Buffer
		if err := WriteNpy(&buf, array); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, append(buf.Bytes(), extra...), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good", golden(tensor.Float32, 2, 3), "")
	bad := []string{
		write("type", golden(tensor.Float64, 2, 3), ""),
		write("shape", golden(tensor.Float32, 2, 4), ""),
		write("rank", golden(tensor.Float32, 2, 3, 1), ""),
		write("scalar", golden(tensor.Float32), ""),
		write("long", golden(tensor.Float32, 2, 3), "x"),
		filepath.Join("testdata", "v1.npy"), // Fortran order
		filepath.Join(dir, "missing"),
	}
	short := write("short", golden(tensor.Float32, 2, 3), "")
	if err := os.Truncate(short, 128+20); err != nil {
		t.Fatal(err)
	}
	for _, path := range append(bad, short) {
		if _, err := JoinRows(io.Discard, "a", []string{good, path}, Store); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that names the file", path, err)
		}
	}
	if _, err := JoinRows(io.Discard, "a", nil, Store); err == nil {
		t.Error("nothing was joined")
	}
	f, err := os.Create(filepath.Join(dir, "rows"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := NewRowWriter(f, tensor.Uint8, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []*tensor.Tensor{golden(tensor.Uint8, 4), golden(tensor.Uint8, 1, 5), golden(tensor.Int8, 1, 4)} {
		if err := w.Write(rows); err == nil {
			t.Errorf("%v was appended to rows of uint8[4]", rows)
		}
	}
	if _, err := OpenRows(good, "a"); err == nil {
		t.Error("a .npy file had a named array")
	}
	if _, err := OpenRows(filepath.Join("testdata", "stored.npz"), ""); err == nil {
		t.Error("one of many arrays was chosen")
	}
}
