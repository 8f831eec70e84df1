package sets

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ebm/evaluate/features"
	"ebm/internal/npz"
	"ebm/internal/picture"
	"ebm/internal/testkit"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// picturesOf returns all pictures of a source, one [1 C H W] each.
func picturesOf(t *testing.T, ref string, o SourceOptions) ([]*tensor.Tensor, error) {
	t.Helper()
	s, err := Open(t.Context(), ref, o)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var all []*tensor.Tensor
	for first := 0; first < s.Count; first += 5 {
		part, err := s.read(t.Context(), first, min(5, s.Count-first))
		if err != nil {
			return nil, err
		}
		for _, x := range part {
			for i := range x.Shape()[0] {
				all = append(all, x.Rows(i, i+1))
			}
		}
	}
	return all, ended(s)
}

// ended reads what is left of a source, if anything checks it.
func ended(s *Source) error {
	if s.end == nil {
		return nil
	}
	return s.end()
}

// whole returns x's elements as another type, each after f.
func whole(dtype tensor.DType, x *tensor.Tensor, f func(v float64) float64) *tensor.Tensor {
	out := tensor.New(dtype, x.Shape()...)
	for i, v := range x.Float64s() {
		switch data := out.Raw().(type) {
		case []float32:
			data[i] = float32(f(v))
		case []float64:
			data[i] = f(v)
		case []int32:
			data[i] = int32(f(v))
		case []int64:
			data[i] = int64(f(v))
		case []int16:
			data[i] = int16(f(v))
		}
	}
	return out
}

// fortran writes an array [N H W C] of bytes with the first axis running fastest.
func fortran(t *testing.T, x *tensor.Tensor) string {
	t.Helper()
	shape := x.Shape()
	header := fmt.Sprintf("{'descr': '|u1', 'fortran_order': True, 'shape': (%d, %d, %d, %d), }", shape[0], shape[1], shape[2], shape[3])
	header += string(bytes.Repeat([]byte(" "), 127-10-len(header))) + "\n"
	out := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	out = append(out, header...)
	data := tensor.Data[uint8](x)
	for c := range shape[3] {
		for w := range shape[2] {
			for h := range shape[1] {
				for n := range shape[0] {
					out = append(out, data[((n*shape[1]+h)*shape[2]+w)*shape[3]+c])
				}
			}
		}
	}
	path := filepath.Join(t.TempDir(), "fortran.npy")
	testkit.Write(t, path, out)
	return path
}

func torchFile(t *testing.T, x *tensor.Tensor) string {
	t.Helper()
	set := new(weights.Set)
	if err := set.Add("x", x); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.pt")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := weights.WriteTorch(f, set); err != nil {
		t.Fatal(err)
	}
	return path
}

