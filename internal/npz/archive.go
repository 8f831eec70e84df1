package npz

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"ebm/internal/files"
	"ebm/models/tensor"
)

const (
	suffix = ".npy"
	// An archive may expand to expandFree bytes, or to expandRatio times its
	// own size. Deflate itself would allow a thousand times.
	expandFree  = 256 << 20
	expandRatio = 64
)

// Archive is an open .npz file. It is not safe for use by several goroutines.
type Archive struct {
	path    string
	size    int64
	file    *os.File
	members map[string]*zip.File
	names   []string
}

// Open opens a .npz file. It is an error when two arrays have one name or the
// arrays together would take more memory than the package allows. Members
// that do not end in .npy are ignored.
func Open(path string) (*Archive, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	a := &Archive{path: path, file: f, members: map[string]*zip.File{}}
	if err := a.index(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: npz: %w", path, err)
	}
	return a, nil
}

func (a *Archive) index() error {
	info, err := a.file.Stat()
	if err != nil {
		return err
	}
	a.size = info.Size()
	z, err := zip.NewReader(a.file, a.size)
	if errors.Is(err, zip.ErrFormat) {
		start := make([]byte, 64)
		n, _ := a.file.ReadAt(start, 0)
		if err := files.StandIn(start[:n]); err != nil {
			return err
		}
		if bytes.HasPrefix(start[:n], []byte("PK\x03\x04")) { // an archive's first member
			return fmt.Errorf("%d bytes that begin an archive and lack its end, want the whole file: it was cut short", a.size)
		}
	}
	if err != nil {
		return err
	}
	allowed := uint64(max(expandFree, expandRatio*a.size))
	for _, f := range z.File {
		name, ok := strings.CutSuffix(f.Name, suffix)
		if !ok {
			continue
		}
		if _, ok := a.members[name]; ok {
			return fmt.Errorf("two arrays named %q", name)
		}
		if f.UncompressedSize64 > allowed {
			return fmt.Errorf("array %q brings the archive of %d bytes over the allowed expansion of %d bytes", name, a.size,
				max(expandFree, expandRatio*a.size))
		}
		allowed -= f.UncompressedSize64
		a.members[name] = f
		a.names = append(a.names, name)
	}
	return nil
}

// Names returns the names of the arrays in the order of the file.
func (a *Archive) Names() []string { return slices.Clone(a.names) }

// Close closes the file.
func (a *Archive) Close() error { return a.file.Close() }

// member opens an array's member and says how many bytes it is known to hold.
func (a *Archive) member(name string) (r io.ReadCloser, known int64, err error) {
	f, ok := a.members[name]
	if !ok {
		return nil, 0, fmt.Errorf("%s: npz: no array %q, only %q", a.path, name, a.names)
	}
	if r, err = f.Open(); err != nil {
		return nil, 0, fmt.Errorf("%s: npz: array %q: %w", a.path, name, err)
	}
	if f.Method == zip.Store && f.UncompressedSize64 <= uint64(a.size) {
		known = int64(f.UncompressedSize64)
	}
	return r, known, nil
}

// Header returns the type and shape of an array.
func (a *Archive) Header(name string) (Header, error) {
	r, _, err := a.member(name)
	if err != nil {
		return Header{}, err
	}
	defer r.Close()
	h, err := ReadHeader(r)
	if err != nil {
		return Header{}, fmt.Errorf("%s: npz: array %q: %w", a.path, name, err)
	}
	return h, nil
}

// Read reads an array and checks its sum.
func (a *Archive) Read(name string) (*tensor.Tensor, error) {
	r, known, err := a.member(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	t, err := readNpy(r, known)
	if err == nil {
		err = atEnd(r)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: npz: array %q: %w", a.path, name, err)
	}
	return t, nil
}

// atEnd reads on to the end, where the zip reader checks the sum.
func atEnd(r io.Reader) error {
	n, err := r.Read(make([]byte, 1))
	switch {
	case n > 0:
		return errors.New("bytes after the last element")
	case err == nil:
		return io.ErrNoProgress
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// ReadFile reads all arrays of a .npz file.
func ReadFile(path string) (map[string]*tensor.Tensor, error) {
	a, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	arrays := make(map[string]*tensor.Tensor, len(a.names))
	for _, name := range a.names {
		if arrays[name], err = a.Read(name); err != nil {
			return nil, err
		}
	}
	return arrays, nil
}

// OpenRows opens one array of a .npy or .npz file, told apart by their
// content, for reading by rows. In a .npz file an empty name stands for its
// only array; a .npy file's array has no other name.
func OpenRows(path, name string) (*RowReader, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	start := make([]byte, len(magic))
	if _, err := io.ReadFull(f, start); err == nil && string(start) == magic {
		r, err := openNpyRows(f, name)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return r, nil
	}
	f.Close()
	a, err := Open(path)
	if err != nil {
		return nil, err
	}
	r, err := a.openRows(name)
	if err != nil {
		a.Close()
		return nil, err
	}
	return r, nil
}

func openNpyRows(f *os.File, name string) (*RowReader, error) {
	if name != "" {
		return nil, fmt.Errorf("npy: no array %q, the only one has no name", name)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return newRowReader(f, f, info.Size())
}

func (a *Archive) openRows(name string) (*RowReader, error) {
	if name == "" {
		if len(a.names) != 1 {
			return nil, fmt.Errorf("%s: npz: which array of %q?", a.path, a.names)
		}
		name = a.names[0]
	}
	r, known, err := a.member(name)
	if err != nil {
		return nil, err
	}
	rows, err := newRowReader(r, closers{r, a.file}, known)
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("%s: npz: array %q: %w", a.path, name, err)
	}
	return rows, nil
}

// closers closes several things in order.
type closers []io.Closer

func (c closers) Close() error {
	var errs []error
	for _, closer := range c {
		errs = append(errs, closer.Close())
	}
	return errors.Join(errs...)
}
