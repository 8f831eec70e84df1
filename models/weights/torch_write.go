package weights

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strconv"

	"ebm/internal/npz"
	"ebm/models/tensor"
)

// torchAlignment is where PyTorch puts the elements of a storage, so that the
// file can be mapped into memory.
const torchAlignment = 64

// WriteTorch writes a set as a state dictionary in PyTorch's zip format, which
// torch.load opens with weights_only=True. The order of the tensors is kept;
// the metadata is not.
func WriteTorch(w io.Writer, s *Set) error {
	if err := writeTorch(w, s); err != nil {
		return fmt.Errorf("PyTorch file: %w", err)
	}
	return nil
}

func writeTorch(w io.Writer, s *Set) error {
	p, err := pickleState(s)
	if err != nil {
		return err
	}
	count := &counter{w: w}
	z := &torchZip{Writer: zip.NewWriter(count), count: count}
	if err := z.member("data.pkl", p); err != nil {
		return err
	}
	if err := z.member("byteorder", []byte("little")); err != nil {
		return err
	}
	for i, name := range s.names {
		if err := z.storage("data/"+strconv.Itoa(i), s.tensors[name]); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
	}
	if err := z.member("version", []byte("3\n")); err != nil {
		return err
	}
	return z.Close()
}

// counter counts the bytes that pass.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// torchZip writes uncompressed members whose contents are aligned. Their
// sizes and sums are in the local headers, where PyTorch's reader looks too.
type torchZip struct {
	*zip.Writer
	count *counter
}

func (z *torchZip) create(name string, size uint64, sum uint32) (io.Writer, error) {
	if err := z.Flush(); err != nil {
		return nil, err
	}
	name = "archive/" + name
	// 30 bytes of local header, the name, and an extra field of 4 bytes and padding.
	content := z.count.n + 30 + int64(len(name)) + 4
	padding := (torchAlignment - content%torchAlignment) % torchAlignment
	extra := binary.LittleEndian.AppendUint16([]byte("FB"), uint16(padding))
	return z.CreateRaw(&zip.FileHeader{
		Name: name, Method: zip.Store, CRC32: sum,
		CompressedSize64: size, UncompressedSize64: size,
		Extra: append(extra, make([]byte, padding)...),
	})
}

func (z *torchZip) member(name string, content []byte) error {
	w, err := z.create(name, uint64(len(content)), crc32.ChecksumIEEE(content))
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

func (z *torchZip) storage(name string, t *tensor.Tensor) error {
	size, err := npz.ByteSize(t.DType(), t.Shape())
	if err != nil {
		return err
	}
	if size >= math.MaxUint32 {
		return fmt.Errorf("%d bytes, want less than 4 GiB", size)
	}
	sum := crc32.NewIEEE()
	if err := npz.WriteElements(sum, t); err != nil {
		return err
	}
	w, err := z.create(name, uint64(size), sum.Sum32())
	if err != nil {
		return err
	}
	return npz.WriteElements(w, t)
}

// writePickle writes a set as a pickle of protocol 4: a dictionary from names to NumPy arrays,
// each a call of _reconstruct and its state (version, shape, type, order, bytes).
func writePickle(w io.Writer, s *Set) error {
	p := pickler{0x80, 4, '}', '('}
	for _, name := range s.names {
		t := s.tensors[name]
		descr, err := npz.FormatType(t.DType())
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		p.text(name)
		p.name("numpy.core.multiarray", "_reconstruct")
		p = append(p, '(')
		p.name("numpy", "ndarray")
		p = append(p, 'K', 0, 0x85, 'C', 1, 'b', 't', 'R', '(', 'K', 1)
		p.numbers(t.Shape())
		p.name("numpy", "dtype")
		p = append(p, '(')
		p.text(descr[1:])
		p = append(p, 0x89, 0x88, 't', 'R', '(', 'K', 3)
		p.text(descr[:1])
		p = append(p, 'N', 'N', 'N', 'J', 0xff, 0xff, 0xff, 0xff, 'J', 0xff, 0xff, 0xff, 0xff, 'K', 0, 't', 'b', 0x89, 0x8e)
		p = binary.LittleEndian.AppendUint64(p, uint64(t.Len()*t.DType().Size()))
		if _, err := w.Write(p); err != nil {
			return err
		}
		if err := npz.WriteElements(w, t); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		p = pickler{'t', 'b'}
	}
	_, err := w.Write(append(p, 'u', '.'))
	return err
}

// pickleState returns the pickle of an OrderedDict from names to calls of
// _rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict()), each
// tensor with a storage of its own.
func pickleState(s *Set) ([]byte, error) {
	p := pickler{0x80, 2}
	p.emptyDict()
	p = append(p, '(')
	for i, name := range s.names {
		t := s.tensors[name]
		class := ""
		for c, d := range storageTypes {
			if d == t.DType() {
				class = c
			}
		}
		p.text(name)
		p.name("torch._utils", "_rebuild_tensor_v2")
		p = append(p, '(', '(')
		p.text("storage")
		p.name("torch", class)
		p.text(strconv.Itoa(i))
		p.text("cpu")
		p.number(t.Len())
		p = append(p, 't', 'Q')
		p.number(0)
		p.numbers(t.Shape())
		p.numbers(strides(t.Shape()))
		p = append(p, 0x89)
		p.emptyDict()
		p = append(p, 't', 'R')
	}
	p = append(p, 'u', '.')
	if len(p) > maxPickle {
		return nil, fmt.Errorf("names and shapes take %d bytes, at most %d are possible", len(p), maxPickle)
	}
	return p, nil
}

// strides returns the row-major strides of a shape, in elements.
func strides(shape []int) []int {
	out := make([]int, len(shape))
	next := 1
	for i := len(shape) - 1; i >= 0; i-- {
		out[i] = next
		next *= max(shape[i], 1)
	}
	return out
}

// pickler appends operations of protocol 2.
type pickler []byte

func (p *pickler) name(module, name string) {
	*p = append(append(append(*p, 'c'), module...), '\n')
	*p = append(append(*p, name...), '\n')
}

func (p *pickler) emptyDict() {
	p.name("collections", "OrderedDict")
	*p = append(*p, ')', 'R')
}

func (p *pickler) text(text string) {
	*p = binary.LittleEndian.AppendUint32(append(*p, 'X'), uint32(len(text)))
	*p = append(*p, text...)
}

func (p *pickler) number(n int) {
	if n <= math.MaxInt32 {
		*p = binary.LittleEndian.AppendUint32(append(*p, 'J'), uint32(n))
		return
	}
	*p = binary.LittleEndian.AppendUint64(append(*p, 0x8a, 8), uint64(n))
}

func (p *pickler) numbers(ns []int) {
	*p = append(*p, '(')
	for _, n := range ns {
		p.number(n)
	}
	*p = append(*p, 't')
}
