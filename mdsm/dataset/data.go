package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"ebm/models/tensor"
)

// Data are the x's that an energy is trained on: the pictures of a [Set], the
// rows of a tensor (see [Rows]), or anything of a program's own.
type Data interface {
	// Len returns their number.
	Len() int
	// Shape returns the shape of one x, such as [C H W].
	Shape() []int
	// Fill writes those with the given numbers into dst, [len(index) Shape…]
	// in row-major order. It may be called from several goroutines.
	Fill(dst []float32, index []int)
}

// Tensor returns the x's with the given numbers as float32
// [len(index) Shape…]; a nil index means all.
func Tensor(d Data, index []int) *tensor.Tensor {
	if index == nil {
		index = make([]int, d.Len())
		for i := range index {
			index[i] = i
		}
	}
	x := tensor.New(tensor.Float32, append([]int{len(index)}, d.Shape()...)...)
	d.Fill(tensor.Data[float32](x), index)
	return x
}

// Rows returns the rows of x [N …] as data: points [N D], or pictures
// [N C H W] that are float32 already. x is not copied. Another type than
// float32 and a tensor without rows are errors.
func Rows(x *tensor.Tensor) (Data, error) {
	if x.Rank() < 2 || x.Len() == 0 || x.DType() != tensor.Float32 {
		return nil, fmt.Errorf("data %v, want float32 of one row or more", x)
	}
	return rows{x}, nil
}

type rows struct{ x *tensor.Tensor }

func (r rows) Len() int     { return r.x.Shape()[0] }
func (r rows) Shape() []int { return r.x.Shape()[1:] }

func (r rows) Fill(dst []float32, index []int) {
	values, n := tensor.Data[float32](r.x), r.x.Len()/r.Len()
	for k, i := range index {
		copy(dst[k*n:(k+1)*n], values[i*n:(i+1)*n])
	}
}

// Hash returns the SHA-256, in hexadecimal, of the type, shape and values.
func (r rows) Hash() string {
	h := sha256.New()
	fmt.Fprintf(h, "%v\n", r.x)
	_ = binary.Write(h, binary.LittleEndian, tensor.Data[float32](r.x)) // a hash takes all
	return hex.EncodeToString(h.Sum(nil))
}

// Part returns the x's of d with the numbers from lo up to hi, as when some are
// held out of training to measure on. A range that is empty or not inside d is
// an error.
func Part(d Data, lo, hi int) (Data, error) {
	if lo < 0 || lo >= hi || hi > d.Len() {
		return nil, fmt.Errorf("data %d up to %d of %d, want one or more of them", lo, hi, d.Len())
	}
	return part{d, lo, hi}, nil
}

type part struct {
	Data
	lo, hi int
}

func (p part) Len() int { return p.hi - p.lo }

func (p part) Fill(dst []float32, index []int) {
	moved := make([]int, len(index))
	for k, i := range index {
		moved[k] = p.lo + i
	}
	p.Data.Fill(dst, moved)
}
