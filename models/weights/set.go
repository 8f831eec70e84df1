package weights

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"iter"
	"maps"
	"slices"
	"unicode/utf8"

	"ebm/internal/npz"
	"ebm/models/tensor"
)

// Set is an ordered collection of named tensors. The zero value is empty and
// ready for use.
type Set struct {
	// Metadata is free text about the set, such as {"format": "pt"}. Only
	// safetensors files keep it. It may be nil.
	Metadata map[string]string

	names   []string
	tensors map[string]*tensor.Tensor
}

// Add appends a tensor, which is not copied. It is an error when the name is
// taken, empty, not valid UTF-8 or longer than 64 KiB.
func (s *Set) Add(name string, t *tensor.Tensor) error {
	switch _, taken := s.tensors[name]; {
	case taken:
		return fmt.Errorf("two tensors named %q", name)
	case name == "" || len(name) >= 1<<16 || !utf8.ValidString(name):
		return fmt.Errorf("tensor name %.40q of %d bytes, want 1 to 65535 bytes of UTF-8", name, len(name))
	}
	if s.tensors == nil {
		s.tensors = map[string]*tensor.Tensor{}
	}
	s.tensors[name] = t
	s.names = append(s.names, name)
	return nil
}

// Get returns the tensor of a name.
func (s *Set) Get(name string) (*tensor.Tensor, bool) {
	t, ok := s.tensors[name]
	return t, ok
}

// Len returns the number of tensors.
func (s *Set) Len() int { return len(s.names) }

// Names returns the names in order.
func (s *Set) Names() []string { return slices.Clone(s.names) }

// Tensors returns the tensors by name, which energy.Weights may be made of.
func (s *Set) Tensors() map[string]*tensor.Tensor { return maps.Collect(s.All()) }

// All returns the names and tensors in order.
func (s *Set) All() iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for _, name := range s.names {
			if !yield(name, s.tensors[name]) {
				return
			}
		}
	}
}

// Hash returns the SHA-256 of the tensors as 64 hexadecimal digits. It covers,
// for each tensor in the order of the names: the name, the type's name, the
// dimensions and the elements as little-endian bytes, where texts are preceded
// by their length and dimensions by their number, all as 64-bit little-endian
// numbers. Order and metadata do not matter.
func (s *Set) Hash() string {
	h := sha256.New()
	for _, name := range slices.Sorted(slices.Values(s.names)) {
		t := s.tensors[name]
		hashText(h, name)
		hashText(h, t.DType().String())
		hashNumber(h, t.Rank())
		for _, d := range t.Shape() {
			hashNumber(h, d)
		}
		// A hash never fails to write, and every tensor has a known type.
		_ = npz.WriteElements(h, t)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// HashKey is the metadata entry of a safetensors file that has the [Set.Hash]
// of its tensors. Reading the whole file compares it, and leaves it out.
const HashKey = "tensors_sha256"

// Seal enters the hash of the tensors into the metadata, for files whose bytes
// are to be checked when they are read.
func (s *Set) Seal() {
	if s.Metadata == nil {
		s.Metadata = make(map[string]string)
	}
	s.Metadata[HashKey] = s.Hash()
}

// unseal compares the tensors with the metadata's hash, if it has one.
func (s *Set) unseal() error {
	want, ok := s.Metadata[HashKey]
	if !ok {
		return nil
	}
	if got := s.Hash(); got != want {
		return fmt.Errorf("the file is damaged: its tensors have the SHA-256 %.16s…, want %.16s… as its metadata say", got, want)
	}
	s.Metadata = maps.Clone(s.Metadata)
	delete(s.Metadata, HashKey)
	return nil
}

func hashText(h hash.Hash, text string) {
	hashNumber(h, len(text))
	_, _ = io.WriteString(h, text)
}

func hashNumber(h hash.Hash, n int) {
	_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}
