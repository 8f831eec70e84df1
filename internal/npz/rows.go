package npz

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"ebm/models/tensor"
)

// RowWriter writes a .npy file row by row, where a row is one index of the
// first axis. The number of rows is entered when the writer is closed.
type RowWriter struct {
	w      io.WriteSeeker
	start  int64 // offset of the file's first byte
	room   int   // bytes of the header
	header Header
}

// NewRowWriter starts an array of rows of one type and shape at w's current
// position. Until Close the file says that it has no rows.
func NewRowWriter(w io.WriteSeeker, dtype tensor.DType, rowShape ...int) (*RowWriter, error) {
	start, err := w.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	if _, err := ByteSize(dtype, rowShape); err != nil {
		return nil, fmt.Errorf("npy: row: %w", err)
	}
	shape := append([]int{0}, rowShape...)
	r := &RowWriter{w: w, start: start, header: Header{DType: dtype, Shape: shape}}
	// Room for any number of rows.
	header, err := appendHeader(r.header, 0)
	if err != nil {
		return nil, err
	}
	unpadded := len(fmt.Sprint(math.MaxInt)) + len(trimmed(header))
	if header, err = appendHeader(r.header, unpadded); err != nil {
		return nil, err
	}
	r.room = len(header)
	if _, err := w.Write(header); err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	return r, nil
}

// trimmed returns a header without its padding.
func trimmed(header []byte) []byte {
	return header[:slices.Index(header, '}')+2]
}

// Rows returns the number of rows written so far.
func (r *RowWriter) Rows() int { return r.header.Shape[0] }

// Write appends the rows of t, whose shape is [rows, row shape…].
func (r *RowWriter) Write(t *tensor.Tensor) error {
	row := r.header.Shape[1:]
	if t.DType() != r.header.DType || t.Rank() != len(row)+1 || !slices.Equal(t.Shape()[1:], row) {
		return fmt.Errorf("npy: cannot append %v to rows of %v%v", t, r.header.DType, row)
	}
	if err := WriteElements(r.w, t); err != nil {
		return fmt.Errorf("npy: row %d: %w", r.Rows(), err)
	}
	r.header.Shape[0] += t.Shape()[0]
	return nil
}

// Close enters the number of rows and leaves w, which it does not close, at
// the end of the array.
func (r *RowWriter) Close() error {
	header, err := appendHeader(r.header, r.room)
	if err != nil {
		return err
	}
	if _, err := r.w.Seek(r.start, io.SeekStart); err != nil {
		return fmt.Errorf("npy: %w", err)
	}
	if _, err := r.w.Write(header); err != nil {
		return fmt.Errorf("npy: %w", err)
	}
	if _, err := r.w.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("npy: %w", err)
	}
	return nil
}

// ErrScattered says that an array has no rows that follow one another.
var ErrScattered = errors.New("rows are scattered in Fortran order")

// RowReader reads an array of at least one axis row by row.
type RowReader struct {
	Header // of the whole array

	r      io.Reader
	closer io.Closer
	size   int64 // bytes that r is known to hold
	whole  bool  // whether r ends with the array and is to be checked there
	next   int
}

// newRowReader reads the header of a .npy file that ends with its rows. Arrays without
// axes, and Fortran order with more than one, are errors.
func newRowReader(r io.Reader, closer io.Closer, size int64) (*RowReader, error) {
	h, err := ReadHeader(r)
	if err != nil {
		return nil, err
	}
	if len(h.Shape) == 0 {
		return nil, fmt.Errorf("npy: a single %v has no rows", h.DType)
	}
	if h.Fortran && len(h.Shape) > 1 {
		return nil, fmt.Errorf("npy: %w: %v%v", ErrScattered, h.DType, h.Shape)
	}
	return &RowReader{Header: h, r: h.order(r), closer: closer, size: size, whole: true}, nil
}

// Next returns the next rows, at most n of them and fewer only at the end, as
// a tensor of shape [rows, row shape…]. After the last row it returns io.EOF.
// The last rows of what [OpenRows] opened come when the file's sum is checked,
// so that numbers of a damaged file never all arrive. It panics unless n > 0.
func (r *RowReader) Next(n int) (*tensor.Tensor, error) {
	if n <= 0 {
		panic(fmt.Sprintf("npz: Next of %d rows", n))
	}
	n = min(n, r.Shape[0]-r.next)
	if n == 0 {
		return nil, cmp.Or(r.check(), io.EOF)
	}
	shape := append([]int{n}, r.Shape[1:]...)
	t, err := ReadElements(r.r, r.DType, shape, r.size)
	if err != nil {
		return nil, fmt.Errorf("npy: rows %d to %d of %d: %w", r.next, r.next+n-1, r.Shape[0], err)
	}
	r.next += n
	if r.next == r.Shape[0] {
		if err := r.check(); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// check reads on to the end of a file, where an archive's sum is compared, once.
func (r *RowReader) check() error {
	if !r.whole {
		return nil
	}
	raw := r.r
	if t, ok := raw.(turned); ok {
		raw = t.r
	}
	if err := atEnd(raw); err != nil {
		return fmt.Errorf("npy: after %d rows: %w", r.Shape[0], err)
	}
	r.whole = false
	return nil
}

// Close closes the file that [OpenRows] opened.
func (r *RowReader) Close() error {
	if r.closer == nil {
		return nil
	}
	return r.closer.Close()
}
