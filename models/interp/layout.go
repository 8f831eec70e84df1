package interp

import (
	"fmt"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// view is a walk over a row-major array: the element at index (i₀ i₁ …) of
// shape stands at offset base + Σ strides·i. Strides of 0 repeat elements.
type view struct {
	shape, strides []int
	base           int
}

// rows visits the view row by row along its last axis: the row that starts
// at position pos of the row-major order of the view holds the n elements
// from offset off in steps of stride.
func (v view) rows(visit func(pos, off, n, stride int)) {
	rank := len(v.shape)
	if tensor.Volume(v.shape) == 0 {
		return
	}
	if rank == 0 {
		visit(0, v.base, 1, 0)
		return
	}
	n, stride := v.shape[rank-1], v.strides[rank-1]
	index := make([]int, rank-1)
	off := v.base
	for pos := 0; ; pos += n {
		visit(pos, off, n, stride)
		axis := rank - 2
		for ; axis >= 0; axis-- {
			index[axis]++
			off += v.strides[axis]
			if index[axis] < v.shape[axis] {
				break
			}
			off -= index[axis] * v.strides[axis]
			index[axis] = 0
		}
		if axis < 0 {
			return
		}
	}
}

// rowMajor returns the strides of a shape in row-major order.
func rowMajor(shape []int) []int {
	strides := make([]int, len(shape))
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = step
		step *= shape[i]
	}
	return strides
}

// gather returns the elements of src that a view of it shows.
func gather(src *tensor.Tensor, v view) *tensor.Tensor {
	dst := tensor.New(src.DType(), v.shape...)
	switch s := src.Raw().(type) {
	case []float64:
		gatherRows(floats(dst), s, v)
	case []int64:
		gatherRows(tensor.Data[int64](dst), s, v)
	case []bool:
		gatherRows(tensor.Data[bool](dst), s, v)
	}
	return dst
}

func gatherRows[T any](dst, src []T, v view) {
	v.rows(func(pos, off, n, stride int) {
		for i := range dst[pos : pos+n] {
			dst[pos+i] = src[off+i*stride]
		}
	})
}

// scatter writes the elements of src to where a view of dst shows them.
func scatter(dst, src *tensor.Tensor, v view) {
	switch d := dst.Raw().(type) {
	case []float64:
		scatterRows(d, floats(src), v)
	case []int64:
		scatterRows(d, tensor.Data[int64](src), v)
	case []bool:
		scatterRows(d, tensor.Data[bool](src), v)
	}
}

func scatterRows[T any](dst, src []T, v view) {
	v.rows(func(pos, off, n, stride int) {
		for i, x := range src[pos : pos+n] {
			dst[off+i*stride] = x
		}
	})
}

func transpose(c *call) ([]*tensor.Tensor, error) {
	strides := rowMajor(c.in[0].Shape())
	v := view{shape: c.shapes[0]}
	for _, axis := range c.node.Attr().(graph.AxesAttr).Axes {
		v.strides = append(v.strides, strides[axis])
	}
	return one(gather(c.in[0], v))
}

func broadcast(c *call) ([]*tensor.Tensor, error) {
	from := c.in[0].Shape()
	lead := len(c.shapes[0]) - len(from)
	v := view{shape: c.shapes[0], strides: make([]int, len(c.shapes[0]))}
	for i, stride := range rowMajor(from) {
		if from[i] == v.shape[lead+i] { // else it is 1 and repeats
			v.strides[lead+i] = stride
		}
	}
	return one(gather(c.in[0], v))
}

func slice(c *call) ([]*tensor.Tensor, error) {
	a := c.node.Attr().(graph.SliceAttr)
	starts, err := a.Starts.Bind(c.sizes)
	if err != nil {
		return nil, err
	}
	limits, err := a.Limits.Bind(c.sizes)
	if err != nil {
		return nil, err
	}
	v := view{shape: c.shapes[0], strides: rowMajor(c.in[0].Shape())}
	for i, axis := range a.Axes {
		if n := c.in[0].Shape()[axis]; starts[i] < 0 || limits[i] < starts[i] || limits[i] > n {
			return nil, fmt.Errorf("a slice from %d to %d of %d elements along axis %d", starts[i], limits[i], n, axis)
		}
		v.base += starts[i] * v.strides[axis]
		v.strides[axis] *= a.Steps[i]
	}
	return one(gather(c.in[0], v))
}

func pad(c *call) ([]*tensor.Tensor, error) {
	a := c.node.Attr().(graph.PadAttr)
	lo, err := a.Lo.Bind(c.sizes)
	if err != nil {
		return nil, err
	}
	v := view{shape: c.in[0].Shape(), strides: rowMajor(c.shapes[0])}
	for i := range v.strides {
		v.base += lo[i] * v.strides[i]
		v.strides[i] *= a.Between[i] + 1
	}
	out := tensor.New(c.in[0].DType(), c.shapes[0]...)
	scatter(out, c.in[0], v)
	return one(out)
}

func concat(c *call) ([]*tensor.Tensor, error) {
	axis := c.node.Attr().(graph.AxesAttr).Axes[0]
	out := tensor.New(c.in[0].DType(), c.shapes[0]...)
	v := view{strides: rowMajor(c.shapes[0])}
	for _, x := range c.in {
		v.shape = x.Shape()
		scatter(out, x, v)
		v.base += x.Shape()[axis] * v.strides[axis]
	}
	return one(out)
}