// The same pictures come out of every form of an array.
func TestArraysOfEveryForm(t *testing.T) {
	first := drawn(12, 8, 0)
	last, err := picture.NHWC(first)
	if err != nil {
		t.Fatal(err)
	}
	same := func(v float64) float64 { return v }
	unit := func(v float64) float64 { return v / 255 }
	rgba := tensor.New(tensor.Uint8, 12, 8, 8, 4)
	for i, v := range tensor.Data[uint8](last) {
		tensor.Data[uint8](rgba)[i/3*4+i%3], tensor.Data[uint8](rgba)[i/3*4+3] = v, 255
	}
	labelled := filepath.Join(t.TempDir(), "labelled.npz")
	testkit.Write(t, labelled, nil)
	f, err := os.Create(labelled)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := npz.Write(f, map[string]*tensor.Tensor{"images": last, "labels": tensor.New(tensor.Int64, 12)}, npz.Store); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, span string }{
		"bytes, channels last":          {npy(t, "x.npz", last), ""},
		"bytes, channels first":         {npy(t, "x.npy", first), ""},
		"bytes in Fortran order":        {fortran(t, last), ""},
		"bytes with transparency":       {npy(t, "x.npz", rgba), ""},
		"bytes beside labels":           {labelled, ""},
		"int64, channels last":          {npy(t, "x.npz", whole(tensor.Int64, last, same)), ""},
		"int32, channels first":         {npy(t, "x.npz", whole(tensor.Int32, first, same)), ""},
		"floats, channels last":         {npy(t, "x.npy", whole(tensor.Float32, last, unit)), ""},
		"floats with transparency":      {npy(t, "x.npy", whole(tensor.Float64, rgba, unit)), ""},
		"floats to 255":                 {npy(t, "x.npy", whole(tensor.Float32, first, same)), "0..255"},
		"floats from -1":                {npy(t, "x.npy", whole(tensor.Float32, first, func(v float64) float64 { return 2*v/255 - 1 })), "-1..1"},
		"a tensor of bytes":             {torchFile(t, first), ""},
		"a tensor of floats":            {torchFile(t, whole(tensor.Float32, first, unit)), ""},
		"a tensor of floats in float64": {torchFile(t, whole(tensor.Float64, last, unit)), ""},
	} {
		got, err := picturesOf(t, c.path, SourceOptions{Range: c.span})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if x := tensor.Concat(got...); !bytes.Equal(tensor.Data[uint8](x), tensor.Data[uint8](first)) || x.Shape()[1] != 3 {
			t.Errorf("%s: other pictures, %v", name, x)
		}
	}
	loud := whole(tensor.Int64, last, func(v float64) float64 { return 4 * v })
	_, err = picturesOf(t, npy(t, "x.npy", loud), SourceOptions{})
	testkit.WantError(t, "whole numbers beyond 255", err, "x.npy", "of the values are outside 0..255")
	clear := rgba.Clone()
	for i := range tensor.Data[uint8](clear) {
		if i%4 == 3 {
			tensor.Data[uint8](clear)[i] = 0
		}
	}
	got, err := picturesOf(t, npy(t, "x.npy", clear), SourceOptions{})
	if err != nil || tensor.Data[uint8](got[0])[0] != 255 {
		t.Errorf("transparent pictures: %v, want white ones; error %v", got, err)
	}
}

// A file that ends early says so, and names itself.
func TestArraysCutShort(t *testing.T) {
	for _, name := range []string{"x.npz", "x.npy", "x.pt"} {
		x := drawn(40, 8, 0)
		path := ""
		if name == "x.pt" {
			path = torchFile(t, x)
		} else {
			path = npy(t, name, x)
		}
		file := testkit.Read(t, path)
		for _, n := range []int{40, len(file) / 2, len(file) - 1} {
			testkit.Write(t, path, file[:n])
			if _, err := picturesOf(t, path, SourceOptions{}); err == nil {
				t.Errorf("%s cut to %d bytes: no error", name, n)
			} else {
				testkit.WantError(t, fmt.Sprintf("%s cut to %d", name, n), err, path, "cut short")
			}
		}
	}
}

// Pictures of mixed sizes are brought to the network's input one by one.
func TestMixedSizes(t *testing.T) {
	rt, net := testkit.Open(t, 0), network(t, same)
	dir := t.TempDir()
	sizes := []int{8, 11, 8, 20, 9}
	for i, size := range sizes {
		if err := picture.WriteFolder(dir, 4*i, drawn(4, size, 10*i)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	if s.Height != 0 || s.Width != 0 || s.Channels != 3 || s.Count != 20 {
		t.Fatalf("a source of %d pictures %d×%d×%d, want 20 of mixed sizes", s.Count, s.Channels, s.Height, s.Width)
	}
	written, cache := filepath.Join(dir, "f.npz"), t.TempDir()
	for range 2 { // the second time from the cache
		o := Options{Samples: open(t, dir), Reference: open(t, folder(t, drawn(20, 8, 60))), Network: opened(t, net),
			WriteFeatures: written, CacheDir: cache, Metrics: []string{Frechet, Kernel}}
		compare(t, rt, o)
	}
	got := testkit.Arrays(t, written)["features"]
	for i, size := range sizes {
		e, err := opened(t, net).Open(rt, 3, size, size)
		if err != nil {
			t.Fatal(err)
		}
		want, err := e.Features(t.Context(), drawn(4, size, 10*i), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(fmt.Append(nil, got.Rows(4*i, 4*i+4).Raw()), fmt.Append(nil, want.Features.Raw())) {
			t.Errorf("pictures of %d pixels have other features than by themselves", size)
		}
		e.Close()
	}
	_, err := Run(t.Context(), rt, Options{Samples: s, Network: features.PixelValues(), Metrics: []string{Frechet}, WriteFeatures: written})
	testkit.WantError(t, "pixels", err, "mixed sizes, want one size")
}
