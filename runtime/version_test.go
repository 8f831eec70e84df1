package runtime

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCompareVersions(t *testing.T) {
	ordered := []string{"", "1", "1.9.0", "1.24.0", "1.24.0.1", "1.28.2", "1.30.0", "2.0.0"}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := compareVersions(a, b), min(max(i-j, -1), 1); got != want {
				t.Errorf("compare %q with %q: %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestEmbeddedVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library")
	// One version lies across two reads, one shares its zero with the next,
	// and the others are another library's or part of a longer text.
	data := bytes.Repeat([]byte("x"), 1<<20-4)
	data = append(data, "\x001.31.1\x001.29.0\x00 \x001.3.9\x00 1.30.0\x00 \x00v1.28.0\x00"...)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := embeddedVersions(path)
	if err != nil || !slices.Equal(got, []string{"1.29.0", "1.31.1"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestLibraryTellsItsVersion(t *testing.T) {
	info := open(t).Info()
	lib := library{path: info.Library}
	if err := lib.inspect(); err != nil {
		t.Fatal(err)
	}
	if lib.version != info.Version {
		t.Errorf("the file says %q, the library %q", lib.version, info.Version)
	}
	if found, err := embeddedVersions(info.Library); err != nil || !slices.Contains(found, info.Version) {
		t.Errorf("texts in the file: %v, %v, want %s among them", found, err, info.Version)
	}
}

func TestTooOldNamesBothVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library")
	if err := os.WriteFile(path, []byte("..\x001.20.1\x00.."), 0o666); err != nil {
		t.Fatal(err)
	}
	lib := library{path: path}
	err := lib.inspectText()
	if err == nil || !strings.Contains(err.Error(), "1.20.1") || !strings.Contains(err.Error(), minVersion) {
		t.Errorf("error %v, want both versions", err)
	}
}
