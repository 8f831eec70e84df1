package samples

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// Merge joins complete folders of samples, such as Settings.Shard makes on
// several machines, into one at f.Dir, which must be new or empty. Together they
// must hold a contiguous range of one set: a setting that differs is a
// *MismatchError. Memory is bounded; the archives are those that one machine
// would have made, byte for byte. Of f, Crop and Float32 are taken from the
// folders. The trace and snapshots are those of the first folder.
func Merge(ctx context.Context, f Folder, parts []string, show progress.Progress) (Written, error) {
	whole, parts, err := order(parts)
	if err != nil {
		return Written{}, err
	}
	if entries, err := os.ReadDir(f.Dir); err == nil && len(entries) > 0 {
		return Written{}, fmt.Errorf("merge into %s: it is not empty", f.Dir)
	}
	stage := progress.Begin(show, "merge", 0, "samples")
	defer stage.Done()
	err = atomicfile.Dir(f.Dir, func(tmp string) error {
		if err := mergeInto(ctx, tmp, whole, parts); err != nil {
			return err
		}
		p, err := ReadProcess(parts[0])
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return p.Write(tmp)
	})
	if err != nil {
		return Written{}, err
	}
	stage.Set(int64(whole.Count))
	if err := f.draw(ctx, whole.First, show); err != nil {
		return Written{}, err
	}
	return Written{Count: whole.Count, Reused: whole.Count, Path: filepath.Join(f.Dir, ArchiveFile)}, nil
}

// order returns the folders by the index of their first samples, and the record
// of all of them together.
func order(parts []string) (Record, []string, error) {
	type part struct {
		Record
		dir string
	}
	var list []part
	for _, dir := range parts {
		r, err := ReadRecord(dir)
		if err != nil {
			return r, nil, fmt.Errorf("merge: %w", err)
		}
		list = append(list, part{r, dir})
	}
	if len(list) == 0 {
		return Record{}, nil, errors.New("merge: no folders are given")
	}
	slices.SortStableFunc(list, func(a, b part) int { return cmp.Compare(a.First, b.First) })
	whole := list[0].Record
	dirs := []string{list[0].dir}
	for _, p := range list[1:] {
		if d := p.differences(whole, "first", "count"); len(d) > 0 {
			return whole, nil, &MismatchError{p.dir, d}
		}
		if end := whole.First + whole.Count; p.First != end {
			return whole, nil, fmt.Errorf("merge: %s begins with sample %d, but %s ends before sample %d", p.dir, p.First, dirs[len(dirs)-1], end)
		}
		whole.Count += p.Count
		dirs = append(dirs, p.dir)
	}
	return whole, dirs, nil
}

// mergeInto makes the record and the archives in dir.
func mergeInto(ctx context.Context, dir string, whole Record, parts []string) error {
	whole.Floats = "" // of the first part
	if err := whole.write(dir); err != nil {
		return err
	}
	if whole.Float32 {
		var paths []string
		for _, p := range parts {
			if _, err := CheckFloats(filepath.Join(p, Float32File)); err != nil {
				return err
			}
			paths = append(paths, filepath.Join(p, Float32File))
		}
		if err := joinFloats(ctx, dir, paths, ""); err != nil {
			return err
		}
		if err := whole.seal(dir); err != nil {
			return err
		}
	}
	all := filepath.Join(dir, "all.npy")
	err := writeRows(all, func(add func(*tensor.Tensor) error) error {
		for _, p := range parts {
			if err := checkRows(p); err != nil {
				return err
			}
			if err := eachRows(ctx, filepath.Join(p, ArchiveFile), archiveArray, add); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := mergeChains(dir, parts); err != nil {
		return err
	}
	if err := joinBytes(ctx, dir, []string{all}); err != nil {
		return err
	}
	return os.Remove(all)
}

// mergeChains joins the arrays of chains, where the first folder has any.
func mergeChains(dir string, parts []string) error {
	if !atomicfile.Exists(filepath.Join(parts[0], ChainsFile)) {
		return nil
	}
	whole := make(map[string]*tensor.Tensor)
	for _, p := range parts {
		arrays, err := npz.ReadFile(filepath.Join(p, ChainsFile))
		if err != nil {
			return err
		}
		if err := appendRows(whole, arrays); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return writeArrays(filepath.Join(dir, ChainsFile), whole)
}

// checkRows compares the number of samples in a folder's archive with its record.
func checkRows(dir string) error {
	r, err := ReadRecord(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, ArchiveFile)
	rows, err := npz.OpenRows(path, archiveArray)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not complete: draw its samples first", dir)
	}
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Shape[0] != r.Count {
		return fmt.Errorf("%s has %d samples, its record says %d", path, rows.Shape[0], r.Count)
	}
	return nil
}
