package weights

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// Load reads the state dictionary of a file of weights, see [Open] and [File.State].
func Load(path string) (*Set, error) { return LoadSection(path, "") }

// LoadSection is Load for a file with several dictionaries of tensors. The
// section is a path of keys such as "ema" or "trainer.ema", or what names begin with.
func LoadSection(path, section string) (*Set, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := f.State(section)
	if err != nil {
		return nil, err
	}
	return p.Read()
}

// SplitRef cuts FILE#PLACE into the path and the place; a path that exists is
// not cut.
func SplitRef(ref string) (path, place string) {
	if at := strings.LastIndexByte(ref, '#'); at > 0 {
		if _, err := os.Stat(ref); err != nil {
			return ref[:at], ref[at+1:]
		}
	}
	return ref, ""
}

// Save writes a set in the format that the path's extension names:
// .safetensors; .pt, .pth, .bin or .ckpt (PyTorch's zip format); .npz; or .pkl (a pickle
// of NumPy arrays by name). The file is whole or absent. Equal sets give equal bytes. Only
// safetensors keeps the metadata, and PyTorch's format and pickles keep the order.
func Save(path string, s *Set) error {
	var write func(io.Writer, *Set) error
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".safetensors":
		write = WriteSafetensors
	case ".pt", ".pth", ".bin", ".ckpt":
		write = WriteTorch
	case ".pkl":
		write = writePickle
	case ".npz":
		write = writeNpz
	default:
		return fmt.Errorf("%s: extension %q, want .safetensors, .pt, .pth, .bin, .ckpt, .npz or .pkl", path, ext)
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

// Unwrapped returns the set without the prefixes that PyTorch's wrappers put
// before all its names, "module." and others.
func (s *Set) Unwrapped() (*Set, error) {
	entries := make([]entry, len(s.names))
	for i, name := range s.names {
		entries[i].name = name
	}
	out := &Set{Metadata: s.Metadata}
	for i, name := range unwrapped(entries) {
		if err := out.Add(name, s.tensors[s.names[i]]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// LoadTensor reads a file that holds one tensor, such as torch.save writes of a batch.
func LoadTensor(path string) (*tensor.Tensor, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := f.root.tensor
	if s == nil && len(f.entries) == 1 {
		s = f.entries[0].source
	}
	switch {
	case s == nil:
		return nil, fmt.Errorf("%s: %d tensors, want one: %q", path, len(f.entries), few(f.groups()))
	case s.why != "":
		return nil, fmt.Errorf("%s: elements are %s, want real numbers of up to 64 bits", path, s.why)
	}
	t, err := s.read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}
