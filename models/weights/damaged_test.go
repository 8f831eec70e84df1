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
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(data); n += 61 {
			if err := os.WriteFile(path, data[:n], 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("%s cut to %d bytes: error %v", file, n, err)
			}
		}
	}
	for name, content := range map[string]string{
		"nothing": "", "text": "hello, world", "pickle": "\x80\x02K\x01.", "array": "\x93NUMPY\x01\x00",
	} {
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := Load(dir); err == nil {
		t.Error("a folder was loaded")
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
		"program": func(h *zip.FileHeader, c []byte) (*zip.FileHeader, []byte) {
			if strings.HasSuffix(h.Name, "byteorder") {
				h.Name = strings.TrimSuffix(h.Name, "byteorder") + "constants.pkl"
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
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(st(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 7))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := Load(path)
		if err != nil {
			return
		}
		if err := WriteSafetensors(io.Discard, s); err != nil && !strings.Contains(err.Error(), metadataKey) {
			t.Fatal(err)
		}
	})
}
