package features

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/models/tensor"
)

func block(n int) Set {
	b := Set{Features: tensor.New(tensor.Float32, n, 3), Logits: tensor.New(tensor.Float32, n, 2)}
	for i := range b.Features.Len() {
		tensor.Data[float32](b.Features)[i] = float32(i) / 7
	}
	return b
}

func TestStoreAndLoad(t *testing.T) {
	c, err := OpenCache(filepath.Join(t.TempDir(), "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	pictures := tensor.New(tensor.Uint8, 4, 1, 2, 2)
	k := keyOf("net", pictures)
	if _, found, err := c.load(k, 4); found || err != nil {
		t.Errorf("before anything was stored: %v, %v", found, err)
	}
	want := block(4)
	if err := c.store(k, want); err != nil {
		t.Fatal(err)
	}
	got, found, err := c.load(k, 4)
	if !found || err != nil || got.Features.String() != "float32[4 3]" || got.Logits.String() != "float32[4 2]" {
		t.Fatalf("%v, %v, %v", got, found, err)
	}
	for i, v := range tensor.Data[float32](got.Features) {
		if v != tensor.Data[float32](want.Features)[i] {
			t.Fatalf("feature %d is %g", i, v)
		}
	}
	want.Logits = nil
	if err := c.store(k, want); err != nil {
		t.Fatal(err)
	}
	if got, found, err := c.load(k, 4); !found || err != nil || got.Logits != nil {
		t.Errorf("without logits: %v, %v, %v", got, found, err)
	}
}

// A key tells apart whatever changes the features.
func TestKeysDiffer(t *testing.T) {
	pictures := tensor.New(tensor.Uint8, 4, 1, 2, 2)
	other := tensor.New(tensor.Uint8, 4, 1, 2, 2)
	tensor.Data[uint8](other)[15] = 1
	keys := map[key]string{}
	for name, k := range map[string]key{
		"first": keyOf("net", pictures), "maker": keyOf("net2", pictures), "bytes": keyOf("net", other),
		"shape": keyOf("net", pictures.Reshape(4, 1, 1, 4)), "fewer": keyOf("net", tensor.New(tensor.Uint8, 3, 1, 2, 2)),
	} {
		if before, ok := keys[k]; ok {
			t.Errorf("%s and %s have one key", before, name)
		}
		keys[k] = name
	}
	if keyOf("net", pictures) != keyOf("net", pictures.Clone()) {
		t.Error("equal pictures have two keys")
	}
}

func TestDamagedBlocks(t *testing.T) {
	dir := t.TempDir()
	c, err := OpenCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	k := keyOf("net", tensor.New(tensor.Uint8, 4, 1, 2, 2))
	if err := c.store(k, block(4)); err != nil {
		t.Fatal(err)
	}
	path := c.path(k)
	whole := testkit.Read(t, path)
	flipped := append([]byte(nil), whole...)
	flipped[len(flipped)/3] ^= 0x10
	nan := block(4)
	tensor.Data[float32](nan.Features)[5] = float32(nanValue())
	for name, damage := range map[string]func() error{
		"cut short":     func() error { return os.WriteFile(path, whole[:len(whole)/2], 0o644) },
		"empty":         func() error { return os.WriteFile(path, nil, 0o644) },
		"a flipped bit": func() error { return os.WriteFile(path, flipped, 0o644) },
		"NaN":           func() error { return c.store(k, nan) },
		"other rows":    func() error { return c.store(k, block(3)) },
		"other arrays": func() error {
			return write(path, map[string]*tensor.Tensor{"mu": tensor.New(tensor.Float32, 4, 3)})
		},
		"other types": func() error {
			return write(path, map[string]*tensor.Tensor{"features": tensor.New(tensor.Float64, 4, 3)})
		},
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if _, found, err := c.load(k, 4); found || err == nil || !strings.Contains(err.Error(), path+" is damaged") {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	if err := c.store(k, block(4)); err != nil {
		t.Fatal(err)
	}
	if _, found, err := c.load(k, 4); !found || err != nil {
		t.Errorf("written again: %v, %v", found, err)
	}
	if _, err := OpenCache(path); err == nil {
		t.Error("a file as the folder: no error")
	}
}

func nanValue() float64 { zero := 0.0; return zero / zero }

func write(path string, arrays map[string]*tensor.Tensor) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return npz.Write(f, arrays, npz.Store)
}

// FuzzLoad reads blocks that anything may have written.
func FuzzLoad(f *testing.F) {
	dir := f.TempDir()
	c, err := OpenCache(dir)
	if err != nil {
		f.Fatal(err)
	}
	k := keyOf("net", tensor.New(tensor.Uint8, 4, 1, 2, 2))
	if err := c.store(k, block(4)); err != nil {
		f.Fatal(err)
	}
	whole := testkit.Read(f, c.path(k))
	f.Add(whole)
	f.Add(whole[:40])
	f.Fuzz(func(t *testing.T, file []byte) {
		c := &Cache{t.TempDir()}
		path := c.path(k)
		testkit.Mkdir(t, filepath.Dir(path))
		testkit.Write(t, path, file)
		b, found, err := c.load(k, 4)
		if found != (err == nil) || found && b.Features.Shape()[0] != 4 {
			t.Errorf("%v, %v, %v", b, found, err)
		}
	})
}
