package files

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestOpenWantsFiles(t *testing.T) {
	dir := t.TempDir()
	plain, link := filepath.Join(dir, "plain"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(plain, []byte("abc"), 0o666), os.Symlink(plain, link)); err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat(link); err != nil {
		t.Skip("links are made, and not followed: ", err) // by wine
	}
	for _, path := range []string{plain, link} {
		if b, err := ReadFile(path); err != nil || string(b) != "abc" {
			t.Errorf("%s: %q, error %v", path, b, err)
		}
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: error %v", err)
	}
	special := map[string]string{dir: "a folder", os.DevNull: "a device"}
	fifo := filepath.Join(dir, "fifo")
	if exec.Command("mkfifo", fifo).Run() == nil {
		special[fifo] = "a FIFO"
	}
	socket := filepath.Join(dir, "s")
	if l, err := net.Listen("unix", socket); err == nil {
		defer l.Close()
		special[socket] = "a socket"
	}
	for path, want := range special {
		done := make(chan error, 1)
		go func() { _, err := ReadFile(path); done <- err }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one that says %q", path, err, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: waits", path)
		}
	}
}

func mustLock(t *testing.T, dir, role string) *Lock {
	t.Helper()
	l, err := LockDir(dir, role, "ebm test")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestOneLock(t *testing.T) {
	dir := t.TempDir()
	l := mustLock(t, dir, "train")
	_, err := LockDir(dir, "train", "ebm other")
	var locked *LockedError
	if !errors.As(err, &locked) || !errors.Is(err, ErrLocked) || locked.Foreign || locked.Owner.Process != os.Getpid() ||
		!strings.Contains(err.Error(), "ebm test") {
		t.Errorf("a second lock: error %v", err)
	}
	mustLock(t, dir, "report").Release() // of other files
	l.Release()
	l.Release()
	mustLock(t, dir, "train").Release()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	if _, err := LockDir(filepath.Join(dir, "none"), "train", "ebm test"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: error %v", err)
	}
	if !IsLock(filepath.Join(dir, ".train.lock")) || IsLock("train.lock") {
		t.Error("names of locks are not told apart")
	}
}

// TestLocksExclude has many goroutines take and release one lock.
func TestLocksExclude(t *testing.T) {
	dir := t.TempDir()
	var inside, taken atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				l, err := LockDir(dir, "train", "ebm test")
				if errors.Is(err, ErrLocked) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				taken.Add(1)
				inside.Add(-1)
				l.Release()
			}
		})
	}
	wg.Wait()
	if taken.Load() == 0 {
		t.Error("nobody took the lock")
	}
}

// TestForeignLock has the lock of another host, which is left alone.
func TestForeignLock(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".train.lock")
	data, _ := json.Marshal(Owner{"elsewhere", 42, time.Unix(0, 0), "ebm train"})
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := LockDir(dir, "train", "ebm test")
	var locked *LockedError
	if !errors.As(err, &locked) || !locked.Foreign || !strings.Contains(err.Error(), "process 42 on elsewhere") ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != string(data) {
		t.Errorf("the lock says %s, want what it said", b)
	}
	for _, damaged := range []string{"", "{", "null"} { // its owner died as it wrote
		if err := os.WriteFile(path, []byte(damaged), 0o666); err != nil {
			t.Fatal(err)
		}
		mustLock(t, dir, "train").Release()
	}
}

// TestKilledOwner kills the process that holds a lock.
func TestKilledOwner(t *testing.T) {
	if dir := os.Getenv("FILES_TEST_VICTIM"); dir != "" {
		if _, err := LockDir(dir, "train", "ebm victim"); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("locked\n")
		select {}
	}
	dir := t.TempDir()
	victim := exec.Command(os.Args[0], "-test.run=^TestKilledOwner$")
	victim.Env = append(os.Environ(), "FILES_TEST_VICTIM="+dir)
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil && err != io.EOF || line != "locked\n" {
		t.Fatalf("the victim says %q, error %v", line, err)
	}
	_, err = LockDir(dir, "train", "ebm test")
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Owner.Process != victim.Process.Pid || locked.Owner.Command != "ebm victim" {
		t.Errorf("while it lives: error %v", err)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	mustLock(t, dir, "train").Release()
}

func TestHash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "abc")
	if err := os.WriteFile(path, []byte("abc"), 0o666); err != nil {
		t.Fatal(err)
	}
	// The first example of FIPS 180-2, appendix B.
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if sum, n, err := Hash(path); err != nil || sum != want || n != 3 {
		t.Errorf("%s of %d bytes, error %v; want %s of 3", sum, n, err, want)
	}
	if _, _, err := Hash(filepath.Dir(path)); err == nil {
		t.Error("a folder has a hash")
	}
}

func TestStandIn(t *testing.T) {
	for start, says := range map[string]string{
		"\n<!DOCTYPE html><html>": "(HTML)",
		"<HTML>":                  "(HTML)",
		"version https://git-lfs.github.com/spec/v1\nx": "Git LFS",
	} {
		if err := StandIn([]byte(start)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want it to say %s", start, err, says)
		}
	}
	if err := StandIn([]byte("PK\x03\x04")); err != nil {
		t.Errorf("an archive: %v", err)
	}
}
