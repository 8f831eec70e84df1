package dataset

import (
	"bytes"
	"context"
	"ebm/internal/testkit"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func pngBytes(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegBytes(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// paint makes a picture whose pixels are colour(x, y).
func paint(w, h int, colour func(x, y int) color.NRGBA) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetNRGBA(x, y, colour(x, y))
		}
	}
	return m
}

func gradient(x, y int) color.NRGBA {
	return color.NRGBA{uint8(7 * x), uint8(5 * y), uint8(x * y), 255}
}

func grey(w, h int, level uint8) *image.Gray {
	m := image.NewGray(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = level
	}
	return m
}

func TestFolderKeepsPixels(t *testing.T) {
	dir := folderOf(t, map[string][]byte{
		"b/2.png":       pngBytes(t, paint(6, 4, gradient)),
		"a/1.PNG":       pngBytes(t, paint(6, 4, func(x, y int) color.NRGBA { return color.NRGBA{1, 2, uint8(x), 255} })),
		"a/.hidden.png": []byte("not a picture"), "a/notes.txt": []byte("text"),
	})
	var steps []string
	set := load(t, Spec{Name: "folder", Dir: dir, Progress: func(done, total int) { steps = append(steps, fmt.Sprint(done, "/", total)) }})
	if set.Len() != 2 || set.Channels != 3 || set.Height != 4 || set.Width != 6 {
		t.Fatalf("%d pictures of %d channels, %dx%d", set.Len(), set.Channels, set.Width, set.Height)
	}
	for i := range 24 {
		want := gradient(i%6, i/6)
		if p := set.Picture(1); p[i] != want.R || p[24+i] != want.G || p[48+i] != want.B {
			t.Fatalf("pixel %d is %d, %d, %d, want %v", i, p[i], p[24+i], p[48+i], want)
		}
	}
	if !slices.Equal(set.Labels, []uint16{0, 1}) || !slices.Equal(set.Classes, []string{"a", "b"}) {
		t.Errorf("labels %v of classes %v", set.Labels, set.Classes)
	}
	if len(set.Notes) != 1 || !strings.Contains(set.Notes[0], "1 files") || !strings.Contains(set.Notes[0], "notes.txt") {
		t.Errorf("notes %q", set.Notes)
	}
	if !slices.Equal(steps, []string{"1/2", "2/2"}) {
		t.Errorf("progress %v", steps)
	}
}

func TestFolderKindsOfPictures(t *testing.T) {
	deep := image.NewGray16(image.Rect(0, 0, 2, 1))
	deep.SetGray16(0, 0, color.Gray16{Y: 128 * 257})
	deep.SetGray16(1, 0, color.Gray16{Y: 128*257 + 129}) // nearer to 129
	veil := paint(2, 1, func(x, y int) color.NRGBA { return color.NRGBA{200, 100, 0, uint8(255 * x)} })
	veil.SetNRGBA(0, 0, color.NRGBA{0, 0, 0, 102}) // 40 % black over white
	palette := image.NewPaletted(image.Rect(0, 0, 2, 1), color.Palette{color.Black, color.NRGBA{10, 20, 30, 255}})
	palette.Pix[1] = 1
	for name, tc := range map[string]struct {
		data     []byte
		channels int
		want     []uint8
	}{
		"grey":            {pngBytes(t, grey(2, 1, 77)), 0, []uint8{77, 77}},
		"grey as colour":  {pngBytes(t, grey(2, 1, 77)), 3, []uint8{77, 77, 77, 77, 77, 77}},
		"grey JPEG":       {jpegBytes(t, grey(2, 1, 77)), 0, []uint8{77, 77}},
		"16 bits":         {pngBytes(t, deep), 0, []uint8{128, 129}},
		"alpha":           {pngBytes(t, veil), 0, []uint8{153, 200, 153, 100, 153, 0}},
		"palette":         {pngBytes(t, palette), 0, []uint8{0, 10, 0, 20, 0, 30}},
		"colour as grey":  {pngBytes(t, palette), 1, []uint8{0, 18}}, // 0.299·10 + 0.587·20 + 0.114·30 = 18.15
		"JPEG named .png": {jpegBytes(t, paint(2, 1, func(x, y int) color.NRGBA { return color.NRGBA{90, 90, 90, 255} })), 1, []uint8{90, 90}},
	} {
		t.Run(name, func(t *testing.T) {
			set := load(t, Spec{Name: "folder", Dir: folderOf(t, map[string][]byte{"a.png": tc.data}), Channels: tc.channels})
			if !slices.Equal(set.Pixels, tc.want) {
				t.Errorf("%v, want %v", set.Pixels, tc.want)
			}
		})
	}
}

