package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"ebm/internal/testkit"
	"encoding/binary"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// idxBytes makes an idx file of bytes.
func idxBytes(data []uint8, dims ...int) []byte {
	out := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		out = binary.BigEndian.AppendUint32(out, uint32(d))
	}
	return append(out, data...)
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// folderOf writes files, whose names may have folders in them.
func folderOf(t testing.TB, files map[string][]byte) string {
	t.Helper()
	root := t.TempDir()
	for name, data := range files {
		at := filepath.Join(root, filepath.FromSlash(name))
		testkit.Mkdir(t, filepath.Dir(at))
		testkit.Write(t, at, data)
	}
	return root
}

// counting returns n bytes that differ from their neighbours, from first on.
func counting(n, first int) []uint8 {
	out := make([]uint8, n)
	for i := range out {
		out[i] = uint8(first + i + i/251)
	}
	return out
}

// wantError checks that Load fails and says all of the given things.
func wantError(t *testing.T, spec Spec, says ...string) {
	t.Helper()
	set, err := Load(context.Background(), spec)
	if err == nil {
		t.Fatalf("loaded %d pictures, want an error with %q", set.Len(), says)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not say %q", err, s)
		}
	}
}

func TestIDXFolders(t *testing.T) {
	const n = 28 * 28
	train, test := counting(3*n, 0), counting(2*n, 100)
	files := map[string][]byte{
		"train-images-idx3-ubyte":    idxBytes(train, 3, 28, 28),
		"train-labels-idx1-ubyte.gz": gzipped(t, idxBytes([]uint8{3, 1, 2}, 3)),
		"t10k-images.idx3-ubyte.gz":  gzipped(t, idxBytes(test, 2, 28, 28)),
		"t10k-labels.idx1-ubyte":     idxBytes([]uint8{9, 0}, 2),
	}
	inRaw := map[string][]byte{}
	for name, data := range files {
		inRaw["FashionMNIST/raw/"+name] = data
	}
	for _, dir := range []string{folderOf(t, files), folderOf(t, inRaw)} {
		for _, name := range []string{"mnist", "fashion-mnist"} {
			set := load(t, Spec{Name: name, Dir: dir, Size: 28})
			if !slices.Equal(set.Pixels, train) || !slices.Equal(set.Labels, []uint16{3, 1, 2}) || len(set.Classes) != 10 {
				t.Errorf("%s: training set differs, labels %v", name, set.Labels)
			}
			if len(set.Notes) != 1 || !strings.Contains(set.Notes[0], "official") {
				t.Errorf("%s: notes %q, want one about files that are not the official ones", name, set.Notes)
			}
			set = load(t, Spec{Name: name, Dir: dir, Size: 28, Split: Test})
			if !slices.Equal(set.Pixels, test) || !slices.Equal(set.Labels, []uint16{9, 0}) {
				t.Errorf("%s: test set differs, labels %v", name, set.Labels)
			}
		}
	}
}

func TestIDXErrors(t *testing.T) {
	const n = 28 * 28
	images, labels := idxBytes(make([]uint8, 2*n), 2, 28, 28), idxBytes([]uint8{1, 2}, 2)
	for name, tc := range map[string]struct {
		images, labels []byte
		says           []string
	}{
		"short":          {images[:len(images)-1], labels, []string{"train-images-idx3-ubyte", "1567", "1568"}},
		"long":           {append(slices.Clone(images), 0), labels, []string{"train-images-idx3-ubyte", "more than the 1568"}},
		"header":         {images[:10], labels, []string{"train-images-idx3-ubyte", "ends early"}},
		"magic":          {idxBytes([]uint8{1, 2}, 2, 1), labels, []string{"train-images-idx3-ubyte", "00 00 08 02", "00 00 08 03"}},
		"size":           {idxBytes(make([]uint8, 2*25), 2, 5, 5), labels, []string{"5x5", "28x28"}},
		"counts":         {images, idxBytes([]uint8{1, 2, 3}, 3), []string{"3 labels", "2", "train-labels-idx1-ubyte"}},
		"label":          {images, idxBytes([]uint8{1, 10}, 2), []string{"label 1 is 10", "0…9"}},
		"none":           {idxBytes(nil, 0, 28, 28), idxBytes(nil, 0), []string{"no pictures"}},
		"absurd":         {idxBytes(nil, 1<<31, 1<<31, 1<<31), labels, []string{"more than"}},
		"truncated gzip": {gzipped(t, images)[:20], labels, []string{"train-images-idx3-ubyte", "ends early"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folderOf(t, map[string][]byte{"train-images-idx3-ubyte": tc.images, "train-labels-idx1-ubyte": tc.labels})
			wantError(t, Spec{Name: "mnist", Dir: dir}, tc.says...)
		})
	}
	t.Run("missing", func(t *testing.T) {
		dir := folderOf(t, map[string][]byte{"train-images-idx3-ubyte": images})
		wantError(t, Spec{Name: "mnist", Dir: dir}, dir, "train-labels-idx1-ubyte")
		wantError(t, Spec{Name: "mnist", Dir: dir, Split: Test}, dir, "t10k-images-idx3-ubyte")
		wantError(t, Spec{Name: "mnist", Dir: filepath.Join(dir, "absent")}, "absent")
	})
	t.Run("ambiguous", func(t *testing.T) {
		dir := folderOf(t, map[string][]byte{"a-train-images-idx3-ubyte": images, "b-train-images-idx3-ubyte": images})
		wantError(t, Spec{Name: "mnist", Dir: dir}, "a-train-images-idx3-ubyte", "b-train-images-idx3-ubyte")
	})
}

func FuzzIDX(f *testing.F) {
	f.Add(idxBytes([]uint8{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2))
	f.Add(idxBytes([]uint8{1}, 1<<31, 1<<31, 1<<31))
	f.Add(idxBytes([]uint8{1}, 0, 1<<31, 1<<31))
	f.Add([]byte{0, 0, 8, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := readIDX(bytes.NewReader(data), 3)
		if err != nil {
			return
		}
		if n := a.dims[0] * a.dims[1] * a.dims[2]; n != len(a.data) || len(data) != 16+n {
			t.Fatalf("dimensions %v with %d bytes of %d", a.dims, len(a.data), len(data))
		}
		if !bytes.Equal(idxBytes(a.data, a.dims...), data) {
			t.Fatal("does not write back as it was read")
		}
	})
}
