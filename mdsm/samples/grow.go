package samples

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// reopen makes shards of the n samples of a folder that was complete and is to
// have more, and removes what a complete folder alone has. The archive goes last,
// so that it can be done again when it was interrupted.
func (w *writer) reopen(ctx context.Context, n int) error {
	if err := atomicfile.MkdirAll(w.shardsDir()); err != nil {
		return err
	}
	path, array := filepath.Join(w.Dir, ArchiveFile), archiveArray
	if w.Float32 {
		path, array = filepath.Join(w.Dir, Float32File), ""
	}
	at := w.Record.First
	err := eachRows(ctx, path, array, func(t *tensor.Tensor) error {
		if at+t.Shape()[0] > w.Record.First+n {
			return nil // more than the archive has were left by a run that was interrupted
		}
		_, err := writeShard(w.shardsDir(), at, t)
		at += t.Shape()[0]
		return err
	})
	if err != nil {
		return err
	}
	if err := w.splitChains(n); err != nil {
		return err
	}
	return errors.Join(atomicfile.Remove(filepath.Join(w.Dir, PicturesDir)), os.Remove(filepath.Join(w.Dir, ArchiveFile)))
}

// splitChains makes the groups' parts of chains.npz, but for the last group, whose
// rows change when it grows.
func (w *writer) splitChains(n int) error {
	if !w.Chains {
		return nil
	}
	whole, err := npz.ReadFile(filepath.Join(w.Dir, ChainsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	draws := max(w.Record.Draws, 1)
	for _, t := range whole {
		if t.Rank() == 0 || t.Shape()[0] != n/draws {
			return nil // no row for each chain: all are made again
		}
	}
	for _, g := range w.groupsOf(w.Record.First, w.Record.First+n) {
		lo, hi := w.span(g, w.Record.First, w.end())
		first, end := g*w.Record.Group+lo-w.Record.First, g*w.Record.Group+hi-w.Record.First
		if end > n {
			break
		}
		part := make(map[string]*tensor.Tensor)
		for name, t := range whole {
			part[name] = t.Rows(first/draws, end/draws)
		}
		if err := writeArrays(w.chainsPart(g), part); err != nil {
			return err
		}
	}
	return nil
}
