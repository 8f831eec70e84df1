package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir makes the folder at path from what fill puts into the empty folder tmp,
// which lies beside path. The files are synced by Dir. A folder at path is
// replaced as a whole; when fill fails, or panics, it stays as it was.
func Dir(path string, fill func(tmp string) error) (err error) {
	path = filepath.Clean(path)
	if info, err := os.Lstat(path); err == nil && !info.IsDir() {
		return fmt.Errorf("make folder %s: a file has this name", path)
	}
	tmp := temporary(path, partialSuffix)
	if err := os.Mkdir(tmp, 0o777); err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
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

// moveDir gives the folder tmp the name path and removes the folder that had
// it. The exchange of two names is a parameter for the tests.
func moveDir(tmp, path string, exchange func(a, b string) error) error {
	parent := filepath.Dir(path)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := os.Rename(tmp, path); err != nil {
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
	if err := os.Rename(path, old); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, os.Rename(old, path))
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

// Clean removes what crashed writers left in the folder dir itself, not below
// it, and puts a replaced folder back whose successor never took its name. A
// dir that does not exist is clean. The caller must know that nobody is
// writing to dir.
func Clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("clean folder %s: %w", dir, err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if name, ok := finalName(entry.Name(), replacedSuffix); ok {
			final := filepath.Join(dir, name)
			if _, err := os.Lstat(final); errors.Is(err, fs.ErrNotExist) {
				if err := os.Rename(path, final); err != nil {
					return fmt.Errorf("clean folder %s: %w", dir, err)
				}
				continue
			}
		} else if _, ok := finalName(entry.Name(), partialSuffix); !ok {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("clean folder %s: %w", dir, err)
		}
	}
	return nil
}

// IsTemporary reports whether a file's or folder's name (or path) is one that this package
// gives while writing, for code that lists folders.
func IsTemporary(name string) bool {
	name = filepath.Base(name)
	_, partial := finalName(name, partialSuffix)
	_, replaced := finalName(name, replacedSuffix)
	return partial || replaced
}
