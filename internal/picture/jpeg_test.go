package picture_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"strings"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/picture"
	"ebm/models/tensor"
)

// golden returns the files of testdata/jpeg.npz by name, and what Pillow says of them.
func golden(t testing.TB) (files map[string][]byte, pixels map[string]*tensor.Tensor) {
	t.Helper()
	all, err := npz.ReadFile("testdata/jpeg.npz")
	if err != nil {
		t.Fatal(err)
	}
	files, pixels = map[string][]byte{}, map[string]*tensor.Tensor{}
	for name, a := range all {
		if name, ok := strings.CutSuffix(name, ".file"); ok {
			files[name], pixels[name] = tensor.Data[uint8](a), all[name+".pixels"]
		}
	}
	return files, pixels
}

func TestAsPillow(t *testing.T) {
	files, pixels := golden(t)
	if len(files) != 32 {
		t.Errorf("%d files, want 32", len(files))
	}
	for name, data := range files {
		m, err := picture.Decode(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := pixels[name]
		var got []byte
		size := m.Bounds().Size()
		for y := range size.Y {
			for x := range size.X {
				switch m := m.(type) {
				case *image.Gray:
					got = append(got, m.GrayAt(x, y).Y)
				case *image.NRGBA:
					c := m.NRGBAAt(x, y)
					got = append(got, c.R, c.G, c.B)
				}
			}
		}
		if size.Y != want.Shape()[0] || size.X != want.Shape()[1] || !bytes.Equal(got, tensor.Data[uint8](want)) {
			t.Errorf("%s: %v pixels differ from Pillow's", name, size)
		}
	}
}

// A file that is cut short, or whose sizes lie, is an error.
func TestDamagedJPEG(t *testing.T) {
	files, _ := golden(t)
	for _, name := range []string{"420 31x33 progressive", "422 31x33 baseline", "CMYK", "grey"} {
		data := files[name]
		if data == nil {
			t.Fatalf("no file %q", name)
		}
		for n := range len(data) - 2 {
			if _, err := picture.DecodeJPEG(bytes.NewReader(data[:n])); err == nil {
				t.Fatalf("%s: a file of %d of %d bytes was decoded", name, n, len(data))
			}
		}
	}
}

func FuzzJPEG(f *testing.F) {
	files, _ := golden(f)
	for _, data := range files {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := jpeg.DecodeConfig(bytes.NewReader(data)); err != nil || c.Width*c.Height > 1<<20 {
			return
		}
		m, err := picture.DecodeJPEG(bytes.NewReader(data))
		if err == nil && m.Bounds().Empty() {
			t.Error("a picture without pixels")
		}
	})
}
