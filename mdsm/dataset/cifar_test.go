package dataset

import (
	"archive/tar"
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cifarBytes makes a binary file with one record for each label, whose pixels
// count from first.
func cifarBytes(first int, labels ...uint8) []byte {
	var out []byte
	for i, l := range labels {
		out = append(append(out, l), counting(cifarPixels, first+i)...)
	}
	return out
}

// cifarTree holds the files of a small CIFAR-10; batch i has label i.
func cifarTree() map[string][]byte {
	files := map[string][]byte{"test_batch.bin": cifarBytes(50, 9, 8), "batches.meta.txt": []byte("airplane\n")}
	for i, name := range []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"} {
		files[name] = cifarBytes(i, uint8(i))
	}
	return files
}

// tarOf packs files in the order of names, or in none when that is empty.
func tarOf(t testing.TB, files map[string][]byte, prefix string, order ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range order {
		if err := w.WriteHeader(&tar.Header{Name: prefix + name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return gzipped(t, b.Bytes())
}

func TestCIFAR10(t *testing.T) {
	files := cifarTree()
	nested := map[string][]byte{}
	for name, data := range files {
		nested["cifar-10-batches-bin/"+name] = data
	}
	// The official archive has its files in such an order.
	packed := tarOf(t, files, "cifar-10-batches-bin/", "data_batch_1.bin", "batches.meta.txt", "data_batch_3.bin",
		"data_batch_4.bin", "test_batch.bin", "data_batch_5.bin", "data_batch_2.bin")
	withArchive := folderOf(t, map[string][]byte{"cifar-10-binary.tar.gz": packed})
	for name, dir := range map[string]string{
		"files": folderOf(t, files), "folder": folderOf(t, nested), "archive in a folder": withArchive,
		"archive": filepath.Join(withArchive, "cifar-10-binary.tar.gz"),
	} {
		set := load(t, Spec{Name: "cifar10", Dir: dir})
		if !slices.Equal(set.Labels, []uint16{0, 1, 2, 3, 4}) || set.Channels != 3 || set.Height != 32 || set.Classes[3] != "cat" {
			t.Errorf("%s: labels %v, %d channels of %d", name, set.Labels, set.Channels, set.Height)
		}
		for i := range set.Len() {
			if !slices.Equal(set.Picture(i), counting(cifarPixels, i)) {
				t.Errorf("%s: picture %d differs", name, i)
			}
		}
		if len(set.Notes) != 1 || !strings.Contains(set.Notes[0], "50000") {
			t.Errorf("%s: notes %q, want one about the number of pictures", name, set.Notes)
		}
		set = load(t, Spec{Name: "cifar10", Dir: dir, Split: Test, Size: 16})
		if !slices.Equal(set.Labels, []uint16{9, 8}) || set.Height != 16 || len(set.Pixels) != 2*3*16*16 {
			t.Errorf("%s: test labels %v, height %d, %d bytes", name, set.Labels, set.Height, len(set.Pixels))
		}
		whole := counting(cifarPixels, 50)
		sum := int(whole[1024+66]) + int(whole[1024+67]) + int(whole[1024+98]) + int(whole[1024+99])
		if got, want := set.Pixels[256+17], uint8((sum+2)/4); got != want {
			t.Errorf("%s: green at row 1, column 1 halved is %d, want %d", name, got, want)
		}
	}
}

func TestCIFAR10Errors(t *testing.T) {
	wantError(t, Spec{Name: "cifar10"}, "--data", "cifar-10-binary.tar.gz")

	files := cifarTree()
	files["data_batch_3.bin"] = files["data_batch_3.bin"][:3000]
	wantError(t, Spec{Name: "cifar10", Dir: folderOf(t, files)}, "data_batch_3.bin", "3000", "3073")
	files["data_batch_3.bin"] = cifarBytes(0, 77)
	wantError(t, Spec{Name: "cifar10", Dir: folderOf(t, files)}, "data_batch_3.bin", "77", "0…9")
	files["data_batch_3.bin"] = nil
	wantError(t, Spec{Name: "cifar10", Dir: folderOf(t, files)}, "data_batch_3.bin", "empty")
	delete(files, "data_batch_3.bin")
	wantError(t, Spec{Name: "cifar10", Dir: folderOf(t, files)}, "data_batch_3.bin")

	archive := tarOf(t, files, "", "data_batch_1.bin", "data_batch_2.bin")
	at := filepath.Join(folderOf(t, map[string][]byte{"c.tar.gz": archive}), "c.tar.gz")
	wantError(t, Spec{Name: "cifar10", Dir: at}, "c.tar.gz", "lacks data_batch_3.bin, data_batch_4.bin, data_batch_5.bin")
	damaged := slices.Clone(archive)
	damaged[len(damaged)-6] ^= 1 // gzip's checksum
	at = filepath.Join(folderOf(t, map[string][]byte{"c.tar.gz": damaged}), "c.tar.gz")
	wantError(t, Spec{Name: "cifar10", Dir: at}, "c.tar.gz", "checksum")
	at = filepath.Join(folderOf(t, map[string][]byte{"c.tar.gz": archive[:100]}), "c.tar.gz")
	wantError(t, Spec{Name: "cifar10", Dir: at}, "c.tar.gz", "bytes into record 0")
	at = filepath.Join(folderOf(t, map[string][]byte{"data_batch_1.bin": cifarBytes(0, 1)}), "data_batch_1.bin")
	wantError(t, Spec{Name: "cifar10", Dir: at}, "data_batch_1.bin", "not gzip")

	// The Python version, in its three shapes.
	python := map[string][]byte{"data_batch_1": []byte("\x80\x02}q")}
	packed := tarOf(t, python, "cifar-10-batches-py/", "data_batch_1")
	for _, dir := range []string{
		folderOf(t, python),
		folderOf(t, map[string][]byte{"cifar-10-python.tar.gz": packed}),
		filepath.Join(folderOf(t, map[string][]byte{"any.tar.gz": packed}), "any.tar.gz"),
	} {
		wantError(t, Spec{Name: "cifar10", Dir: dir}, "Python version", "binary version")
	}
}

func FuzzCIFAR(f *testing.F) {
	f.Add(cifarBytes(0, 1, 2))
	f.Add(cifarBytes(0, 1)[:100])
	f.Add(cifarBytes(0, 200))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		part, err := readCIFAR(bytes.NewReader(data))
		if err != nil {
			return
		}
		var back []byte
		for i, l := range part.labels {
			back = append(append(back, byte(l)), part.pixels[i*cifarPixels:(i+1)*cifarPixels]...)
		}
		if !bytes.Equal(back, data) {
			t.Fatal("does not write back as it was read")
		}
	})
}

func FuzzCIFARArchive(f *testing.F) {
	files := cifarTree()
	f.Add(tarOf(f, files, "", "data_batch_1.bin", "test_batch.bin"))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, data []byte) {
		at := filepath.Join(folderOf(t, map[string][]byte{"c.tar.gz": data}), "c.tar.gz")
		set, err := loadCIFARArchive(t.Context(), Spec{Split: Test}, at)
		if err == nil && (set.Len() == 0 || len(set.Pixels) != set.Len()*cifarPixels || len(set.Labels) != set.Len()) {
			t.Fatalf("%d pictures, %d bytes, %d labels", set.Len(), len(set.Pixels), len(set.Labels))
		}
	})
}
