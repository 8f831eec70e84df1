package samples

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// ChainsFile has the arrays of a job's chains, a row for each.
const ChainsFile = "chains.npz"

// chainsPart is the file of a group's rows while a folder is being filled.
func (w *writer) chainsPart(group int) string {
	lo, hi := w.span(group, w.Record.First, w.end())
	return filepath.Join(w.shardsDir(), fmt.Sprintf("chains-%012d+%d.npz", group*w.Record.Group+lo, hi-lo))
}

// keepChains writes a batch's rows.
func (w *writer) keepChains(b Batch) error {
	if !w.Chains {
		return nil
	}
	return writeArrays(w.chainsPart(b.First/w.Record.Group), b.Chains)
}

func writeArrays(path string, arrays map[string]*tensor.Tensor) error {
	return atomicfile.Write(path, func(out io.Writer) error { return npz.Write(out, arrays, npz.Store) })
}

// joinChains makes chains.npz of its parts. One that is damaged is removed, so
// that the next run makes it again.
func (w *writer) joinChains() error {
	if !w.Chains {
		return nil
	}
	whole := make(map[string]*tensor.Tensor)
	for _, g := range w.groupsOf(w.Record.First, w.end()) {
		part, err := npz.ReadFile(w.chainsPart(g))
		if err == nil {
			err = appendRows(whole, part)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("%w; run this again to make it anew", err), os.Remove(w.chainsPart(g)))
		}
	}
	return writeArrays(filepath.Join(w.Dir, ChainsFile), whole)
}

// appendRows appends the rows of part's arrays to the arrays of whole.
func appendRows(whole, part map[string]*tensor.Tensor) error {
	for name, t := range part {
		had := whole[name]
		if had == nil {
			whole[name] = t
			continue
		}
		if t.Rank() == 0 || t.DType() != had.DType() || !slices.Equal(t.Shape()[1:], had.Shape()[1:]) {
			return fmt.Errorf("chains: %s is %v and %v", name, had, t)
		}
		shape := slices.Clone(t.Shape())
		shape[0] += had.Shape()[0]
		switch t.DType() {
		case tensor.Float64:
			whole[name] = tensor.Of(slices.Concat(tensor.Data[float64](had), tensor.Data[float64](t)), shape...)
		case tensor.Int64:
			whole[name] = tensor.Of(slices.Concat(tensor.Data[int64](had), tensor.Data[int64](t)), shape...)
		default:
			return fmt.Errorf("chains: %s is %v, want float64 or int64", name, t)
		}
	}
	return nil
}
