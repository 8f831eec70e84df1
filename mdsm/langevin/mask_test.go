package langevin

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/tensor"
)

// rows prints the first channel of a mask, a row of # and . each.
func rows(m *tensor.Tensor) string {
	var b strings.Builder
	h, w := m.Shape()[2], m.Shape()[3]
	for i, v := range tensor.Data[float32](m)[:h*w] {
		b.WriteByte(".#"[int(v)])
		if i%w == w-1 {
			b.WriteByte(' ')
		}
	}
	return strings.TrimSpace(b.String())
}

func maskFile(t testing.TB, width, height int, hidden ...image.Point) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := 3; i < len(m.Pix); i += 4 {
		m.Pix[i] = 255
	}
	for _, p := range hidden {
		m.Set(p.X, p.Y, color.RGBA{0, 0, 1, 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mask.png")
	testkit.Write(t, path, b.Bytes())
	return path
}

func TestMasks(t *testing.T) {
	for _, c := range []struct {
		ref  string
		pad  int
		want string
	}{
		{"left", 0, "##.. ##.. ##.. ##.."},
		{"right", 0, "..## ..## ..## ..##"},
		{"top", 0, "#### #### .... ...."},
		{"bottom", 1, ".... .... .##. ...."},
		{"centre", 0, ".... .##. .##. ...."},
		{maskFile(t, 4, 4, image.Pt(3, 0), image.Pt(0, 1)), 1, "...# #... .... ...."},
		{maskFile(t, 2, 2, image.Pt(1, 0)), 1, ".... ..#. .... ...."},
	} {
		m, err := ReadMask(c.ref, []int{3, 4, 4}, c.pad)
		if err != nil {
			t.Fatal(err)
		}
		if got := rows(m); got != c.want {
			t.Errorf("%s with padding %d: %s, want %s", c.ref, c.pad, got, c.want)
		}
		v := tensor.Data[float32](m)
		for i := range 16 {
			if v[i] != v[16+i] || v[i] != v[32+i] {
				t.Errorf("%s: channels differ", c.ref)
			}
		}
	}
	for want, ref := range map[string]string{
		"it is 3×4, want 4×4, or 2×2 without the padding": maskFile(t, 3, 4),
		"one of [left right top bottom centre]":           "middle",
	} {
		if _, err := ReadMask(ref, []int{1, 4, 4}, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", ref, err, want)
		}
	}
	if _, err := ReadMask("left", []int{4}, 0); err == nil {
		t.Error("a mask for points is made")
	}
}

// FuzzMask decodes any bytes as a mask.
func FuzzMask(f *testing.F) {
	data := testkit.Read(f, maskFile(f, 4, 4, image.Pt(1, 1)))
	f.Add(data)
	f.Add(data[:40])
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeMask(bytes.NewReader(data), []int{1, 4, 4}, 1)
		if err != nil {
			return
		}
		for _, v := range tensor.Data[float32](m) {
			if v != 0 && v != 1 {
				t.Fatalf("a mask holds %g", v)
			}
		}
	})
}

func TestErrorsOfFills(t *testing.T) {
	f := Fill{
		Pictures:    tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 2, 3),
		Hidden:      tensor.Of([]float32{1, 0, 1, 0, 0, 0}, 2, 3),
		Completions: 2,
	}
	e, err := f.Errors(tensor.Of([]float32{2, 9, 3, 0, 2, 6, 4, 5, 6, 4, 5, 6}, 4, 3))
	if err != nil {
		t.Fatal(err)
	}
	// Off by 1, 0 and by −1, 3.
	for _, c := range [][2]float64{{e[0].RMSE[0], math.Sqrt(0.5)}, {e[0].RMSE[1], math.Sqrt(5)}, {e[0].Mean, 1.5 / math.Sqrt2},
		{float64(e[0].Hidden), 2}, {e[1].Mean, 0}, {float64(e[1].Hidden), 0}} {
		if math.Abs(c[0]-c[1]) > 1e-12 {
			t.Errorf("errors %+v: %g, want %g", e, c[0], c[1])
		}
	}
	if _, err := f.Errors(tensor.New(tensor.Float32, 3, 3)); err == nil {
		t.Error("samples that are missing are no error")
	}
	equalBits(t, "masked", f.Masked(0.5), tensor.Of([]float32{0.5, 2, 0.5, 4, 5, 6}, 6))
}
