package weights

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/models/tensor"
)

// value is the i-th element that testdata/make_golden.py gives a type.
func value(dtype tensor.DType, i int) float64 {
	v := float64(7 * i % 23)
	switch dtype {
	case tensor.Bool:
		return float64(7 * i % 23 % 2)
	case tensor.Uint8:
		return v
	}
	return v - 4
}

// checkValues compares a tensor with value(index(i)) at each position i.
func checkValues(t *testing.T, s *Set, name string, dtype tensor.DType, shape []int, index func(i int) int) {
	t.Helper()
	got, ok := s.Get(name)
	if !ok || got.DType() != dtype || !slices.Equal(got.Shape(), shape) {
		t.Errorf("%s is %v, want %v%v", name, got, dtype, shape)
		return
	}
	for i, v := range got.Float64s() {
		if want := value(dtype, index(i)); v != want {
			t.Errorf("%s: element %d is %v, want %v", name, i, v, want)
			return
		}
	}
}

func TestLoadTorch(t *testing.T) {
	same := func(i int) int { return i }
	for _, file := range []string{"zip.pt", "legacy.pt", "zip_protocol4.pt"} {
		s, err := Load(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		types := []tensor.DType{
			tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16, tensor.Int8,
			tensor.Int16, tensor.Int32, tensor.Int64, tensor.Uint8, tensor.Bool,
		}
		var names []string
		for _, d := range types {
			name := "types." + d.String()
			names = append(names, name)
			checkValues(t, s, name, d, []int{2, 3, 4}, same)
		}
		names = append(names, "shared.rows", "shared.columns", "shared.whole", "expanded", "channels_last",
			"scalar", "empty", "parameter", "tied")
		if got := s.Names(); !slices.Equal(got, names) {
			t.Errorf("%s: names are %q, want %q", file, got, names)
		}
		checkValues(t, s, "shared.rows", tensor.Float32, []int{3, 4}, func(i int) int { return 4 + i })
		checkValues(t, s, "shared.columns", tensor.Float32, []int{4, 3}, func(i int) int { return 6 + i/3 + i%3*4 })
		checkValues(t, s, "shared.whole", tensor.Float32, []int{24}, same)
		checkValues(t, s, "expanded", tensor.Float32, []int{2, 3}, func(i int) int { return i % 3 })
		checkValues(t, s, "channels_last", tensor.Float32, []int{2, 3, 4, 5}, same)
		checkValues(t, s, "empty", tensor.Float32, []int{0, 3}, same)
		checkValues(t, s, "parameter", tensor.Float32, []int{5}, same)
		checkValues(t, s, "tied", tensor.Float32, []int{5}, same)
		if scalar, _ := s.Get("scalar"); scalar.Rank() != 0 || scalar.Float64s()[0] != 2.5 {
			t.Errorf("%s: scalar is %v %v", file, scalar, scalar.Raw())
		}
		// No two tensors share elements, whatever the file shared.
		for _, pair := range [][2]string{{"parameter", "tied"}, {"shared.whole", "shared.rows"}} {
			a, _ := s.Get(pair[0])
			b, _ := s.Get(pair[1])
			before := slices.Clone(b.Float64s())
			for i := range tensor.Data[float32](a) {
				tensor.Data[float32](a)[i] = 99
			}
			if !slices.Equal(b.Float64s(), before) {
				t.Errorf("%s: %s shares elements with %s", file, pair[0], pair[1])
			}
		}
	}
}

func TestLoadSection(t *testing.T) {
	path := filepath.Join("testdata", "sections.pt")
	averages, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := LoadSection(path, "trainer.ema")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Names(), []string{"0.w", "1"}; !slices.Equal(got, want) || !equal(averages, s) {
		t.Errorf("names are %q, and %q without a section, want %q", got, averages.Names(), want)
	}
	online, err := LoadSection(path, "trainer.online")
	if err != nil || online.Len() != 1 {
		t.Errorf("the section holds %v, error %v", online, err)
	}
	if _, err := LoadSection(path, "trainer.none"); err == nil || !strings.Contains(err.Error(), `"trainer"`) {
		t.Errorf("error %v, want one that lists what is there", err)
	}
}

// What a file wants to call is named and never called.
func TestForeignGlobals(t *testing.T) {
	for _, file := range []string{"foreign.pt", "foreign_legacy.pt"} {
		f, err := Open(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if want := []string{"x: posix.getcwd"}; !slices.Equal(f.Beside, want) || f.Len() != 1 {
			t.Errorf("%s: %d tensors beside %q, want one beside %q", file, f.Len(), f.Beside, want)
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	s := sample(t)
	for _, name := range []string{"a.safetensors", "a.pt", "a.PTH", "a.bin", "a.ckpt"} {
		path := filepath.Join(dir, name)
		if err := Save(path, s); err != nil {
			t.Fatal(err)
		}
		got, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if !equal(got, s) {
			t.Errorf("%s: set changed on the way", name)
		}
		if ext := filepath.Ext(name); ext != ".safetensors" && !slices.Equal(got.Names(), s.Names()) {
			t.Errorf("%s: order changed on the way", name)
		}
		before := readFile(t, path)
		if err := Save(path, s); err != nil {
			t.Fatal(err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: the same set gave different bytes", name)
		}
	}
	// NumPy has no bfloat16: an error, and no file.
	path := filepath.Join(dir, "a.npz")
	if err := Save(path, s); err == nil {
		t.Error("bfloat16 was written to .npz")
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a failed save left a file: %v", err)
	}
	plain := &Set{}
	mustAdd(t, plain, "module.b.w", tensor.Of([]float32{1, 2}, 2))
	mustAdd(t, plain, "module.a", tensor.Of([]int64{3}))
	if err := Save(path, plain); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	pickled := filepath.Join(dir, "a.pkl")
	if err := Save(pickled, plain); err != nil {
		t.Fatal(err)
	}
	if again, err := Load(pickled); err != nil || !equal(again, got) {
		t.Errorf("a pickle of arrays gives %v, want %v; error %v", again, got, err)
	}
	if want := []string{"a", "b.w"}; !slices.Equal(got.Names(), want) {
		t.Errorf("names are %q, want %q: sorted and without the wrapper's prefix", got.Names(), want)
	}
	if err := Save(filepath.Join(dir, "a.h5"), plain); err == nil || !strings.Contains(err.Error(), `".h5"`) {
		t.Errorf("unknown extension: error %v", err)
	}
}

// PyTorch maps storages into memory at multiples of 64 bytes.
func TestTorchAlignment(t *testing.T) {
	var buf bytes.Buffer
	if err := WriteTorch(&buf, sample(t)); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range z.File {
		if at, err := m.DataOffset(); err != nil || at%torchAlignment != 0 {
			t.Errorf("%s begins at %d, error %v", m.Name, at, err)
		}
		if m.Method != zip.Store || m.Flags&8 != 0 {
			t.Errorf("%s has method %d and flags %#x, want it stored with its sizes first", m.Name, m.Method, m.Flags)
		}
	}
}

func TestUnwrapped(t *testing.T) {
	for _, c := range []struct{ names, want []string }{
		{[]string{"module.a", "module.b.c"}, []string{"a", "b.c"}},
		{[]string{"_orig_mod.module.a"}, []string{"a"}},
		{[]string{"module._orig_mod.module.a"}, []string{"a"}},
		{[]string{"module.a", "b"}, []string{"module.a", "b"}},
		{[]string{"module."}, []string{"module."}},
		{nil, nil},
	} {
		s := &Set{}
		for _, name := range c.names {
			mustAdd(t, s, name, tensor.New(tensor.Bool))
		}
		got, err := s.Unwrapped()
		if err != nil || !slices.Equal(got.Names(), c.want) {
			t.Errorf("%q became %q, want %q; error %v", c.names, got.Names(), c.want, err)
		}
	}
}