func TestFolderCutsAndResizes(t *testing.T) {
	// A white square in the middle of black; the cut leaves only white.
	m := paint(40, 20, func(x, y int) color.NRGBA {
		if 10 <= x && x < 30 {
			return color.NRGBA{255, 255, 255, 255}
		}
		return color.NRGBA{0, 0, 0, 255}
	})
	ramp := paint(16, 16, func(x, y int) color.NRGBA { return color.NRGBA{uint8(10 * x), uint8(10 * y), 50, 255} })
	set := load(t, Spec{Name: "folder", Size: 8, Dir: folderOf(t, map[string][]byte{
		"a.png": pngBytes(t, m), "b.png": pngBytes(t, ramp)})})
	if set.Len() != 2 || set.Height != 8 || set.Width != 8 || set.Labels != nil {
		t.Fatalf("%d pictures %dx%d, labels %v", set.Len(), set.Width, set.Height, set.Labels)
	}
	for i, p := range set.Picture(0) {
		if p != 255 {
			t.Fatalf("value %d is %d, want 255: the cut is not the middle square", i, p)
		}
	}
	// Halving a ramp with a symmetric filter gives the ramp at the middles of
	// pairs of pixels, away from the edges.
	for y := 1; y < 7; y++ {
		for x := 1; x < 7; x++ {
			p := set.Picture(1)
			if r, g, b := p[y*8+x], p[64+y*8+x], p[128+y*8+x]; int(r) != 20*x+5 || int(g) != 20*y+5 || b != 50 {
				t.Errorf("at %d, %d: %d, %d, %d, want %d, %d, 50", x, y, r, g, b, 20*x+5, 20*y+5)
			}
		}
	}
}

func TestFolderErrors(t *testing.T) {
	small, large := pngBytes(t, grey(4, 4, 1)), pngBytes(t, grey(5, 4, 1))
	dir := folderOf(t, map[string][]byte{"a.png": small, "b.png": large})
	wantError(t, Spec{Name: "folder", Dir: dir}, "a.png is 4x4", "b.png is 5x4")
	wantError(t, Spec{Name: "folder", Dir: dir, Channels: 2}, "2 channels")
	wantError(t, Spec{Name: "folder", Dir: dir, Split: Test}, dir, "test")
	wantError(t, Spec{Name: "folder"}, "--data")
	wantError(t, Spec{Name: "folder", Dir: dir, Size: -1}, "-1")
	wantError(t, Spec{Name: "folder", Dir: folderOf(t, nil)}, "holds no pictures")
	wantError(t, Spec{Name: "folder", Dir: folderOf(t, map[string][]byte{"x.png": small[:len(small)-20]})}, "x.png", "unexpected EOF")
	wantError(t, Spec{Name: "folder", Dir: folderOf(t, map[string][]byte{"x.png": []byte("FIG89a")})}, "x.png", "46 49 47", "want one of .png")
	wantError(t, Spec{Name: "folder", Dir: folderOf(t, map[string][]byte{"x.png": nil})}, "x.png", "want one of .png")
	wantError(t, Spec{Name: "cifar10", Dir: dir}, "a.png", "4x4", "32x32")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Load(ctx, Spec{Name: "folder", Dir: dir, Size: 4}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// bomb is the head of a PNG file that claims a huge picture.
func bomb(width, height uint32) []byte {
	chunk := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)...)
	chunk = append(chunk, 8, 2, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	out = append(out, chunk...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(chunk))
}

func TestPictureClaims(t *testing.T) {
	wantError(t, Spec{Name: "folder", Dir: folderOf(t, map[string][]byte{"x.png": bomb(10000, 10000)})}, "x.png", "10000x10000")
	wantError(t, Spec{Name: "folder", Dir: folderOf(t, map[string][]byte{"x.png": bomb(1<<30, 1<<30)})}, "x.png")
}

func TestFolderSplits(t *testing.T) {
	dir := folderOf(t, map[string][]byte{
		"Train/10/a.png": pngBytes(t, grey(2, 2, 10)), "Train/2/b.png": pngBytes(t, grey(2, 2, 2)),
		"testing/c.png": pngBytes(t, grey(2, 2, 3)),
	})
	set := load(t, Spec{Name: "folder", Dir: dir})
	// Class names that are all numbers are put in the order of the numbers.
	if !slices.Equal(set.Classes, []string{"2", "10"}) || !slices.Equal(set.Labels, []uint16{1, 0}) || set.Pixels[0] != 10 {
		t.Errorf("classes %v, labels %v, first pixel %d", set.Classes, set.Labels, set.Pixels[0])
	}
	set = load(t, Spec{Name: "folder", Dir: dir, Split: Test})
	if set.Len() != 1 || set.Pixels[0] != 3 || set.Labels != nil {
		t.Errorf("test set has %d pictures, labels %v", set.Len(), set.Labels)
	}
	if err := os.RemoveAll(filepath.Join(dir, "Train")); err != nil {
		t.Fatal(err)
	}
	wantError(t, Spec{Name: "folder", Dir: dir}, "train")
}

func TestFolderMayBeALink(t *testing.T) {
	dir := folderOf(t, map[string][]byte{"real/a/1.png": pngBytes(t, grey(2, 2, 8))})
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "real"), link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	set := load(t, Spec{Name: "folder", Dir: link})
	if set.Len() != 1 || set.Source != link || !slices.Equal(set.Classes, []string{"a"}) {
		t.Errorf("%d pictures from %s, classes %v", set.Len(), set.Source, set.Classes)
	}
}

