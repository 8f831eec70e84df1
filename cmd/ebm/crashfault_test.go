//go:build crash && linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ebm/internal/testkit"
)

// TestCrashFaults fails the n-th call of each kind, for every n that a run makes
// (each thread counts its own calls), with the errors of a broken or full disk.
func TestCrashFaults(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not there, which fails system calls: install it to test what becomes of a command on a broken disk")
	}
	eachJob(t, *failed, func(t *testing.T, c *crasher) {
		for _, f := range []struct{ calls, err string }{
			{"fsync,fdatasync", "EIO"}, {"?rename,renameat,renameat2", "EIO"}, {"write,pwrite64", "ENOSPC"},
			{"write,pwrite64", "EIO"}, {"ftruncate", "EIO"},
			{"mkdirat", "ENOSPC"}, {"unlinkat", "EIO"}, {"flock", "ENOLCK"}, {"getdents64", "EIO"}, {"openat", "EIO"}, {"openat", "EMFILE"},
			{"read,pread64", "EIO"},
		} {
			attempts, injected := c.attempts, 0
			log := filepath.Join(t.TempDir(), "strace")
			for n, step := 1, 1; ; n += step {
				if n > *dense {
					step *= 2
				}
				what := fmt.Sprintf("call %d of %s failed with %s", n, f.calls, f.err)
				dir := c.folder(t.TempDir())
				r := c.execute(dir, 0, strace, "-f", "--seccomp-bpf", "-qq", "-o", log, "-e", "trace="+f.calls, "-e",
					fmt.Sprintf("inject=%s:error=%s:when=%d", f.calls, f.err, n))
				trace := testkit.Read(t, log)
				hit := bytes.Count(trace, []byte("(INJECTED)"))
				if hit == 0 {
					break
				}
				injected += hit
				c.afterFault(dir, what, r, r.code < 0 || r.code == loaderFailed || silenced.Match(trace))
				if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%s with %s: %d failed calls in %d runs", f.calls, f.err, injected, c.attempts-attempts)
		}
		c.report("failed system calls")
	})
}

// loaderFailed is the exit status of a program whose libraries could not be read,
// so that it never began.
const loaderFailed = 127

// silenced finds a write of standard error that failed, or may have: it takes the
// error along. strace writes a call that another one overtakes on two lines.
var silenced = regexp.MustCompile(`write\(2, .*(\(INJECTED\)|<unfinished)`)

// afterFault checks a command that ended when something failed below it: it has
// made all, or says why not, unless it could not, and can be given again.
func (c *crasher) afterFault(dir, what string, r result, mute bool) {
	c.whole(dir, what)
	switch {
	case r.code == 0 && len(leftoversIn(c.t, filepath.Dir(dir))) == 0:
		c.attempts++
		if c.same(dir, what) {
			c.survived++
		}
		return
	case r.code != 0 && !mute && !strings.Contains(r.stderr, "ebm: "):
		c.t.Errorf("%s: exit status %d, and no error: %q", what, r.code, r.stderr)
	}
	c.recovers(dir, what)
}

// TestCrashFullDisk gives each command a disk that is too small, at eight sizes,
// and then one with space.
func TestCrashFullDisk(t *testing.T) {
	mount := t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=4096"); err != nil {
		t.Skipf("a file system in memory cannot be mounted (%v), which is the full disk", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	})
	size := func(t *testing.T, bytes int64) {
		t.Helper()
		if err := unix.Mount("tmpfs", mount, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", bytes)); err != nil {
			t.Fatal(err)
		}
	}
	eachJob(t, *failed, func(t *testing.T, c *crasher) {
		size(t, 1<<30)
		dir := c.folder(mount)
		begin := used(t, mount)
		c.recovers(dir, "a disk with space")
		end := used(t, mount)
		for i := range int64(8) {
			size(t, 1<<30)
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			dir = c.folder(mount)
			size(t, max(begin+(end-begin)*i/8, 4096))
			what := fmt.Sprintf("a disk with space for %d/8", i)
			r := c.execute(dir, 0)
			size(t, 1<<30)
			c.afterFault(dir, what, r, r.code < 0)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		c.report("full disk")
	})
}

// used returns the bytes of a file system that are taken.
func used(t *testing.T, dir string) int64 {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Blocks-s.Bfree) * s.Bsize
}
