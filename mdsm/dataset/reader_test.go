package dataset_test

import (
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/mdsm/dataset"
	"ebm/models/tensor"
)

func writeWith(t *testing.T, path string, write func(io.Writer) error) string {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := write(f); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPicturesOfEveryKindAreTheSame(t *testing.T) {
	dir := t.TempDir()
	// Two rows of three pixels, red and blue apart.
	img := image.NewRGBA(image.Rect(0, 0, 2, 2))
	bytes := tensor.New(tensor.Uint8, 1, 2, 2, 3)
	floats := tensor.New(tensor.Float64, 1, 3, 2, 2)
	for p := range 4 {
		c := color.RGBA{uint8(10 * p), uint8(20 * p), uint8(255 - p), 255}
		img.SetRGBA(p%2, p/2, c)
		for k, v := range []uint8{c.R, c.G, c.B} {
			tensor.Data[uint8](bytes)[p*3+k] = v
			tensor.Data[float64](floats)[k*4+p] = float64(v) / 255
		}
	}
	want := floats.AsFloat32()
	for _, path := range []string{
		writeWith(t, filepath.Join(dir, "a.png"), func(w io.Writer) error { return png.Encode(w, img) }),
		writeWith(t, filepath.Join(dir, "b.npy"), func(w io.Writer) error { return npz.WriteNpy(w, bytes) }),
		writeWith(t, filepath.Join(dir, "c.npy"), func(w io.Writer) error { return npz.WriteNpy(w, floats) }),
	} {
		got, err := dataset.Pictures(t.Context(), path, []int{3, 2, 2})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if !slices.Equal(got.Shape(), want.Shape()) || !slices.Equal(tensor.Data[float32](got), tensor.Data[float32](want)) {
			t.Errorf("%s: %v, want %v", path, got.Raw(), want.Raw())
		}
	}
}

func TestPicturesThatDoNotFit(t *testing.T) {
	dir := t.TempDir()
	grey := writeWith(t, filepath.Join(dir, "grey.npy"), func(w io.Writer) error {
		return npz.WriteNpy(w, tensor.New(tensor.Uint8, 5, 8, 8, 1))
	})
	other := filepath.Join(dir, "other.txt")
	testkit.Write(t, other, []byte("text"))
	for path, want := range map[string]string{
		grey:                           "uint8[5 8 8 1]",
		other:                          "other.txt",
		filepath.Join(dir, "none.npy"): "none.npy",
	} {
		if _, err := dataset.Pictures(t.Context(), path, []int{3, 8, 8}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that says %q", path, err, want)
		}
	}
}
