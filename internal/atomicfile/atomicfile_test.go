package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ebm/internal/files"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("folder holds %q, want %q", got, want)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	for _, content := range []string{"first", "second", "", strings.Repeat("x", 3*bufferSize+1)} {
		if err := WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != content {
			t.Errorf("file holds %d bytes, want %d", len(got), len(content))
		}
		wantNames(t, dir, "a.txt")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if other, _ := os.Stat(plain); other.Mode() != info.Mode() {
		t.Errorf("mode is %v, an ordinary file's is %v", info.Mode(), other.Mode())
	}
}

func TestWriteFailsInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	if err := WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := Write(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, strings.Repeat("new", bufferSize)); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that wraps %v and names %s", err, broken, path)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the writer's panic was lost")
			}
		}()
		_ = Write(path, func(io.Writer) error { panic("broken") })
	}()
	if got := read(t, path); got != "old" {
		t.Errorf("file holds %q, want the old content", got)
	}
	wantNames(t, dir, "a.txt")
}

func TestWriteToBadPlaces(t *testing.T) {
	dir := t.TempDir()
	if err := WriteFile(filepath.Join(dir, "none", "a"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: error %v", err)
	}
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(taken, nil); err == nil {
		t.Error("a folder was replaced by a file")
	}
	file := filepath.Join(dir, "file")
	if err := WriteFile(file, []byte("kept")); err != nil {
		t.Fatal(err)
	}
	if err := Dir(file, func(string) error { return nil }); err == nil {
		t.Error("a file was replaced by a folder")
	}
	wantNames(t, dir, "file", "taken")
}

func TestCreateCommitAbort(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := names(t, dir); len(n) != 1 || !IsTemporary(n[0]) {
		t.Errorf("folder holds %q, want one temporary name", n)
	}
	if _, err := f.WriteString("xbc"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("a"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Abort()
	if err := f.Commit(); err == nil {
		t.Error("a second commit succeeded")
	}
	if got := read(t, path); got != "abc" {
		t.Errorf("file holds %q, want abc", got)
	}
	g, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	g.Abort()
	if err := g.Commit(); err == nil {
		t.Error("a commit after abort succeeded")
	}
	wantNames(t, dir, "a")
}

func TestConcurrentWriters(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				if err := WriteFile(path, []byte(strings.Repeat(fmt.Sprint(i), 1000))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := read(t, path)
	if len(got) != 1000 || strings.Trim(got, got[:1]) != "" {
		t.Error("file is a mixture of writers")
	}
	wantNames(t, dir, "a")
}

func fill(content string) func(string) error {
	return func(tmp string) error {
		if err := os.Mkdir(filepath.Join(tmp, "sub"), 0o777); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(tmp, "sub", content), []byte(content), 0o444)
	}
}

func TestDir(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "run")
	for _, content := range []string{"one", "two", "three"} {
		if err := Dir(path+"/", fill(content)); err != nil {
			t.Fatal(err)
		}
		wantNames(t, parent, "run")
		wantNames(t, filepath.Join(path, "sub"), content)
	}
	broken := errors.New("broken")
	err := Dir(path, func(tmp string) error {
		return errors.Join(fill("four")(tmp), broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	wantNames(t, parent, "run")
	wantNames(t, filepath.Join(path, "sub"), "three")
}

func TestDirWithoutExchange(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "run")
	if err := Dir(path, fill("old")); err != nil {
		t.Fatal(err)
	}
	unsupported := func(string, string) error { return errors.ErrUnsupported }
	tmp := temporary(path, partialSuffix)
	if err := moveDir(tmp, path, unsupported); err == nil {
		t.Error("a folder that does not exist was moved")
	}
	wantNames(t, parent, "run")
	wantNames(t, filepath.Join(path, "sub"), "old")
	if err := errors.Join(os.Mkdir(tmp, 0o777), fill("new")(tmp), moveDir(tmp, path, unsupported)); err != nil {
		t.Fatal(err)
	}
	wantNames(t, parent, "run")
	wantNames(t, filepath.Join(path, "sub"), "new")
}

// leftover makes what a killed process left of the file at path, long ago.
func leftover(t *testing.T, path string) {
	t.Helper()
	path = temporary(path, partialSuffix)
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	age(t, path)
}

// age makes a leftover two hours old: younger ones stay on Windows, where they may have
// a writer without a lock.
func age(t *testing.T, path string) {
	t.Helper()
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

func TestClean(t *testing.T) {
	dir := t.TempDir()
	if err := Clean(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	make := func(name string) {
		if err := os.MkdirAll(filepath.Join(dir, name, "sub"), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	make("kept")
	make(".hidden")
	make(".b.partial~")        // no random part: not ours
	make("plain.abc.partial~") // no leading dot: not ours
	partial := temporary(filepath.Join(dir, "kept"), partialSuffix)
	make(filepath.Base(partial))                             // crashed before its rename
	make(filepath.Base(temporary("kept", replacedSuffix)))   // crashed before its removal
	make(filepath.Base(temporary("lost.x", replacedSuffix))) // crashed between two renames
	make(filepath.Base(temporary("kept", removedSuffix)))    // crashed while it was removed
	age(t, partial)
	if err := WriteFile(filepath.Join(dir, "file"), nil); err != nil {
		t.Fatal(err)
	}
	leftover(t, filepath.Join(dir, "file"))
	writing, err := Create(filepath.Join(dir, "live"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	if err := writing.Commit(); err != nil {
		t.Errorf("a file that was being written: %v", err)
	}
	err = Dir(filepath.Join(dir, "sub"), func(tmp string) error { return errors.Join(fill("a")(tmp), Clean(dir)) })
	if err != nil {
		t.Errorf("a folder that was being filled: %v", err)
	}
	wantNames(t, dir, ".b.partial~", ".hidden", "file", "kept", "live", "lost.x", "plain.abc.partial~", "sub")
}

// TestWritersCleanTheirName has leftovers of files and folders, which go when
// their names are written again, and those of other names stay.
func TestWritersCleanTheirName(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		leftover(t, filepath.Join(dir, name))
	}
	folder := temporary(filepath.Join(dir, "d"), partialSuffix)
	if err := os.MkdirAll(filepath.Join(folder, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	age(t, folder)
	first, err := Create(filepath.Join(dir, "a")) // two at once
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(WriteFile(filepath.Join(dir, "a"), []byte("second")), first.Commit(),
		Dir(filepath.Join(dir, "d"), fill("x"))); err != nil {
		t.Fatal(err)
	}
	got := names(t, dir)
	if len(got) != 3 || !IsTemporary(got[0]) || !strings.HasPrefix(got[0], ".b.") || got[1] != "a" || got[2] != "d" {
		t.Errorf("folder holds %q, want a leftover of b, a and d", got)
	}
}

func TestFill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for _, put := range []bool{false, true} {
		release, err := Fill(dir, "write", "ebm test")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Fill(dir, "write", "ebm test"); !errors.Is(err, files.ErrLocked) {
			t.Errorf("a second writer: error %v", err)
		}
		if put {
			if err := WriteFile(filepath.Join(dir, "x"), nil); err != nil {
				t.Fatal(err)
			}
		}
		release()
		if Exists(dir) != put {
			t.Errorf("something put there %v, but the folder is there: %v", put, !put)
		}
	}
	wantNames(t, dir, "x")
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := errors.Join(Dir(path, fill("x")), Remove(path), Remove(path), WriteFile(path, nil), Remove(path+"/")); err != nil {
		t.Error(err)
	}
	wantNames(t, dir)
	deep := filepath.Join(dir, "one", "two", "three")
	if err := errors.Join(MkdirAll(deep), MkdirAll(deep), WriteFile(filepath.Join(deep, "a"), nil)); err != nil {
		t.Error(err)
	}
	if err := MkdirAll(filepath.Join(deep, "a", "b")); err == nil {
		t.Error("a folder was made below a file")
	}
}

// A process that is killed while it writes leaves the old file and one
// temporary name, which Clean removes.
func TestKilledWriter(t *testing.T) {
	if path := os.Getenv("ATOMICFILE_TEST_VICTIM"); path != "" {
		_ = Write(path, func(w io.Writer) error {
			if _, err := w.Write(make([]byte, 2*bufferSize)); err != nil {
				return err
			}
			fmt.Println("writing")
			select {}
		})
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	victim := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$")
	victim.Env = append(os.Environ(), "ATOMICFILE_TEST_VICTIM="+path)
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("writing"))); err != nil {
		t.Fatal(err)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	if got := read(t, path); got != "old" {
		t.Errorf("file holds %q, want the old content", got)
	}
	got := names(t, dir)
	if len(got) != 2 {
		t.Fatalf("folder holds %q, want the file and a leftover", got)
	}
	age(t, filepath.Join(dir, got[0]))
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	wantNames(t, dir, "a")
}
