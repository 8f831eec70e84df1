package weights

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"ebm/internal/npz"
	"ebm/models/tensor"
)

const (
	// maxPickle bounds the part of a file that is not elements: thousands of
	// tensors take about a megabyte.
	maxPickle = 32 << 20
	// Tensors may take expandFree bytes, or expandRatio times the file's size.
	expandFree  = 256 << 20
	expandRatio = 8

	legacyMagic    = "1950a86a20f9469cfc6c"
	legacyProtocol = 1001
)

func newTorchFile(size int64) *torchFile {
	return &torchFile{storages: map[string]*torchStorage{}, allowed: max(expandFree, expandRatio*size)}
}

// unpickler returns an interpreter for a pickle of at most limit bytes.
func (f *torchFile) unpickler(r *bufio.Reader, limit int64) *unpickler {
	return &unpickler{r: r, left: limit, find: f.findGlobal, call: f.callGlobal, persist: f.findStorage}
}

// readTorchZip reads the format of PyTorch 1.6 and later: a zip archive with
// the members NAME/data.pkl and, for each storage, NAME/data/KEY.
func readTorchZip(z *zip.Reader, size int64, section string) (*Set, error) {
	members := map[string]*zip.File{}
	root, found := "", false
	for _, m := range z.File {
		if members[m.Name] != nil {
			return nil, fmt.Errorf("two members named %q", m.Name)
		}
		members[m.Name] = m
		if prefix, ok := strings.CutSuffix(m.Name, "data.pkl"); ok {
			if found {
				return nil, fmt.Errorf("both %q and %q", root+"data.pkl", m.Name)
			}
			root, found = prefix, true
		}
	}
	if !found {
		return nil, errors.New("no data.pkl among the members")
	}
	if members[root+"constants.pkl"] != nil {
		return nil, errors.New("the file is a TorchScript program; save the state_dict instead")
	}
	if m := members[root+"byteorder"]; m != nil {
		order, err := readMember(m, 16)
		if err != nil {
			return nil, err
		}
		if order := strings.TrimSpace(string(order)); order != "little" {
			return nil, fmt.Errorf("byte order is %q, want little", order)
		}
	}
	f := newTorchFile(size)
	value, err := f.unpickleMember(members[root+"data.pkl"])
	if err != nil {
		return nil, err
	}
	views, err := findTensors(value, section)
	if err != nil {
		return nil, err
	}
	return f.collect(views, func(s *torchStorage) error {
		m := members[root+"data/"+s.key]
		if m == nil {
			return fmt.Errorf("storage %q has no member %q", s.key, root+"data/"+s.key)
		}
		return f.readStorage(m, s, size)
	})
}

func (f *torchFile) unpickleMember(m *zip.File) (any, error) {
	if m.UncompressedSize64 > maxPickle {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are possible", m.Name, m.UncompressedSize64, maxPickle)
	}
	r, err := m.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	defer r.Close()
	value, err := f.unpickler(bufio.NewReader(r), int64(m.UncompressedSize64)).load()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	return value, nil
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
func (f *torchFile) readStorage(m *zip.File, s *torchStorage, fileSize int64) error {
	want := uint64(s.len) * uint64(s.dtype.Size())
	if m.UncompressedSize64 != want {
		return fmt.Errorf("%s has %d bytes, want %d for %d elements of %v", m.Name, m.UncompressedSize64, want, s.len, s.dtype)
	}
	known := int64(0)
	if m.Method == zip.Store && want <= uint64(fileSize) {
		known = fileSize
	}
	if f.allowed -= int64(want); f.allowed < 0 {
		return fmt.Errorf("%s: the storages expand to more than the file's size of %d bytes allows", m.Name, fileSize)
	}
	r, err := m.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	defer r.Close()
	if s.elements, err = npz.ReadElements(r, s.dtype, []int{int(s.len)}, known); err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	if n, err := r.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: end of the elements: %w", m.Name, errors.Join(err, zip.ErrFormat))
	}
	return nil
}

// readTorchLegacy reads the format before PyTorch 1.6: five pickles (a magic
// number, a version, facts about the machine, the value, the storages' keys)
// and then each storage as a 64-bit count and the elements.
func readTorchLegacy(r io.Reader, size int64, section string) (*Set, error) {
	f := newTorchFile(size)
	f.legacy = true
	u := f.unpickler(bufio.NewReaderSize(r, 1<<16), min(size, maxPickle))
	value, keys, err := readLegacyPickles(u)
	if err != nil {
		return nil, err
	}
	views, err := findTensors(value, section)
	if err != nil {
		return nil, err
	}
	wanted := map[*torchStorage]bool{}
	for _, v := range views {
		wanted[v.storage] = true
	}
	for _, key := range keys {
		s := f.storages[key]
		if s == nil || s.elements != nil {
			return nil, fmt.Errorf("elements of an unknown storage %.80q, or for the second time", key)
		}
		if err := readLegacyStorage(u.r, s, size, wanted[s]); err != nil {
			return nil, fmt.Errorf("storage %q: %w", key, err)
		}
	}
	return f.collect(views, func(s *torchStorage) error {
		return fmt.Errorf("storage %q is missing", s.key)
	})
}

func readLegacyPickles(u *unpickler) (value any, keys []string, err error) {
	magic, err := u.load()
	if err != nil {
		return nil, nil, fmt.Errorf("magic number: %w", err)
	}
	if n, ok := magic.(*big.Int); !ok || n.Text(16) != legacyMagic {
		return nil, nil, errors.New("the file is a pickle, but not one of PyTorch's")
	}
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

func readLegacyStorage(r io.Reader, s *torchStorage, size int64, wanted bool) error {
	var count [8]byte
	if _, err := io.ReadFull(r, count[:]); err != nil {
		return early(err)
	}
	if n := int64(binary.LittleEndian.Uint64(count[:])); n != s.len {
		return fmt.Errorf("%d elements, want %d", n, s.len)
	}
	if !wanted {
		s.elements = tensor.New(s.dtype, 0)
		_, err := io.CopyN(io.Discard, r, s.len*int64(s.dtype.Size()))
		return early(err)
	}
	if int64(int(s.len)) != s.len {
		return fmt.Errorf("%d elements are too many", s.len)
	}
	var err error
	s.elements, err = npz.ReadElements(r, s.dtype, []int{int(s.len)}, size)
	return err
}

// collect makes the tensors, reading the storages that are not there yet.
func (f *torchFile) collect(views []namedView, read func(*torchStorage) error) (*Set, error) {
	set := &Set{}
	for _, v := range views {
		if v.storage.elements == nil {
			if err := read(v.storage); err != nil {
				return nil, err
			}
		}
		t, err := f.materialise(v.torchTensor)
		if err != nil {
			return nil, fmt.Errorf("tensor %.80q: %w", v.name, err)
		}
		if err := set.Add(v.name, t); err != nil {
			return nil, err
		}
	}
	return set, nil
}