func TestClassFolders(t *testing.T) {
	cat := paint(32, 32, gradient)
	dir := folderOf(t, map[string][]byte{"train/cat/1.png": pngBytes(t, cat), "train/airplane/1.png": pngBytes(t, grey(32, 32, 9))})
	for _, name := range []string{"cifar10", "svhn"} {
		set := load(t, Spec{Name: name, Dir: dir})
		if set.Channels != 3 || !slices.Equal(set.Labels, []uint16{0, 1}) || !slices.Equal(set.Classes, []string{"airplane", "cat"}) {
			t.Errorf("%s: %d channels, labels %v of %v", name, set.Channels, set.Labels, set.Classes)
		}
		if c := gradient(3, 2); set.Picture(1)[2*32+3] != c.R || set.Picture(1)[2048+2*32+3] != c.B || set.Picture(0)[2000] != 9 {
			t.Errorf("%s: pixels differ", name)
		}
		if set := load(t, Spec{Name: name, Dir: dir, Size: 16}); set.Height != 16 || set.Len() != 2 {
			t.Errorf("%s: %d pictures of %d at size 16", name, set.Len(), set.Height)
		}
	}
}

func TestCelebA(t *testing.T) {
	// Everything outside of the middle 140x140 is black.
	face := func(level uint8) []byte {
		return pngBytes(t, paint(178, 218, func(x, y int) color.NRGBA {
			if 19 <= x && x < 159 && 39 <= y && y < 179 {
				return color.NRGBA{level, level, 0, 255}
			}
			return color.NRGBA{0, 0, 0, 255}
		}))
	}
	dir := folderOf(t, map[string][]byte{
		"img_align_celeba/162770.jpg": face(100), "img_align_celeba/162771.jpg": face(101),
		"img_align_celeba/182637.jpg": face(102), "img_align_celeba/182638.jpg": face(103),
	})
	for split, level := range map[Split]uint8{Train: 100, Test: 103} {
		set := load(t, Spec{Name: "celeba", Dir: dir, Split: split})
		if set.Len() != 1 || set.Channels != 3 || set.Height != 32 || set.Labels != nil {
			t.Fatalf("%v: %d pictures of %d channels", split, set.Len(), set.Channels)
		}
		for i, p := range set.Pixels {
			want := level
			if i >= 2*1024 { // blue
				want = 0
			}
			if p != want {
				t.Fatalf("%v: value %d is %d, want %d: the cut is not the middle 140x140", split, i, p, want)
			}
		}
	}
	if set := load(t, Spec{Name: "celeba", Dir: dir, Size: 64}); set.Height != 64 {
		t.Errorf("height %d, want 64", set.Height)
	}
	// Pictures of the final size are taken as they are.
	ready := folderOf(t, map[string][]byte{"all/a.png": pngBytes(t, paint(32, 32, gradient))})
	if set := load(t, Spec{Name: "celeba", Dir: ready}); set.Pixels[5] != gradient(5, 0).R {
		t.Error("a ready picture was changed")
	}
	wantError(t, Spec{Name: "celeba", Dir: ready, Split: Test}, "test")
	wantError(t, Spec{Name: "celeba", Dir: ready, Size: 64}, "a.png", "32x32", "178x218", "64x64")
	wantError(t, Spec{Name: "celeba"}, "178x218")
	wantError(t, Spec{Name: "celeba", Dir: folderOf(t, map[string][]byte{"000001.jpg": face(1)}), Split: Test}, "182638")
}

func TestCatalogueSaysWhatLoadDoes(t *testing.T) {
	for _, info := range Catalogue() {
		if info.About == "" || info.Files == "" || strings.Contains(info.About+info.Files, "\n") {
			t.Errorf("%s: about %q, files %q", info.Name, info.About, info.Files)
		}
		if info.Channels == 3 {
			wantError(t, Spec{Name: info.Name, Channels: 1}, info.Name, "1 channels")
		}
	}
}

func FuzzPicture(f *testing.F) {
	f.Add(pngBytes(f, paint(5, 3, gradient)))
	f.Add(jpegBytes(f, paint(5, 3, gradient)))
	f.Add(jpegBytes(f, grey(3, 3, 7)))
	f.Add(bomb(100, 3))
	f.Add(bomb(1<<30, 1<<30))
	files, _ := formatted(f)
	for _, data := range files {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := decodeHeader(bytes.NewReader(data), int64(len(data)))
		if err != nil || h.width*h.height > 1<<16 {
			return
		}
		name := filepath.Join(t.TempDir(), "x")
		testkit.Write(t, name, data)
		square := min(h.width, h.height)
		for _, channels := range []int{1, 3} {
			_ = readPicture(make([]uint8, channels*h.width*h.height), pictureFile{name: name}, h,
				frame{image.Rect(0, 0, h.width, h.height), h.height, h.width})
			_ = readPicture(make([]uint8, channels*16), pictureFile{name: name}, h, frame{middle(h.width, h.height, square, square), 4, 4})
		}
	})
}
