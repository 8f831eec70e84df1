package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"time"

	"ebm/internal/files"
)

// Dir makes the folder at path from what fill puts into the empty folder tmp,
// which lies beside path. The files are synced by Dir. A folder at path is
// replaced as a whole; when fill fails, or panics, it stays as it was.
func Dir(path string, fill func(tmp string) error) (err error) {
	path = filepath.Clean(path)
	if info, err := os.Lstat(path); err == nil && !info.IsDir() {
		return fmt.Errorf("make folder %s: a file has this name", path)
	}
	cleanName(path)
	tmp, release, err := makeTemporary(path)
	if err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	defer release()
	defer os.RemoveAll(tmp) // nothing is there once it has its name
	if err := fill(tmp); err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	if err := syncTree(tmp); err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	if err := moveDir(tmp, path, exchange); err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	return nil
}

// makeTemporary makes an empty folder beside path and holds it until release.
func makeTemporary(path string) (tmp string, release func(), err error) {
	for {
		tmp = temporary(path, partialSuffix)
		if err := os.Mkdir(tmp, 0o777); err != nil {
			return "", nil, err
		}
		if goruntime.GOOS == "windows" { // where an open folder cannot be renamed
			return tmp, func() {}, nil
		}
		d, err := os.Open(tmp)
		if err == nil && claim(d) {
			return tmp, func() { d.Close() }, nil
		}
		if err == nil {
			d.Close()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, err
		}
	}
}

// moveDir gives the folder tmp the name path and removes the folder that had
// it. The exchange of two names is a parameter for the tests.
func moveDir(tmp, path string, exchange func(a, b string) error) error {
	parent := filepath.Dir(path)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := rename(tmp, path); err != nil {
			return err
		}
		return syncDir(parent)
	}
	if exchange(tmp, path) == nil {
		if err := syncDir(parent); err != nil {
			return err
		}
		return os.RemoveAll(tmp)
	}
	old := temporary(path, replacedSuffix)
	if err := rename(path, old); err != nil {
		return err
	}
	if err := rename(tmp, path); err != nil {
		return errors.Join(err, rename(old, path))
	}
	if err := syncDir(parent); err != nil {
		return err
	}
	return os.RemoveAll(old)
}

// syncTree syncs the regular files and the folders of a tree.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return syncDir(path)
		case !entry.Type().IsRegular():
			return nil
		}
		// Windows syncs only files that are open for writing.
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrPermission) {
			f, err = os.Open(path)
		}
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// Remove removes a file or folder: it loses its name in one step, and then what
// it holds goes, so that a killed process leaves no half of it under its name.
// A path where nothing is is no error.
func Remove(path string) error {
	path = filepath.Clean(path)
	old := temporary(path, removedSuffix)
	err := rename(path, old)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err == nil {
		err = os.RemoveAll(old)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}

// MkdirAll makes a folder and those above it that are missing, and makes their
// names durable.
func MkdirAll(path string) error {
	path = filepath.Clean(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(path); parent != path {
		if err := MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o777); err != nil {
		if info, there := os.Stat(path); there == nil && info.IsDir() {
			return nil // another made it
		}
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Fill makes a folder that is not there, takes its lock ([files.LockDir]), and
// removes what killed processes left in it. release gives the lock back, and
// removes the folder when Fill made it and nothing was put into it.
func Fill(dir, role, command string) (release func(), err error) {
	made := !Exists(dir)
	if err := MkdirAll(dir); err != nil {
		return nil, err
	}
	lock, err := files.LockDir(dir, role, command)
	if err != nil {
		return nil, err
	}
	release = func() {
		lock.Release()
		if made {
			os.Remove(dir) // only when it is empty
		}
	}
	if err := Clean(dir); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// Clean removes what killed processes left in the folder dir itself, not below
// it, and puts a replaced folder back whose successor never took its name. What
// a process is writing stays. A dir that does not exist is clean.
func Clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		err = errors.Join(err, clean(dir, entry.Name()))
	}
	if err != nil {
		return fmt.Errorf("clean folder %s: %w", dir, err)
	}
	return nil
}

// clean removes one name of a folder if it is a leftover.
func clean(dir, entry string) error {
	path := filepath.Join(dir, entry)
	name, kind := parseTemporary(entry)
	switch {
	case kind == "":
		return nil
	case kind == replacedSuffix && !Exists(filepath.Join(dir, name)):
		return rename(path, filepath.Join(dir, name))
	case kind == partialSuffix:
		return removeDead(path)
	}
	return os.RemoveAll(path)
}

// cleanName removes what killed processes left of one path. It is no matter
// when that cannot be done.
func cleanName(path string) {
	dir, name := filepath.Split(filepath.Clean(path))
	entries, _ := os.ReadDir(filepath.Clean(dir))
	for _, entry := range entries {
		if n, kind := parseTemporary(entry.Name()); kind == partialSuffix && n == name {
			_ = clean(dir, entry.Name())
		}
	}
}

// removeDead removes a temporary file or folder unless it has a writer, which
// holds its lock. Where that cannot be known, it has one for an hour. The lock
// is held as it is removed, so that a writer that comes in between sees it.
func removeDead(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil { // a folder
		f, err = os.Open(path)
	}
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	age := time.Since(info.ModTime())
	switch err := files.TryLock(f); {
	case errors.Is(err, files.ErrLocked), err != nil && age < time.Hour:
		return nil
	case goruntime.GOOS == "windows": // where a file has no lock for a moment before it is renamed
		if age < time.Minute {
			return nil
		}
		f.Close()
	}
	return os.RemoveAll(path)
}

// IsTemporary reports whether a file's or folder's name (or path) is one that this package
// gives while writing, for code that lists folders.
func IsTemporary(name string) bool {
	_, kind := parseTemporary(filepath.Base(name))
	return kind != ""
}
