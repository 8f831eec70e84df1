package atomicfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSums seals files and flips every byte of one.
func TestSums(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.npy")
	seal := func(path, content string) {
		t.Helper()
		err := WriteSealed(path, func(w io.Writer) error { _, err := io.WriteString(w, content); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	seal(path, "first")
	seal(filepath.Join(dir, "other.npy"), "other")
	seal(path, "second")
	good := []byte("second")
	if checked, err := CheckSum(path); !checked || err != nil {
		t.Fatalf("%v, %v, want it checked and equal", checked, err)
	}
	for i := range good {
		bad := []byte(string(good))
		bad[i] ^= 0x40
		write(t, path, bad)
		if _, err := CheckSum(path); err == nil || !strings.Contains(err.Error(), "x.npy is damaged") {
			t.Errorf("byte %d flipped: error %v", i, err)
		}
	}
	if checked, err := CheckSum(filepath.Join(dir, "unknown")); checked || err != nil {
		t.Errorf("a file without a sum: %v, %v", checked, err)
	}
	// The list has the form of the sha256sum program.
	text, err := os.ReadFile(filepath.Join(dir, SumsFile))
	if err != nil {
		t.Fatal(err)
	}
	const want = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa  other.npy\n" +
		"16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4  x.npy\n"
	if string(text) != want {
		t.Errorf("the list is\n%s, want\n%s", text, want)
	}
}

// TestFailedSealed has a write that fails: no sum is left for the file that stays.
func TestFailedSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	write := func(err error) error {
		return WriteSealed(path, func(w io.Writer) error { fmt.Fprint(w, "x"); return err })
	}
	if err := write(nil); err != nil {
		t.Fatal(err)
	}
	if err := write(io.ErrClosedPipe); err == nil {
		t.Fatal("no error")
	}
	if checked, err := CheckSum(path); checked || err != nil {
		t.Errorf("%v, %v, want nothing to compare", checked, err)
	}
}

func TestMalformedSums(t *testing.T) {
	zeros := strings.Repeat("0", 64)
	for _, text := range []string{"abc  x\n", zeros + " x\n", strings.Repeat("g", 64) + "  x\n", zeros + "  \n"} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, SumsFile), []byte(text))
		if _, err := CheckSum(filepath.Join(dir, "x")); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

// FuzzSums reads lists of sums, whatever they hold.
func FuzzSums(f *testing.F) {
	f.Add(strings.Repeat("0", 64) + "  x.npy\n")
	f.Add(strings.Repeat("0", 64) + " *x.npy\r\n\x00")
	dir := f.TempDir()
	path := filepath.Join(dir, "x.npy")
	if err := os.WriteFile(path, []byte("x"), 0o666); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		write(t, filepath.Join(dir, SumsFile), []byte(text))
		if checked, err := CheckSum(path); checked && err == nil {
			const sum = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" // of "x"
			if !strings.Contains(strings.ToLower(text), sum) {
				t.Errorf("%q says that the file is whole", text)
			}
		}
	})
}
