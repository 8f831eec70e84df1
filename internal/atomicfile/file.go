package atomicfile

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"syscall"
	"time"

	"ebm/internal/files"
)

const (
	partialSuffix  = ".partial~"
	replacedSuffix = ".replaced~"
	removedSuffix  = ".removed~"
	bufferSize     = 1 << 18
)

// File is a file that has not taken its place yet. Exactly one of Commit and
// Abort ends it; Abort after Commit does nothing, so it can be deferred.
type File struct {
	*os.File
	path string
	done bool
}

// Create opens a temporary file for reading and writing that Commit moves to
// path. The folder of path must exist. What killed processes left of the same
// path is removed.
func Create(path string) (*File, error) {
	cleanName(path)
	for {
		f, err := os.OpenFile(temporary(path, partialSuffix), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return nil, fmt.Errorf("create %s: %w", path, err)
		}
		if claim(f) {
			return &File{File: f, path: path}, nil
		}
		f.Close()
	}
}

// claim locks a new temporary file or folder, which says that it is being
// written; see dead. It is false when another took it for a leftover before.
func claim(f *os.File) bool {
	if errors.Is(files.TryLock(f), files.ErrLocked) {
		return false
	}
	mine, err := f.Stat()
	if err != nil {
		return true
	}
	there, err := os.Stat(f.Name())
	return err == nil && os.SameFile(mine, there)
}

// Commit syncs the file, closes it and gives it its name, replacing a file
// that has it. After an error the old file is still in place.
func (f *File) Commit() error {
	if f.done {
		return fmt.Errorf("write %s: already committed or aborted", f.path)
	}
	err := f.Sync()
	if err == nil && goruntime.GOOS == "windows" { // where an open file cannot be renamed
		err = f.Close()
	}
	if err == nil {
		err = rename(f.Name(), f.path)
	}
	if err == nil && goruntime.GOOS != "windows" {
		err = f.Close()
	}
	if err != nil {
		f.Abort()
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	f.done = true
	return syncDir(filepath.Dir(f.path))
}

// rename gives a file or folder another name. On Windows it is refused while another
// process, a reader or one that looks for leftovers, has either open: that is for
// moments, and is waited for, five seconds at most.
func rename(from, to string) error {
	const sharingViolation = syscall.Errno(32) // ERROR_SHARING_VIOLATION
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := os.Rename(from, to)
		busy := goruntime.GOOS == "windows" && (errors.Is(err, fs.ErrPermission) || errors.Is(err, sharingViolation))
		if !busy || time.Since(begin) > 5*time.Second {
			return err
		}
	}
}

// Abort closes and removes the temporary file. What is at the path stays.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	f.Close()
	os.Remove(f.Name())
}

// Write makes the file at path from what write puts into the buffered writer.
// When write fails, or panics, the old file stays and nothing is left behind.
func Write(path string, write func(io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	buf := bufio.NewWriterSize(f, bufferSize)
	if err := write(buf); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Commit()
}

// WriteFile makes the file at path from data.
func WriteFile(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteJSON makes the file at path from v as indented JSON.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return WriteFile(path, append(data, '\n'))
}

// temporary returns a new temporary name beside path.
func temporary(path, suffix string) string {
	dir, name := filepath.Split(filepath.Clean(path))
	return filepath.Join(dir, "."+name+"."+strings.ToLower(rand.Text()[:12])+suffix)
}

// parseTemporary returns the final name that a temporary name was made for, and
// its suffix, which is empty for other names.
func parseTemporary(entry string) (name, suffix string) {
	for _, suffix := range []string{partialSuffix, replacedSuffix, removedSuffix} {
		stem, ok := strings.CutSuffix(entry, suffix)
		if dot := strings.LastIndexByte(stem, '.'); ok && strings.HasPrefix(stem, ".") && dot >= 2 {
			return stem[1:dot], suffix
		}
	}
	return "", ""
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	if goruntime.GOOS == "windows" {
		return nil // folders cannot be synced there, and renames are journalled
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	defer d.Close()
	// Some network file systems refuse to sync folders with EINVAL.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

// Exists reports whether there is something at path.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
