package samples

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/internal/picture"
	"ebm/models/tensor"
)

// archiveArray is the name that NumPy gives to an array without one.
const archiveArray = "arr_0"

// complete reports whether the folder has all samples.
func (w *writer) complete(ctx context.Context) (bool, error) {
	rows, err := npz.OpenRows(filepath.Join(w.Dir, ArchiveFile), archiveArray)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w; remove it to draw its samples again", err)
	}
	rows.Close() // its shape is known: Windows removes no file that is open
	want := append([]int{w.Record.Count}, w.row...)
	dtype := tensor.Uint8
	if w.points() {
		dtype = tensor.Float32
	}
	if rows.DType == dtype && len(rows.Shape) == len(want) && slices.Equal(rows.Shape[1:], w.row) && rows.Shape[0] < w.Record.Count {
		if !w.Part.Whole() {
			return false, fmt.Errorf("%s is finished with %d samples, want a part of %d: one process alone can make it grow, or take another folder",
				w.Dir, rows.Shape[0], w.Record.Count)
		}
		return false, w.reopen(ctx, rows.Shape[0])
	}
	if rows.DType != dtype || !slices.Equal(rows.Shape, want) {
		return false, fmt.Errorf("%s holds %v%v, want %v%v; remove it to draw its samples again", filepath.Join(w.Dir, ArchiveFile), rows.DType,
			rows.Shape, dtype, want)
	}
	// To its end, where its sum is compared.
	if err := eachRows(ctx, filepath.Join(w.Dir, ArchiveFile), archiveArray, func(*tensor.Tensor) error { return nil }); err != nil {
		return false, fmt.Errorf("%w; remove it to draw its samples again", err)
	}
	return !w.Float32 || atomicfile.Exists(filepath.Join(w.Dir, Float32File)), nil
}

// assemble makes the archives of the shards. The .npz comes last, and says that
// the folder is complete.
func (w *writer) assemble(ctx context.Context) error {
	slices.SortFunc(w.shards, func(a, b shard) int { return cmp.Compare(a.first, b.first) })
	if missing := gaps(w.shards, w.Record.First, w.end()); len(missing) > 0 {
		return fmt.Errorf("%s: samples %d to %d are missing", w.Dir, missing[0].first, missing[0].end-1)
	}
	if err := w.joinChains(); err != nil {
		return err
	}
	var paths []string
	for _, s := range w.shards {
		paths = append(paths, s.path)
	}
	if !w.Float32 {
		return joinBytes(ctx, w.Dir, paths)
	}
	if err := joinFloats(ctx, w.Dir, paths, ""); err != nil {
		return err
	}
	if err := w.record().seal(w.Dir); err != nil {
		return err
	}
	if w.points() {
		return joinBytes(ctx, w.Dir, paths)
	}
	return w.roundFloats(ctx)
}

// joinBytes makes samples.npz of .npy files of its element type.
func joinBytes(ctx context.Context, dir string, paths []string) error {
	return atomicfile.Write(filepath.Join(dir, ArchiveFile), func(out io.Writer) error {
		_, err := npz.JoinRows(cancelled{ctx, out}, archiveArray, paths, npz.Store)
		return err
	})
}

// joinFloats makes samples_float32.npy of the float32 arrays of files.
func joinFloats(ctx context.Context, dir string, paths []string, array string) error {
	return writeRows(filepath.Join(dir, Float32File), func(add func(*tensor.Tensor) error) error {
		for _, path := range paths {
			if err := eachRows(ctx, path, array, add); err != nil {
				return err
			}
		}
		return nil
	})
}

// roundFloats makes samples.npz of samples_float32.npy.
func (w *writer) roundFloats(ctx context.Context) error {
	rounded := filepath.Join(w.shardsDir(), "rounded.npy")
	err := writeRows(rounded, func(add func(*tensor.Tensor) error) error {
		return eachRows(ctx, filepath.Join(w.Dir, Float32File), "", func(t *tensor.Tensor) error {
			// Rounding does not care for the order of axes.
			b, err := picture.Bytes(t)
			if err != nil {
				return err
			}
			return add(b)
		})
	})
	if err != nil {
		return err
	}
	return joinBytes(ctx, w.Dir, []string{rounded})
}

// writeRows writes a .npy file of the rows that fill adds.
func writeRows(path string, fill func(add func(*tensor.Tensor) error) error) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	var rows *npz.RowWriter
	err = fill(func(t *tensor.Tensor) error {
		if rows == nil {
			if rows, err = npz.NewRowWriter(f, t.DType(), t.Shape()[1:]...); err != nil {
				return err
			}
		}
		return rows.Write(t)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if rows == nil {
		return fmt.Errorf("%s: there are no rows to write", path)
	}
	if err := rows.Close(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return f.Commit()
}

// eachRows reads an array by rows, about a megabyte at a time.
func eachRows(ctx context.Context, path, array string, do func(*tensor.Tensor) error) error {
	r, err := npz.OpenRows(path, array)
	if err != nil {
		return err
	}
	defer r.Close()
	n := max(1<<20/max(tensor.Volume(r.Shape[1:]), 1), 1)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := r.Next(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := do(t); err != nil {
			return err
		}
	}
}

// firstRows reads the first n rows of an archive, or all when there are fewer.
func firstRows(path string, n int) (*tensor.Tensor, error) {
	r, err := npz.OpenRows(path, archiveArray)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	t, err := r.Next(n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// cancelled is a writer that fails when its context has ended.
type cancelled struct {
	ctx context.Context
	w   io.Writer
}

func (c cancelled) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}
