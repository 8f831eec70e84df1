package weights

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"ebm/internal/files"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

const (
	// maxPickle bounds the part of a small file that is not elements: thousands
	// of tensors take about a megabyte.
	maxPickle = 32 << 20
	// Tensors may take expandFree bytes, or expandRatio times the file's size.
	expandFree  = 256 << 20
	expandRatio = 8
	// maxNested bounds files inside pickles inside files.
	maxNested = 3

	legacyMagic    = "1950a86a20f9469cfc6c"
	legacyProtocol = 1001
)

func newObjects(size int64) *objects {
	return &objects{storages: map[string]*storage{}, allowed: max(expandFree, expandRatio*size)}
}

// unpickler returns an interpreter for a pickle of at most limit bytes.
func (o *objects) unpickler(r *bufio.Reader, limit int64) *unpickler {
	return &unpickler{r: r, left: limit, call: o.call, build: o.build, persist: o.persist}
}

// readTorchZip reads the format of PyTorch 1.6 and later, and TorchScript's: a zip archive with
// the members NAME/data.pkl and, for each storage, NAME/data/KEY.
func readTorchZip(z *zip.Reader, size int64) (any, *objects, error) {
	members := map[string]*zip.File{}
	root, found := "", false
	for _, m := range z.File {
		if members[m.Name] != nil {
			return nil, nil, fmt.Errorf("two members named %q", m.Name)
		}
		members[m.Name] = m
		if prefix, ok := strings.CutSuffix(m.Name, "data.pkl"); ok {
			if found {
				return nil, nil, fmt.Errorf("both %q and %q", root+"data.pkl", m.Name)
			}
			root, found = prefix, true
		}
	}
	if m := members[root+"byteorder"]; m != nil {
		order, err := readMember(m, 16)
		if err != nil {
			return nil, nil, err
		}
		if order := strings.TrimSpace(string(order)); order != "little" {
			return nil, nil, fmt.Errorf("byte order is %q, want little", order)
		}
	}
	m := members[root+"data.pkl"]
	if m == nil {
		return nil, nil, errors.New("no data.pkl among the members")
	}
	limit := max(maxPickle, size)
	if m.UncompressedSize64 > uint64(limit) {
		return nil, nil, fmt.Errorf("%s has %d bytes, at most %d are possible", m.Name, m.UncompressedSize64, limit)
	}
	r, err := m.Open()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	defer r.Close()
	o := newObjects(size)
	value, err := o.unpickler(bufio.NewReader(r), int64(m.UncompressedSize64)).load()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	for key, s := range o.storages {
		name := root + "data/" + key
		s.open = func() (*tensor.Tensor, error) {
			if m := members[name]; m != nil {
				return o.readStorage(m, s, size)
			}
			return nil, fmt.Errorf("storage %q has no member %q", key, name)
		}
	}
	return value, o, nil
}

// readMember reads a small member.
func readMember(m *zip.File, limit int64) ([]byte, error) {
	r, err := m.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	return data, nil
}

// readStorage reads a storage's elements and, by reading to the end, checks
// their sum.
func (o *objects) readStorage(m *zip.File, s *storage, fileSize int64) (*tensor.Tensor, error) {
	want := uint64(s.len) * uint64(s.size)
	if m.UncompressedSize64 != want {
		return nil, fmt.Errorf("%s has %d bytes, want %d for %d elements of %v", m.Name, m.UncompressedSize64, want, s.len, s.dtype)
	}
	known := int64(0)
	if m.Method == zip.Store && want <= uint64(fileSize) {
		known = fileSize
	}
	if o.allowed -= int64(want); o.allowed < 0 {
		return nil, fmt.Errorf("%s: the storages expand to more than the file's size of %d bytes allows", m.Name, fileSize)
	}
	r, err := m.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	defer r.Close()
	elements, err := npz.ReadElements(r, s.dtype, []int{int(s.len)}, known)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	if n, err := r.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: end of the elements: %w", m.Name, errors.Join(err, zip.ErrFormat))
	}
	return elements, nil
}

