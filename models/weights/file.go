package weights

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"ebm/internal/files"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// File is an open file of weights. The names, types and shapes of its tensors
// are known; elements are read when a [Part] is.
type File struct {
	// Metadata is what a safetensors file says of itself.
	Metadata map[string]string
	// Beside lists what the file holds that is no tensor, a line each.
	Beside []string

	path    string
	root    *node
	entries []entry
	closers []io.Closer
}

// Open opens a file of weights, told apart by its content: safetensors,
// PyTorch's zip format, legacy format and TorchScript, a pickle of tensors or
// NumPy arrays, NumPy's .npz, or an .npy of a dictionary. An
// index (model.safetensors.index.json) opens the shards that it names, and a folder
// stands for the file of weights in it, as model hubs lay it out, or for
// PyTorch's distributed checkpoint.
func Open(path string) (*File, error) {
	f := &File{path: path}
	err := f.open(path)
	if err == nil {
		err = f.index()
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Close closes what Open opened.
func (f *File) Close() error {
	var errs []error
	for _, c := range f.closers {
		errs = append(errs, c.Close())
	}
	f.closers = nil
	return errors.Join(errs...)
}

// Len returns the number of tensors in the whole file.
func (f *File) Len() int { return len(f.entries) }

func (f *File) index() (err error) {
	if f.entries, err = f.root.entries(""); err != nil {
		return err
	}
	f.Beside = f.root.beside()
	return nil
}

func (f *File) open(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return errors.Unwrap(err) // the path is said once
	}
	if info.IsDir() {
		return f.openFolder(path)
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	in, err := files.Open(path)
	if err != nil {
		return err
	}
	f.closers = append(f.closers, in)
	start := make([]byte, 512)
	n, err := in.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return f.read(in, info.Size(), start[:n])
}

// read reads all but the elements of a file that begins with start.
func (f *File) read(in *os.File, size int64, start []byte) error {
	if err := files.StandIn(start); err != nil {
		return err
	}
	text := string(bytes.TrimSpace(start))
	switch {
	case len(start) > 8 && start[8] == '{' && !strings.HasPrefix(text, "{"): // a zip archive has its method there, 0 or 8
		return f.readSafetensors(in, size)
	case strings.HasPrefix(string(start), "PK"):
		return f.readZip(in, size)
	case len(start) >= 2 && start[0] == 0x80:
		return f.pickled(readPickle(in, size))
	case strings.HasPrefix(string(start), "\x93NUMPY"):
		return f.readObjectArray(in, size)
	case strings.HasPrefix(string(start), "\x89HDF"):
		return errors.New("the file is HDF5, as Keras writes it, want a safetensors, PyTorch or NumPy file")
	case strings.HasPrefix(text, "{"):
		return f.readIndex(in, size)
	case len(text) == 0:
		return errors.New("the file is empty, want a safetensors, PyTorch or NumPy file")
	}
	return fmt.Errorf("file starts with %q, want a safetensors, PyTorch or NumPy file", start[:min(9, len(start))])
}

// pickled takes the values of a pickle.
func (f *File) pickled(value any, o *objects, err error) error {
	if err == nil {
		f.root, err = newTree(o, value)
	}
	if err == nil && !f.root.holds {
		err = fmt.Errorf("no tensors in the file, which holds a %s", kindOf(value))
	}
	return err
}

// readZip reads a PyTorch file or a .npz file.
func (f *File) readZip(in *os.File, size int64) error {
	z, err := zip.NewReader(in, size)
	if err != nil {
		return fmt.Errorf("%w: the file begins like a PyTorch or NumPy file, and may have been cut short", err)
	}
	arrays := false
	for _, m := range z.File {
		arrays = arrays || strings.HasSuffix(m.Name, ".npy")
		if strings.HasSuffix(m.Name, "data.pkl") {
			if err := f.pickled(readTorchZip(z, size)); err != nil {
				return fmt.Errorf("PyTorch file: %w", err)
			}
			return nil
		}
	}
	if !arrays {
		return errors.New("a zip archive without data.pkl (PyTorch) or .npy members (NumPy)")
	}
	a, err := npz.Open(in.Name())
	if err != nil {
		return errors.Unwrap(err) // the path is said once
	}
	f.closers = append(f.closers, a)
	f.root = &node{}
	for _, name := range a.Names() {
		h, err := a.Header(name)
		if err != nil {
			f.root.children = append(f.root.children, &node{key: name, about: err.Error()})
			continue
		}
		f.root.add(name, &source{dtype: h.DType, shape: h.Shape, id: new(byte), read: func() (*tensor.Tensor, error) { return a.Read(name) }})
	}
	if !f.root.holds {
		return fmt.Errorf("no arrays of numbers: %s", f.root.children[0].about)
	}
	return nil
}

// add appends a tensor.
func (n *node) add(key string, s *source) {
	n.children = append(n.children, &node{key: key, tensor: s, holds: true})
	n.holds = true
}

// readObjectArray reads the pickle that np.save makes of a dictionary.
func (f *File) readObjectArray(in *os.File, size int64) error {
	var start [12]byte
	if _, err := in.ReadAt(start[:], 0); err != nil {
		return files.Early(err)
	}
	header := 10 + int64(start[8]) + int64(start[9])<<8
	if start[6] > 1 {
		header = 12 + int64(start[8]) + int64(start[9])<<8 + int64(start[10])<<16
	}
	text := make([]byte, min(header, 1<<12, size))
	if _, err := in.ReadAt(text, 0); err != nil {
		return files.Early(err)
	}
	if !bytes.Contains(text, []byte("'|O'")) || header >= size {
		return errors.New("a single NumPy array, want a file of named tensors")
	}
	return f.pickled(readPickle(io.NewSectionReader(in, header, size-header), size-header))
}

// IsFolder reports whether a folder holds weights as model hubs or PyTorch's
// distributed checkpoints lay them out. A run's checkpoint, with an optimiser's state
// beside the weights, is more than that.
func IsFolder(dir string) bool {
	_, err := weightsIn(dir)
	return err == nil && !files.IsRegular(filepath.Join(dir, "state.safetensors"))
}

// distributed is the file that describes a distributed checkpoint.
const distributed = ".metadata"

// hubFiles are the names under which model hubs keep weights, best first.
var hubFiles = []string{
	"model.safetensors", "model.safetensors.index.json", "diffusion_pytorch_model.safetensors",
	"diffusion_pytorch_model.safetensors.index.json",
	"pytorch_model.bin", "pytorch_model.bin.index.json", "diffusion_pytorch_model.bin", distributed,
}

func weightsIn(dir string) (string, error) {
	for _, name := range hubFiles {
		if path := filepath.Join(dir, name); files.IsRegular(path) {
			return path, nil
		}
	}
	for _, ending := range []string{"*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt"} {
		found, err := filepath.Glob(filepath.Join(files.Literal(dir), ending))
		if err == nil && len(found) == 1 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("a folder without weights, want one of %s", strings.Join(hubFiles, ", "))
}

func (f *File) openFolder(dir string) error {
	path, err := weightsIn(dir)
	if err != nil {
		return err
	}
	if filepath.Base(path) == distributed {
		return f.openDistributed(dir)
	}
	return f.open(path)
}
