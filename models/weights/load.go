package weights

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// Load reads a file of weights: safetensors, PyTorch's .pt/.pth (zip or
// legacy) or NumPy's .npz, told apart by its content.
//
// Of a PyTorch checkpoint, the dictionary under state_dict, model_state_dict,
// model or net is taken, else the only one that holds tensors and is not an
// optimiser's or a schedule's by its name; names in nested dictionaries are
// joined with dots, and what is no tensor is left out. The prefixes "module."
// and "_orig_mod." are removed when all names have them, in every format.
func Load(path string) (*Set, error) { return LoadSection(path, "") }

// LoadSection is Load for a checkpoint with several dictionaries of tensors.
// The section is a path of keys such as "ema" or "trainer.ema". Only PyTorch
// files have sections.
func LoadSection(path, section string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := load(f, section)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func load(f *os.File, section string) (*Set, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	size := info.Size()
	start := make([]byte, 9)
	n, err := f.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	start = start[:n]
	var s *Set
	switch {
	case n == 9 && start[8] == '{': // a zip archive has its method there, 0 or 8
		if section != "" {
			return nil, fmt.Errorf("safetensors: no sections such as %q", section)
		}
		s, err = ReadSafetensors(f, size)
	case strings.HasPrefix(string(start), "PK"):
		s, err = loadZip(f, size, section)
	case n >= 2 && start[0] == 0x80:
		s, err = readTorchLegacy(f, size, section)
		if err != nil {
			err = fmt.Errorf("legacy PyTorch file: %w", err)
		}
	default:
		return nil, fmt.Errorf("file starts with %q, want a safetensors, PyTorch or .npz file", start)
	}
	if err != nil {
		return nil, err
	}
	return s.Unwrapped()
}

// loadZip reads a PyTorch file or a .npz file.
func loadZip(f *os.File, size int64, section string) (*Set, error) {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return nil, fmt.Errorf("%w: the file begins like a PyTorch or NumPy file, and may have been cut short", err)
	}
	arrays := false
	for _, m := range z.File {
		arrays = arrays || strings.HasSuffix(m.Name, ".npy")
		if strings.HasSuffix(m.Name, "data.pkl") {
			s, err := readTorchZip(z, size, section)
			if err != nil {
				return nil, fmt.Errorf("PyTorch file: %w", err)
			}
			return s, nil
		}
	}
	if !arrays {
		return nil, errors.New("a zip archive without data.pkl (PyTorch) or .npy members (NumPy)")
	}
	if section != "" {
		return nil, fmt.Errorf("npz: no sections such as %q", section)
	}
	return loadNpz(f.Name())
}

func loadNpz(path string) (*Set, error) {
	a, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	s := &Set{}
	for _, name := range a.Names() {
		t, err := a.Read(name)
		if err != nil {
			return nil, err
		}
		if err := s.Add(name, t); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Save writes a set in the format that the path's extension names:
// .safetensors, .pt or .pth (PyTorch's zip format), or .npz. The file is whole
// or absent. Equal sets give equal bytes. Only safetensors keeps the metadata,
// and .pt and .pth keep the order.
func Save(path string, s *Set) error {
	var write func(io.Writer, *Set) error
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".safetensors":
		write = WriteSafetensors
	case ".pt", ".pth":
		write = WriteTorch
	case ".npz":
		write = writeNpz
	default:
		return fmt.Errorf("%s: extension %q, want .safetensors, .pt, .pth or .npz", path, ext)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return write(w, s) })
}

func writeNpz(w io.Writer, s *Set) error {
	arrays := make(map[string]*tensor.Tensor, s.Len())
	for name, t := range s.All() {
		arrays[name] = t
	}
	return npz.Write(w, arrays, npz.Store)
}
