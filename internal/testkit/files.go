package testkit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Read returns what the file at the joined path holds.
func Read(t testing.TB, elem ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Write makes a file, with its folders, and returns its path.
func Write(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Mkdir makes a folder, with those above it, and returns its path.
func Mkdir(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(elem...)
	if err := os.MkdirAll(path, 0o777); err != nil {
		t.Fatal(err)
	}
	return path
}

// Copy returns a copy of a folder, which is gone when the test ends.
func Copy(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), filepath.Base(dir))
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// Names returns what a folder holds, sorted.
func Names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// SameFiles holds files of one folder to those of another.
func SameFiles(t testing.TB, got, want string, names ...string) {
	t.Helper()
	for _, name := range names {
		if !bytes.Equal(Read(t, got, name), Read(t, want, name)) {
			t.Errorf("%s of %s differs from that of %s", name, got, want)
		}
	}
}
