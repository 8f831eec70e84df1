package dataset

import (
	"context"
	"image/color"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/tensor"
)

// A folder read in parts has the pictures of one read at once.
func TestFolderInParts(t *testing.T) {
	files := map[string][]byte{}
	for i, name := range []string{"a.png", "b.png", "c/d.png", "c/e.png", "f.png"} {
		files[name] = pngBytes(t, paint(6, 4, func(x, y int) color.NRGBA { return color.NRGBA{uint8(40 * i), uint8(x), uint8(y), 255} }))
	}
	files["notes.txt"] = []byte("no picture")
	dir := folderOf(t, files)
	f, err := OpenFolder(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if f.Len() != 5 || f.Channels != 3 || f.Height != 4 || f.Width != 6 || !strings.Contains(f.Note, "notes.txt") {
		t.Errorf("%+v", f)
	}
	set, err := Load(context.Background(), Spec{Name: "folder", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var pixels []uint8
	for first := 0; first < 5; first += 2 {
		part, err := f.Read(context.Background(), first, min(2, 5-first))
		if err != nil {
			t.Fatal(err)
		}
		pixels = append(pixels, tensor.Data[uint8](part[0])...)
	}
	if !slices.Equal(pixels, set.Pixels) {
		t.Error("the pictures differ from those read at once")
	}
	for _, bad := range [][2]int{{-1, 1}, {0, 0}, {4, 2}} {
		if _, err := f.Read(context.Background(), bad[0], bad[1]); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
	one, err := OpenFolder(context.Background(), filepath.Join(dir, "a.png"))
	if err != nil || one.Len() != 1 {
		t.Errorf("a file by itself: %+v, %v", one, err)
	}
	if _, err := OpenFolder(context.Background(), filepath.Join(dir, "none")); err == nil {
		t.Error("no folder: no error")
	}
	// Changed since it was listed.
	testkit.Write(t, filepath.Join(dir, "f.png"), files["a.png"][:30])
	if _, err := f.Read(context.Background(), 4, 1); err == nil || !strings.Contains(err.Error(), "f.png") {
		t.Errorf("a damaged file: %v", err)
	}
}
