package runtime

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// entry is one file of a test archive; typ is a tar type, 0 for a file.
type entry struct {
	name, content string
	typ           byte
}

func zipOf(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Store}
		if e.typ == tar.TypeSymlink {
			h.SetMode(os.ModeSymlink | 0o777)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := f.Write([]byte(e.content)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func tarOf(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err != nil {
		tb.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(e.content))}
		if e.typ != 0 {
			h.Typeflag, h.Size, h.Linkname = e.typ, 0, e.content
		}
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(e.content)); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func unpackBytes(ctx context.Context, data []byte, dir string) error {
	l, err := layoutFor("linux", "amd64")
	if err != nil {
		return err
	}
	return unpack(ctx, bytes.NewReader(data), int64(len(data)), dir, l)
}

func listing(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// TestLayouts has names as the published packages have them.
func TestLayouts(t *testing.T) {
	for _, c := range []struct{ goos, goarch, entry, as string }{
		{"linux", "amd64", "onnxruntime/capi/libonnxruntime.so.1.32.0", "libonnxruntime.so"},
		{"linux", "amd64", "onnxruntime/capi/libonnxruntime_providers_shared.so", "libonnxruntime_providers_shared.so"},
		{"linux", "amd64", "onnxruntime/capi/libonnxruntime_providers_cuda.so", "libonnxruntime_providers_cuda.so"},
		{"linux", "amd64", "onnxruntime/capi/libonnxruntime_providers_tensorrt.so", ""},
		{"linux", "amd64", "onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so", ""},
		{"linux", "amd64", "onnxruntime/LICENSE", "LICENSE"},
		{"linux", "amd64", "onnxruntime/ThirdPartyNotices.txt", "ThirdPartyNotices.txt"},
		{"linux", "amd64", "package/bin/napi-v6/linux/x64/libonnxruntime.so.1", "libonnxruntime.so"},
		{"linux", "amd64", "package/bin/napi-v6/linux/arm64/libonnxruntime.so.1", ""},
		{"linux", "arm64", "package/bin/napi-v6/linux/arm64/libonnxruntime.so.1", "libonnxruntime.so"},
		{"linux", "amd64", "package/Plugins/Linux/x64/libonnxruntime_providers_cuda.so", "libonnxruntime_providers_cuda.so"},
		{"linux", "amd64", "package/Plugins/Linux/x64/libonnxruntime_providers_cuda.so.meta", ""},
		{"linux", "amd64", "onnxruntime-linux-x64-gpu-1.29.0/lib/libonnxruntime.so.1.29.0", "libonnxruntime.so"},
		{"linux", "amd64", "onnxruntime-linux-x64-gpu-1.29.0/LICENSE", "LICENSE"},
		{"darwin", "arm64", "onnxruntime/capi/libonnxruntime.1.32.0.dylib", "libonnxruntime.dylib"},
		{"darwin", "arm64", "package/bin/napi-v6/darwin/arm64/libonnxruntime.1.dylib", "libonnxruntime.dylib"},
		{"windows", "amd64", "onnxruntime/capi/onnxruntime.dll", "onnxruntime.dll"},
		{"windows", "amd64", "onnxruntime/capi/onnxruntime_providers_cuda.dll", "onnxruntime_providers_cuda.dll"},
		{"windows", "amd64", "package/bin/napi-v6/win32/x64/onnxruntime.dll", "onnxruntime.dll"},
		{"windows", "amd64", "package/bin/napi-v6/win32/x64/DirectML.dll", ""},
		{"linux", "amd64", "../onnxruntime/capi/libonnxruntime.so", ""},
		{"linux", "amd64", "/onnxruntime/capi/libonnxruntime.so", ""},
		{"linux", "amd64", "onnxruntime/capi/../../libonnxruntime.so", ""},
		{"linux", "amd64", "libonnxruntime.so", ""},
	} {
		l, err := layoutFor(c.goos, c.goarch)
		if err != nil {
			t.Fatal(err)
		}
		if as, _ := l.take(c.entry); as != c.as {
			t.Errorf("%s/%s: %s is taken as %q, want %q", c.goos, c.goarch, c.entry, as, c.as)
		}
	}
	if _, err := layoutFor("plan9", "amd64"); err == nil {
		t.Error("a layout for Plan 9")
	}
}

func TestUnpackTakesOnlyWhatItKnows(t *testing.T) {
	entries := []entry{
		{"onnxruntime/capi/libonnxruntime.so.1", "/etc/passwd", tar.TypeSymlink},
		{"onnxruntime/capi/libonnxruntime.so.1.32.0", "main", 0},
		{"onnxruntime/capi/libonnxruntime.so.1.99.0", "second", 0},
		{"../../onnxruntime/capi/libonnxruntime_providers_cuda.so", "outside", 0},
		{"onnxruntime/capi/other.so", "other", 0},
		{"onnxruntime/LICENSE", "licence", 0},
	}
	for name, data := range map[string][]byte{"zip": zipOf(t, entries...), "tar": tarOf(t, entries...)} {
		dir := t.TempDir()
		if err := unpackBytes(t.Context(), data, dir); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := listing(t, dir); !slices.Equal(got, []string{"LICENSE", "libonnxruntime.so"}) {
			t.Errorf("%s: unpacked %v", name, got)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "libonnxruntime.so")); err != nil || string(got) != "main" {
			t.Errorf("%s: library %q, %v", name, got, err)
		}
		for _, cut := range []int{len(data) / 2, len(data) - 30} {
			if err := unpackBytes(t.Context(), data[:cut], t.TempDir()); err == nil {
				t.Errorf("%s: %d of %d bytes are unpacked without an error", name, cut, len(data))
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := unpackBytes(ctx, data, t.TempDir()); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled: %v", name, err)
		}
	}
	for _, data := range []string{"", "PK", "just text", "\x1f\x8b\x08\x00"} {
		if err := unpackBytes(t.Context(), []byte(data), t.TempDir()); err == nil {
			t.Errorf("%q is unpacked without an error", data)
		}
	}
}

// tarBlock is a header block of the old tar format, with its checksum.
func tarBlock(name string, typ byte, size int) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x00")
	copy(b[124:], fmt.Sprintf("%011o\x00", size))
	b[156] = typ
	copy(b[257:], "ustar\x0000")
	sum := 8 * int(' ')
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// TestUnpackRefusesSparseFiles has less than a kilobyte that claims to be a
// library of a gigabyte.
func TestUnpackRefusesSparseFiles(t *testing.T) {
	const name, size = "onnxruntime/capi/libonnxruntime.so.1", 1 << 30
	var records string
	for _, r := range []string{"GNU.sparse.size=" + fmt.Sprint(size), "GNU.sparse.numblocks=1", "GNU.sparse.map=0,0"} {
		n := len(r) + 4 // two digits, a space and the end of the line
		records += fmt.Sprintf("%d %s\n", n, r)
	}
	raw := slices.Concat(tarBlock("extra", tar.TypeXHeader, len(records)), []byte(records), make([]byte, 512-len(records)),
		tarBlock(name, tar.TypeReg, 0), make([]byte, 1024))
	h, err := tar.NewReader(bytes.NewReader(raw)).Next()
	if err != nil || h.Name != name || h.Size != size || h.Typeflag != tar.TypeReg {
		t.Fatalf("the test's archive: %+v, %v", h, err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unpackBytes(t.Context(), b.Bytes(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error %v, want that the file is too large", err)
	}
}

// FuzzUnpack holds that no archive makes files of other names than the known
// ones.
func FuzzUnpack(f *testing.F) {
	entries := []entry{{"onnxruntime/capi/libonnxruntime.so.1.32.0", "main", 0}, {"onnxruntime/LICENSE", "licence", 0},
		{"../onnxruntime/capi/libonnxruntime.so.1.32.0", "main", 0}}
	f.Add(zipOf(f, entries...))
	f.Add(tarOf(f, entries...))
	f.Add(tarOf(f, entries...)[:100])
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			t.Skip("small archives show as much")
		}
		parent := t.TempDir()
		dir := filepath.Join(parent, "in")
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		_ = unpackBytes(t.Context(), data, dir)
		if got := listing(t, parent); len(got) != 1 {
			t.Errorf("files outside of the folder: %v", got)
		}
		for _, name := range listing(t, dir) {
			if !strings.HasPrefix(name, "libonnxruntime") && name != "LICENSE" && name != "ThirdPartyNotices.txt" {
				t.Errorf("unpacked %q", name)
			}
		}
	})
}
