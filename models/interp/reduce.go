package interp

import (
	"math"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// reduction returns where each element of the operand goes in the result.
func reduction(c *call) view {
	shape := c.in[0].Shape()
	v := view{shape: shape, strides: make([]int, len(shape))}
	kept := rowMajor(c.shapes[0])
	axes := c.node.Attr().(graph.AxesAttr).Axes
	for i := range shape {
		if len(axes) > 0 && axes[0] == i {
			axes = axes[1:]
			continue
		}
		v.strides[i] = kept[0]
		kept = kept[1:]
	}
	return v
}

func reduceSum(c *call) ([]*tensor.Tensor, error) {
	out := tensor.New(c.in[0].DType(), c.shapes[0]...)
	if x, ok := c.in[0].Raw().([]int64); ok {
		fold(tensor.Data[int64](out), x, reduction(c), add)
	} else {
		fold(floats(out), floats(c.in[0]), reduction(c), add)
	}
	return one(out)
}

// reduceMax starts from the least value, which is also the maximum of
// nothing.
func reduceMax(c *call) ([]*tensor.Tensor, error) {
	out := tensor.New(c.in[0].DType(), c.shapes[0]...)
	if x, ok := c.in[0].Raw().([]int64); ok {
		y := tensor.Data[int64](out)
		fill(y, math.MinInt64)
		fold(y, x, reduction(c), larger)
	} else {
		y := floats(out)
		fill(y, math.Inf(-1))
		fold(y, floats(c.in[0]), reduction(c), larger)
	}
	return one(out)
}

func fill[T any](dst []T, v T) {
	for i := range dst {
		dst[i] = v
	}
}

// fold combines every element of src into the one of dst that a view shows.
func fold[T any](dst, src []T, v view, f func(a, b T) T) {
	v.rows(func(pos, off, n, stride int) {
		for i, x := range src[pos : pos+n] {
			dst[off+i*stride] = f(dst[off+i*stride], x)
		}
	})
}

func matMul(c *call) ([]*tensor.Tensor, error) {
	a, b := c.in[0], c.in[1]
	rank := a.Rank()
	m, k, n := a.Shape()[rank-2], a.Shape()[rank-1], b.Shape()[rank-1]
	out := tensor.New(a.DType(), c.shapes[0]...)
	if x, ok := a.Raw().([]int64); ok {
		matMulRows(tensor.Data[int64](out), x, tensor.Data[int64](b), m, k, n)
	} else {
		matMulRows(floats(out), floats(a), floats(b), m, k, n)
	}
	return one(out)
}

func matMulRows[T number](out, a, b []T, m, k, n int) {
	if len(out) == 0 {
		return
	}
	parallel(len(out)/n, k*n, func(row int) {
		y := out[row*n : (row+1)*n]
		batch := row / m
		for i, v := range a[row*k : (row+1)*k] {
			for j, w := range b[(batch*k+i)*n : (batch*k+i+1)*n] {
				y[j] += v * w
			}
		}
	})
}
