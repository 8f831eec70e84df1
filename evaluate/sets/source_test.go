package sets

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/models/tensor"
)

func TestSourcesThatCannotBe(t *testing.T) {
	cut := drawnSamples(t, drawn(40, 8, 0))
	whole := testkit.Read(t, cut)
	short := filepath.Join(t.TempDir(), "short.npz")
	damaged := folder(t, drawn(3, 8, 0))
	run := t.TempDir()
	for _, err := range []error{
		os.WriteFile(short, whole[:len(whole)-200], 0o644),
		os.WriteFile(filepath.Join(damaged, "000001.png"), []byte("no picture"), 0o644),
		os.WriteFile(filepath.Join(run, "config.toml"), nil, 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	two := filepath.Join(t.TempDir(), "two.npz")
	if err := writeArrays(two, npz.Store, map[string]*tensor.Tensor{"a": tensor.New(tensor.Uint8, 2),
		"b": tensor.New(tensor.Uint8, 2)}); err != nil {
		t.Fatal(err)
	}
	maker := filepath.Join(t.TempDir(), "maker.npz")
	if err := writeArrays(maker, npz.Store, map[string]*tensor.Tensor{
		"features": tensor.New(tensor.Float32, 2, 2), makerArray: tensor.Of([]uint8("{"), 1),
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, ref, want string }{
		{"nothing", filepath.Join(run, "none"), "it is no data set either, want one of mnist, "},
		{"a wrong split", "mnist:valid", "want mnist:train or mnist:test"},
		{"a run without samples", run, "a run without samples: draw some with ebm sample"},
		{"an empty folder", t.TempDir(), "holds no pictures, want files ending in one of"},
		{"a damaged file", damaged, "000001.png: starts with 6e 6f"},
		{"a file cut short", short, "npz"},
		{"two arrays", two, `["a" "b"], want one, or one named arr_0, images or x`},
		{"two channels", npy(t, "x.npy", tensor.New(tensor.Uint8, 4, 8, 8, 2)), "uint8[4 8 8 2], want pictures"},
		{"truth values", npy(t, "x.npy", tensor.New(tensor.Bool, 4, 8, 8, 3)), "bool[4 8 8 3], want pictures"},
		{"no features", npy(t, "x.npy", tensor.New(tensor.Float32, 0, 3)), "x.npy"},
		{"a damaged maker", maker, makerArray},
	} {
		s, err := Open(context.Background(), c.ref, SourceOptions{})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

// Pictures whose file ends early, or is damaged after its header, are found
// while they are read.
func TestDamagedWhileReading(t *testing.T) {
	rt, net := testkit.Open(t, 0), opened(t, network(t, same))
	dir := folder(t, drawn(3, 8, 0))
	path := filepath.Join(dir, "000001.png")
	whole := testkit.Read(t, path)
	testkit.Write(t, path, whole[:len(whole)-40])
	array := npy(t, "x.npy", drawn(200, 8, 0))
	if err := os.Truncate(array, 20000); err != nil {
		t.Fatal(err)
	}
	nan := tensor.New(tensor.Float32, 4, 3, 8, 8)
	zero := float32(0)
	tensor.Data[float32](nan)[200] = zero / zero
	for ref, want := range map[string]string{dir: "000001.png", array: "rows", npy(t, "x.npy", nan): "pixel 8 of picture 1 is not finite"} {
		s, err := Open(context.Background(), ref, SourceOptions{})
		if err == nil {
			_, err = Run(context.Background(), rt, Options{Samples: s, Network: net})
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

func TestDataSetsTakeTheSize(t *testing.T) {
	for side, want := range map[int]int{0: 28, 14: 14, 16: 16, 32: 32, 28: 28, 20: 28} {
		s, err := Open(context.Background(), "mnist:test", SourceOptions{Side: side, Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		if s.Height != want || s.Width != want || s.Count != 50 || s.Channels != 1 {
			t.Errorf("compared with %d pixels: %d pictures of %d×%d, want 50 of %d", side, s.Count, s.Height, s.Width, want)
		}
		if x, err := s.read(context.Background(), 10, 5); err != nil || x[0].String() != fmt.Sprintf("uint8[5 1 %d %d]", want, want) {
			t.Errorf("compared with %d pixels: read %v, %v", side, x, err)
		}
		s.Close()
	}
}

// FuzzOpen opens and reads files that anything may have written.
func FuzzOpen(f *testing.F) {
	for _, path := range []string{drawnSamples(f, drawn(3, 4, 0)), npy(f, "x.npz", tensor.New(tensor.Float32, 3, 4)),
		npy(f, "x.npz", tensor.New(tensor.Float32, 2, 1, 4, 4))} {
		file := testkit.Read(f, path)
		f.Add(file)
		f.Add(file[:len(file)/2])
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "x.npz")
		testkit.Write(t, path, file)
		s, err := Open(context.Background(), path, SourceOptions{})
		if err != nil {
			return
		}
		defer s.Close()
		if s.Kind == Pictures {
			for first := 0; first < s.Count; first += Block {
				x, err := s.read(context.Background(), first, min(Block, s.Count-first))
				if err != nil {
					return
				}
				if x := x[0]; x.DType() != tensor.Uint8 || x.Rank() != 4 || x.Shape()[1] != s.Channels {
					t.Errorf("read %v of %d channels", x, s.Channels)
				}
			}
		}
	})
}

// FuzzMaker reads what a file says of its maker.
func FuzzMaker(f *testing.F) {
	f.Add([]byte(`{"network":"onnx","features":12}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := makerOf(tensor.Of(text, len(text)))
		if (m == nil) != (err != nil) {
			t.Errorf("%v, %v", m, err)
		}
	})
}

func TestFeaturesThatAreNotFiniteNameTheFile(t *testing.T) {
	nan := tensor.New(tensor.Float32, 6, 4)
	tensor.Data[float32](nan)[9] = float32(math.NaN())
	path := npy(t, "f.npy", nan)
	_, err := Open(t.Context(), path, SourceOptions{})
	testkit.WantError(t, "NaN", err, path, "feature 1 of sample 2 is NaN, want a finite number")
}
