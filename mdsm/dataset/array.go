package dataset

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"ebm/internal/npz"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// Array reads an array by its rows, a few at a time: of a .npy or .npz file, or of a .pt or
// .pth file of one tensor. PyTorch's tensors, and arrays in Fortran order, whose rows are scattered,
// are held in memory as a whole.
type Array struct {
	DType tensor.DType
	Shape []int // of the whole array

	path string
	rows *npz.RowReader // nil where the array is held
	held *tensor.Tensor
	at   int // the next row
}

// IsArray reports whether a path is that of a file that [OpenArray] takes.
func IsArray(path string) bool {
	return slices.Contains([]string{".npy", ".npz", ".pt", ".pth"}, strings.ToLower(filepath.Ext(path)))
}

// OpenArray opens the array of a file with one, or of an .npz file arr_0, images or x. An array
// without axes is an error. The caller closes it.
func OpenArray(path string) (*Array, error) {
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".pt" || ext == ".pth" {
		x, err := weights.LoadTensor(path)
		if err != nil {
			return nil, err
		}
		return hold(path, x)
	}
	name, err := arrayName(path)
	if err != nil {
		return nil, err
	}
	rows, err := npz.OpenRows(path, name)
	if errors.Is(err, npz.ErrScattered) {
		x, err := readWhole(path, name)
		if err != nil {
			return nil, err
		}
		return hold(path, x)
	}
	if err != nil {
		return nil, cut(err)
	}
	return &Array{DType: rows.DType, Shape: rows.Shape, path: path, rows: rows}, nil
}

// arrayName returns which array of an .npz file is meant, "" for the only one and of .npy files.
func arrayName(path string) (string, error) {
	if !strings.EqualFold(filepath.Ext(path), ".npz") {
		return "", nil
	}
	a, err := npz.Open(path)
	if err != nil {
		return "", err
	}
	defer a.Close()
	names := a.Names()
	for _, usual := range []string{"arr_0", "images", "x"} {
		if slices.Contains(names, usual) {
			return usual, nil
		}
	}
	if len(names) == 1 {
		return names[0], nil
	}
	return "", fmt.Errorf("%s has the arrays %q, want one, or one named arr_0, images or x", path, names)
}

// readWhole reads an array in Fortran order.
func readWhole(path, name string) (*tensor.Tensor, error) {
	if name == "" && !strings.EqualFold(filepath.Ext(path), ".npz") {
		return npz.ReadNpyFile(path)
	}
	a, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	if name == "" {
		name = a.Names()[0]
	}
	return a.Read(name)
}

func hold(path string, x *tensor.Tensor) (*Array, error) {
	if x.Rank() == 0 {
		return nil, fmt.Errorf("%s: a single %v has no rows", path, x.DType())
	}
	return &Array{DType: x.DType(), Shape: x.Shape(), path: path, held: x}, nil
}

// cut says of a file that ended early that it is cut short, as archives' readers do.
func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the file is cut short", err)
	}
	return err
}

// Next returns the next rows, at most n of them and fewer only at the end, and io.EOF after
// the last.
func (a *Array) Next(n int) (*tensor.Tensor, error) {
	if a.held == nil {
		x, err := a.rows.Next(n)
		if err == nil {
			a.at += x.Shape()[0]
		}
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("%s: %w", a.path, cut(err))
		}
		return x, err
	}
	if n = min(n, a.Shape[0]-a.at); n == 0 {
		return nil, io.EOF
	}
	a.at += n
	return a.held.Rows(a.at-n, a.at), nil
}

// At returns the number of the next row.
func (a *Array) At() int { return a.at }

// Close closes the file.
func (a *Array) Close() error {
	if a.rows == nil {
		return nil
	}
	return a.rows.Close()
}