// readPickle reads a file that begins with a pickle: the format of PyTorch
// before 1.6, which is five pickles (a magic number, a version, facts about the
// machine, the value, the storages' keys) and then each storage as a 64-bit
// count and the elements; or any other pickle, which is the value.
func readPickle(r io.ReaderAt, size int64) (any, *objects, error) {
	o := newObjects(size)
	value, err := o.readPickle(r, size)
	return value, o, err
}

func (o *objects) readPickle(r io.ReaderAt, size int64) (any, error) {
	u := o.unpickler(bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 1<<16), size)
	first, err := u.load()
	if err != nil {
		return nil, fmt.Errorf("pickle: %w", err)
	}
	if n, ok := first.(*big.Int); !ok || n.Text(16) != legacyMagic {
		return first, nil
	}
	value, keys, err := readLegacyPickles(u)
	if err != nil {
		return nil, fmt.Errorf("legacy PyTorch file: %w", err)
	}
	at := size - u.left
	for _, key := range keys {
		if at, err = o.placeStorage(r, key, at, size); err != nil {
			return nil, fmt.Errorf("legacy PyTorch file: storage %.80q: %w", key, err)
		}
	}
	return value, nil
}

// nestedFile reads a file inside a pickle: how a plain pickle keeps a storage.
func (o *objects) nestedFile(data []byte) (any, error) {
	inner := &objects{storages: map[string]*storage{}, nested: o.nested + 1, allowed: o.allowed}
	if inner.nested > maxNested {
		return nil, fmt.Errorf("files are nested more than %d deep", maxNested)
	}
	return inner.readPickle(bytes.NewReader(data), int64(len(data)))
}

func readLegacyPickles(u *unpickler) (value any, keys []string, err error) {
	version, err := u.load()
	if err != nil {
		return nil, nil, fmt.Errorf("version: %w", err)
	}
	if version != int64(legacyProtocol) {
		return nil, nil, fmt.Errorf("version is %s, want %d", brief(version), legacyProtocol)
	}
	system, err := u.load()
	if err != nil {
		return nil, nil, fmt.Errorf("system: %w", err)
	}
	if d, ok := system.(*dict); !ok || d.get("little_endian") != true {
		return nil, nil, errors.New("the file was not written by a little-endian machine")
	}
	if value, err = u.load(); err != nil {
		return nil, nil, fmt.Errorf("pickle: %w", err)
	}
	names, err := u.load()
	if err != nil {
		return nil, nil, fmt.Errorf("keys of the storages: %w", err)
	}
	l, ok := names.(*list)
	if !ok {
		return nil, nil, fmt.Errorf("keys of the storages are a %s, want a list", kindOf(names))
	}
	for _, item := range l.items {
		key, ok := item.(string)
		if !ok {
			return nil, nil, fmt.Errorf("key of a storage is a %s, want a text", kindOf(item))
		}
		keys = append(keys, key)
	}
	return value, keys, nil
}

// placeStorage notes where a storage's elements are and returns where they end.
func (o *objects) placeStorage(r io.ReaderAt, key string, at, size int64) (int64, error) {
	s := o.storages[key]
	if s == nil || s.open != nil {
		return 0, errors.New("unknown, or for the second time")
	}
	var count [8]byte
	if _, err := r.ReadAt(count[:], at); err != nil {
		return 0, files.Early(err)
	}
	if n := int64(binary.LittleEndian.Uint64(count[:])); n != s.len {
		return 0, fmt.Errorf("%d elements, want %d", n, s.len)
	}
	if s.size == 0 {
		return 0, fmt.Errorf("elements of the class %s have an unknown size", s.class)
	}
	at += 8
	bytes := s.len * int64(s.size)
	if bytes > size-at {
		return 0, io.ErrUnexpectedEOF
	}
	start := at
	s.open = func() (*tensor.Tensor, error) {
		return npz.ReadElements(io.NewSectionReader(r, start, bytes), s.dtype, []int{int(s.len)}, size)
	}
	return at + bytes, nil
}
