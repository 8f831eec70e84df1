package dataset

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"ebm/internal/npz"
	"ebm/models/tensor"
)

// archived returns the pictures of two classes as a .zip and as a .tar with a
// label beside each, as webdataset has it.
func archived(t testing.TB) (zipped, tarred string, want []uint8) {
	t.Helper()
	var z, r bytes.Buffer
	zw, tw := zip.NewWriter(&z), tar.NewWriter(&r)
	for i := range 6 {
		m := image.NewRGBA(image.Rect(0, 0, 3, 2))
		for k := range m.Pix {
			m.Pix[k] = uint8(20*i + k)
			if k%4 == 3 {
				m.Pix[k] = 255
			}
		}
		for c := range 3 {
			for p := range 6 {
				want = append(want, m.Pix[4*p+c])
			}
		}
		var data bytes.Buffer
		if err := png.Encode(&data, m); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%d/%03d", i/3, i)
		for file, content := range map[string][]byte{name + ".png": data.Bytes(), name + ".cls": {'0'}} {
			w, err := zw.Create(file)
			if err == nil {
				_, err = w.Write(content)
			}
			if err == nil {
				err = tw.WriteHeader(&tar.Header{Name: file, Size: int64(len(content)), Mode: 0o644, Typeflag: tar.TypeReg})
			}
			if err == nil {
				_, err = tw.Write(content)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	zipped, tarred = filepath.Join(dir, "a.zip"), filepath.Join(dir, "a.TAR")
	for path, data := range map[string][]byte{zipped: z.Bytes(), tarred: r.Bytes()} {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return zipped, tarred, want
}

func TestArchives(t *testing.T) {
	zipped, tarred, want := archived(t)
	for _, path := range []string{zipped, tarred} {
		set, err := Load(t.Context(), Spec{Name: "folder", Dir: path})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(set.Pixels, want) || !slices.Equal(set.Labels, []uint16{0, 0, 0, 1, 1, 1}) {
			t.Errorf("%s: other pictures, or the labels %v", path, set.Labels)
		}
		f, err := OpenFolder(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		x, err := f.Read(t.Context(), 2, 3)
		if err != nil || !bytes.Equal(tensor.Data[uint8](x[0]), want[2*18:5*18]) || !strings.Contains(f.Note, "6 files that are no pictures") {
			t.Errorf("%s: pictures 2 to 4 differ; note %q, error %v", path, f.Note, err)
		}
		if _, err := Load(t.Context(), Spec{Name: "folder", Dir: path, Split: Test}); err == nil ||
			!strings.Contains(err.Error(), "no folder called test") {
			t.Errorf("%s: error %v for a split that is not there", path, err)
		}
	}
	data, err := os.ReadFile(zipped)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.zip")
	if err := os.WriteFile(cut, data[:len(data)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(t.Context(), cut); err == nil || !strings.Contains(err.Error(), "cut.zip") {
		t.Errorf("half of an archive: error %v", err)
	}
}

// One picture in every format that keeps all its bytes.
// formatted returns a picture of 2×2 pixels in every format that can be written here, and its values, [3 2 2].
func formatted(t testing.TB) (files map[string][]byte, want []uint8) {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 2, 2))
	values := []uint8{10, 20, 30, 255, 40, 50, 60, 255, 70, 80, 90, 255, 100, 110, 120, 255}
	copy(m.Pix, values)
	palette := color.Palette{}
	for i := range 4 {
		palette = append(palette, m.At(i%2, i/2))
	}
	indexed := image.NewPaletted(m.Rect, palette)
	copy(indexed.Pix, []uint8{0, 1, 2, 3})
	wide := image.NewNRGBA64(m.Rect)
	for i, v := range values {
		wide.Pix[2*i], wide.Pix[2*i+1] = v, 200 // the lower eight bits are left out, not rounded
	}
	encoders := map[string]func(b *bytes.Buffer) error{
		"a.png":  func(b *bytes.Buffer) error { return png.Encode(b, wide) },
		"a.bmp":  func(b *bytes.Buffer) error { return bmp.Encode(b, m) },
		"a.tiff": func(b *bytes.Buffer) error { return tiff.Encode(b, m, nil) },
		"a.gif":  func(b *bytes.Buffer) error { return gif.Encode(b, indexed, nil) },
		"a.ppm": func(b *bytes.Buffer) error {
			_, err := b.WriteString("P6 # a comment\n2 2\n255\n" + string([]byte{10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120}))
			return err
		},
	}
	files = map[string][]byte{}
	for name, encode := range encoders {
		var data bytes.Buffer
		if err := encode(&data); err != nil {
			t.Fatal(err)
		}
		files[name] = data.Bytes()
	}
	return files, []uint8{10, 40, 70, 100, 20, 50, 80, 110, 30, 60, 90, 120}
}

func TestPictureFormats(t *testing.T) {
	files, want := formatted(t)
	for name, data := range files {
		set, err := Load(t.Context(), Spec{Name: "folder", Dir: folderOf(t, map[string][]byte{name: data})})
		if err != nil || !bytes.Equal(set.Pixels, want) {
			t.Errorf("%s: error %v, or pixels that are not %v", name, err, want)
		}
	}
}

// FuzzArchive lists and reads archives that anything may have written.
func FuzzArchive(f *testing.F) {
	zipped, tarred, _ := archived(f)
	for path, isZip := range map[string]bool{zipped: true, tarred: false} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, isZip)
		f.Add(data[:len(data)/2], isZip)
	}
	f.Fuzz(func(t *testing.T, data []byte, isZip bool) {
		path := filepath.Join(t.TempDir(), "a.tar")
		if isZip {
			path = filepath.Join(t.TempDir(), "a.zip")
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		folder, err := OpenFolder(t.Context(), path)
		if err != nil {
			return
		}
		for i := range min(folder.Len(), 20) {
			if h := folder.headers[i]; h.width*h.height > 1<<16 {
				continue
			}
			x, err := folder.Read(t.Context(), i, 1)
			if err == nil && (len(x) != 1 || x[0].Shape()[1] != folder.Channels) {
				t.Errorf("picture %d of %d channels is %v", i, folder.Channels, x)
			}
		}
	})
}

// FuzzArray reads arrays that anything may have written.
func FuzzArray(f *testing.F) {
	var array, archive bytes.Buffer
	x := tensor.New(tensor.Uint8, 3, 2, 2, 3)
	if err := npz.WriteNpy(&array, x); err != nil {
		f.Fatal(err)
	}
	if err := npz.Write(&archive, map[string]*tensor.Tensor{"images": x, "labels": tensor.New(tensor.Int64, 3)}, npz.Deflate); err != nil {
		f.Fatal(err)
	}
	f.Add(array.Bytes(), uint8(0))
	f.Add(bytes.Replace(array.Bytes(), []byte("'fortran_order': False"), []byte("'fortran_order': True "), 1), uint8(0))
	f.Add(archive.Bytes(), uint8(1))
	torch, err := os.ReadFile("../../models/weights/testdata/zip.pt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(torch, uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, kind uint8) {
		path := filepath.Join(t.TempDir(), []string{"a.npy", "a.npz", "a.pt"}[kind%3])
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		a, err := OpenArray(path)
		if err != nil {
			return
		}
		defer a.Close()
		for rows := 0; ; {
			x, err := a.Next(2)
			if err != nil {
				return
			}
			if rows += x.Shape()[0]; x.DType() != a.DType || rows > a.Shape[0] {
				t.Fatalf("%d rows of %v, want %d of %v", rows, x, a.Shape[0], a.DType)
			}
		}
	})
}
