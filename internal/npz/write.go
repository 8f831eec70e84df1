package npz

import (
	"archive/zip"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"ebm/internal/files"
	"ebm/models/tensor"
)

// Method says how the arrays of an archive are stored.
type Method uint16

// The methods. NumPy's savez stores and its savez_compressed deflates.
const (
	Store   = Method(zip.Store)
	Deflate = Method(zip.Deflate)
)

// Write writes a .npz file with the arrays in the order of their names. The
// same arrays give the same bytes.
func Write(w io.Writer, arrays map[string]*tensor.Tensor, method Method) error {
	z := zip.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(arrays)) {
		m, err := createMember(z, name, method)
		if err != nil {
			return err
		}
		if err := WriteNpy(m, arrays[name]); err != nil {
			return fmt.Errorf("npz: array %q: %w", name, err)
		}
	}
	return finish(z)
}

// createMember starts an array's member, without a time of change, which
// would make the bytes differ.
func createMember(z *zip.Writer, name string, method Method) (io.Writer, error) {
	if name == "" || len(name) > math.MaxUint16-len(suffix) {
		return nil, fmt.Errorf("npz: array name of %d bytes", len(name))
	}
	m, err := z.CreateHeader(&zip.FileHeader{Name: name + suffix, Method: uint16(method)})
	if err != nil {
		return nil, fmt.Errorf("npz: array %q: %w", name, err)
	}
	return m, nil
}

func finish(z *zip.Writer) error {
	if err := z.Close(); err != nil {
		return fmt.Errorf("npz: %w", err)
	}
	return nil
}

// JoinRows writes a .npz file whose only array consists of the rows of
// several .npy files in order, and returns the number of rows. Only a small
// buffer is held in memory. The files must have one type and one row shape
// and be in row-major order.
func JoinRows(w io.Writer, name string, shards []string, method Method) (int, error) {
	whole, err := joinedHeader(shards)
	if err != nil {
		return 0, err
	}
	header, err := appendHeader(whole, 0)
	if err != nil {
		return 0, err
	}
	z := zip.NewWriter(w)
	m, err := createMember(z, name, method)
	if err != nil {
		return 0, err
	}
	if _, err := m.Write(header); err != nil {
		return 0, fmt.Errorf("npz: array %q: %w", name, err)
	}
	for _, path := range shards {
		if err := copyElements(m, path); err != nil {
			return 0, err
		}
	}
	return whole.Shape[0], finish(z)
}

// joinedHeader checks that the shards fit together.
func joinedHeader(shards []string) (Header, error) {
	var whole Header
	for i, path := range shards {
		h, err := shardHeader(path)
		if err != nil {
			return whole, err
		}
		if i == 0 {
			whole = h
			continue
		}
		if h.DType != whole.DType || !slices.Equal(h.Shape[1:], whole.Shape[1:]) {
			return whole, fmt.Errorf("%s: npy: %v%v does not continue the rows of %v%v in %s",
				path, h.DType, h.Shape, whole.DType, whole.Shape[1:], shards[0])
		}
		whole.Shape[0] += h.Shape[0]
	}
	if len(shards) == 0 {
		return whole, fmt.Errorf("npz: no files to join")
	}
	return whole, nil
}

func shardHeader(path string) (Header, error) {
	r, err := OpenRows(path, "")
	if err != nil {
		return Header{}, err
	}
	h := r.Header
	if h.BigEndian {
		r.Close()
		return h, fmt.Errorf("%s: npy: elements are big-endian, want little-endian ones to join", path)
	}
	h.Fortran = false // in a single axis it says nothing
	return h, r.Close()
}

// copyElements copies a .npy file without its header.
func copyElements(w io.Writer, path string) error {
	f, err := files.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := ReadHeader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	size, err := ByteSize(h.DType, h.Shape)
	if err != nil {
		return fmt.Errorf("%s: npy: %w", path, err)
	}
	if n, err := io.CopyN(w, f, int64(size)); err != nil {
		return fmt.Errorf("%s: npy: %d of %d bytes of elements: %w", path, n, size, files.Early(err))
	}
	if n, _ := f.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("%s: npy: bytes after the last element of %v%v", path, h.DType, h.Shape)
	}
	return nil
}
