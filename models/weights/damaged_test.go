package weights

import (
	"archive/zip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDamagedFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, file := range []string{"zip.pt", "legacy.pt"} {
		data := readFile(t, "testdata", file)
		for n := 0; n < len(data); n += 61 {
			writeFile(t, path, data[:n])
			if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("%s cut to %d bytes: error %v", file, n, err)
			}
		}
	}
	for name, content := range map[string]string{
		"nothing": "", "text": "hello, world", "pickle": "\x80\x02K\x01.", "array": "\x93NUMPY\x01\x00",
	} {
		writeFile(t, path, []byte(content))
		if _, err := Load(path); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("an empty folder was loaded")
	}
	if _, err := Load(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: error %v", err)
	}
}

// rewrite copies a zip file with changes to its members.
func rewrite(t *testing.T, from string, change func(*zip.FileHeader, []byte) (*zip.FileHeader, []byte)) string {
	t.Helper()
	z, err := zip.OpenReader(from)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	path := filepath.Join(t.TempDir(), "changed.pt")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for _, m := range z.File {
		r, err := m.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		header, content := change(&zip.FileHeader{Name: m.Name, Method: m.Method}, content)
		if header == nil {
			continue
		}
		out, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDamagedMembers(t *testing.T) {
	from := filepath.Join("testdata", "zip.pt")
	deflated := rewrite(t, from, func(h *zip.FileHeader, c []byte) (*zip.FileHeader, []byte) {
		h.Method = zip.Deflate
		return h, c
	})
	want, err := Load(from)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(deflated)
	if err != nil {
		t.Fatal(err)
	}
	if got.Hash() != want.Hash() {
		t.Error("compression changed the tensors")
	}
	for name, change := range map[string]func(*zip.FileHeader, []byte) (*zip.FileHeader, []byte){
		"storage missing": func(h *zip.FileHeader, c []byte) (*zip.FileHeader, []byte) {
			if strings.HasSuffix(h.Name, "data/3") {
				return nil, nil
			}
			return h, c
		},
		"storage short": func(h *zip.FileHeader, c []byte) (*zip.FileHeader, []byte) {
			if strings.HasSuffix(h.Name, "data/3") {
				return h, c[1:]
			}
			return h, c
		},
		"big-endian": func(h *zip.FileHeader, c []byte) (*zip.FileHeader, []byte) {
			if strings.HasSuffix(h.Name, "byteorder") {
				return h, []byte("big")
			}
			return h, c
		},
		"two of a name": func(h *zip.FileHeader, c []byte) (*zip.FileHeader, []byte) {
			h.Name = strings.Replace(h.Name, "data/1", "data/2", 1)
			return h, c
		},
		"pickle twice": func(h *zip.FileHeader, c []byte) (*zip.FileHeader, []byte) {
			if strings.HasSuffix(h.Name, "byteorder") {
				h.Name = "other/data.pkl"
			}
			return h, c
		},
	} {
		if _, err := Load(rewrite(t, from, change)); err == nil {
			t.Errorf("%s: the file was accepted", name)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, name := range []string{"zip.pt", "legacy.pt", "zip_protocol4.pt", "sections.pt", "foreign.pt", "foreign_legacy.pt", "module.pt"} {
		data := readFile(f, "testdata", name)
		f.Add(data)
	}
	f.Add(st(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 7))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a")
		writeFile(t, path, data)
		s, err := Load(path)
		if err != nil {
			return
		}
		if err := WriteSafetensors(io.Discard, s); err != nil && !strings.Contains(err.Error(), metadataKey) {
			t.Fatal(err)
		}
	})
}

// zipped returns the path of a PyTorch file with a pickle, deflated.
func zipped(t *testing.T, pickle string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bomb.pt")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	m, err := w.Create("archive/data.pkl")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(m, pickle); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPickleBombs reads small files that ask for much: each is refused before
// it takes more than a few hundred megabytes, by reason.
func TestPickleBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	const million = 1 << 20
	long := "X\x00\x00\x01\x00" + strings.Repeat("k", 1<<16) // a name of 64 KiB
	tensor := "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n" +
		"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQK\x00K\x01\x85K\x01\x85tR"
	for _, c := range []struct{ name, pickle, want string }{
		{"empty tuples", strings.Repeat(")", 3*million) + ".", "values"},
		{"lists", strings.Repeat("]", 3*million) + ".", "values"},
		{"remembered values", "N" + strings.Repeat("\x94", 3*million) + ".", "values"},
		{"copies of a list of pairs", "ccollections\nOrderedDict\nq\x00](" + strings.Repeat("K\x01K\x02\x86", million/4) + "e\x85q\x01" +
			strings.Repeat("h\x00h\x01R", million) + ".", "values"},
		{"shapes of many dimensions", "ctorch._utils\n_rebuild_tensor_v2\nq\x00(K\x01K\x00(" +
			strings.Repeat("K\x01", million/4) + "tq\x02h\x02tq\x01" +
			strings.Repeat("h\x00h\x01R0", million) + ".", "tensor from"},
		{"one long name in many places", "}(" + long + "q\x00}(" + tensor + "q\x01K\x02h\x01u" + "u" + ".", ""},
		{"dictionaries in dictionaries", strings.Repeat("}X\x01\x00\x00\x00k", 1000) + "N" + strings.Repeat("s", 1000) + ".", "no tensors"},
		{"nested tuples", "ctorch._utils\n_rebuild_tensor_v2\n(" + "N" + strings.Repeat("\x94h\x00\x86", 1) +
			strings.Repeat("q\x01h\x01\x86", 60) + "q\x01h\x01h\x01h\x01tR.", "tensor from"},
		{"a dictionary in itself", "}q\x00X\x01\x00\x00\x00kh\x00s.", "no tensors"},
	} {
		_, err := Load(zipped(t, c.pickle))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
		if err != nil && len(err.Error()) > 1<<12 {
			t.Errorf("%s: error of %d bytes", c.name, len(err.Error()))
		}
	}
}

// TestLongNames joins a long key with many others.
func TestLongNames(t *testing.T) {
	inner := &dict{}
	for i := range 2000 {
		inner.keys, inner.values = append(inner.keys, int64(i)), append(inner.values, &view{storage: &storage{}})
	}
	outer := &dict{keys: []any{strings.Repeat("k", 1<<16)}, values: []any{inner}}
	if _, err := entriesOf(outer); err == nil || !strings.Contains(err.Error(), "names") {
		t.Errorf("error %v, want one about names", err)
	}
}

// TestStorageBomb declares a storage that is far larger than the file.
func TestStorageBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	from := filepath.Join("testdata", "zip.pt")
	path := rewrite(t, from, func(h *zip.FileHeader, c []byte) (*zip.FileHeader, []byte) {
		h.Method = zip.Deflate
		if strings.HasSuffix(h.Name, "data/3") {
			c = make([]byte, 300<<20)
		}
		return h, c
	})
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "data/3") {
		t.Errorf("error %v, want one that names data/3", err)
	}
}

// readFile and writeFile are testkit's, which imports packages that import this one.
func readFile(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}
