package weights

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"ebm/internal/files"
	"ebm/models/tensor"
)

// A checkpoint of torch.distributed.checkpoint is a folder: the pickle .metadata, a
// torch.distributed.checkpoint.metadata.Metadata with the attributes
//
//	state_dict_metadata   name → size, properties (element type), chunks (offsets, sizes)
//	storage_data          (fqn, offset) → relative_path, offset, length
//
// and files in which each chunk of a tensor is a whole PyTorch file from offset on.

// chunk is a part of a tensor, some of its rows, and where it lies.
type chunk struct {
	path           string
	row            int64 // the first
	offset, length int64
}

// openDistributed reads a distributed checkpoint. Tensors may be cut into rows, as
// FSDP does.
func (f *File) openDistributed(dir string) error {
	in, err := files.Open(filepath.Join(dir, distributed))
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	value, _, err := readPickle(in, info.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", distributed, err)
	}
	described, stored := attribute[*dict](value, "state_dict_metadata"), attribute[*dict](value, "storage_data")
	if described == nil || stored == nil {
		return fmt.Errorf("%s: a %s, want the metadata of a distributed checkpoint", distributed, kindOf(value))
	}
	chunks := map[string][]chunk{}
	for i, key := range stored.keys {
		c := chunk{path: attribute[string](stored.values[i], "relative_path")}
		name := attribute[string](key, "fqn")
		c.offset, c.length = attribute[int64](stored.values[i], "offset"), attribute[int64](stored.values[i], "length")
		if at, ok := wholeNumbers(attribute[any](key, "offset")); ok && len(at) > 0 {
			c.row = at[0]
			if slices.Max(append(at[1:], 0)) > 0 {
				c.path = "" // columns
			}
		}
		if c.offset < 0 || c.length < 0 {
			return fmt.Errorf("%s: %q at %d with %d bytes", distributed, name, c.offset, c.length)
		}
		chunks[name] = append(chunks[name], c)
	}
	f.root = &node{}
	for i, key := range described.keys {
		name, _ := key.(string)
		shape, ok := wholeNumbers(attribute[any](described.values[i], "size"))
		if !ok || name == "" {
			f.root.children = append(f.root.children, &node{key: name, about: kindOf(described.values[i])})
			continue
		}
		s := &source{id: new(byte), dtype: elementType(attribute[any](described.values[i], "properties"))}
		for _, d := range shape {
			s.shape = append(s.shape, int(d))
		}
		if s.dtype == tensor.Invalid {
			s.why = "of a type that is unknown"
		}
		s.read = func() (*tensor.Tensor, error) { return readChunks(dir, chunks[name], s.shape) }
		f.root.add(name, s)
	}
	if !f.root.holds {
		return errors.New("a distributed checkpoint without tensors")
	}
	return nil
}

// attribute returns an attribute of an object, or the zero value.
func attribute[T any](value any, name string) (v T) {
	if o, ok := value.(*object); ok {
		state, _ := o.state.(*dict)
		v, _ = state.get(name).(T)
	}
	return v
}

// elementType finds torch.float32 and its like among a tensor's properties.
func elementType(properties any) tensor.DType {
	o, _ := properties.(*object)
	if o == nil {
		return tensor.Invalid
	}
	var values []any
	switch s := o.state.(type) {
	case tuple:
		values = s
	case *dict:
		values = s.values
	}
	for _, v := range values {
		if g, ok := v.(global); ok && g.module == "torch" {
			for d := range maps.Values(storageTypes) {
				if d.String() == g.name {
					return d
				}
			}
		}
	}
	return tensor.Invalid
}

// readChunks reads a tensor's chunks and joins their rows.
func readChunks(dir string, chunks []chunk, shape []int) (*tensor.Tensor, error) {
	slices.SortFunc(chunks, func(a, b chunk) int { return int(a.row - b.row) })
	var parts []*tensor.Tensor
	rows := 0
	for _, c := range chunks {
		if !filepath.IsLocal(c.path) {
			return nil, fmt.Errorf("chunk in %q, want rows of the tensor in a file of the checkpoint", c.path)
		}
		t, err := readChunk(filepath.Join(dir, c.path), c)
		if err != nil {
			return nil, fmt.Errorf("%s at %d: %w", c.path, c.offset, err)
		}
		if t.Rank() != len(shape) || len(parts) > 0 && t.DType() != parts[0].DType() || len(shape) > 0 &&
			(int64(rows) != c.row || !slices.Equal(t.Shape()[1:], shape[1:])) {
			return nil, fmt.Errorf("%s: chunk %v from row %d does not continue %v", c.path, t, c.row, shape)
		}
		parts = append(parts, t)
		if len(shape) > 0 {
			rows += t.Shape()[0]
		}
	}
	if len(parts) == 0 || len(shape) > 0 && rows != shape[0] || len(shape) == 0 && len(parts) > 1 {
		return nil, fmt.Errorf("%d chunks with %d rows, want %v", len(parts), rows, shape)
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return tensor.Concat(parts...), nil
}

func readChunk(path string, c chunk) (*tensor.Tensor, error) {
	in, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	z, err := zip.NewReader(io.NewSectionReader(in, c.offset, c.length), c.length)
	if err != nil {
		return nil, err
	}
	value, o, err := readTorchZip(z, c.length)
	if err != nil {
		return nil, err
	}
	v, ok := value.(*view)
	if !ok || v.why != "" {
		return nil, fmt.Errorf("a %s, want a tensor", kindOf(value))
	}
	return o.source(v).read()
}
