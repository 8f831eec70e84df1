package interp

import (
	"fmt"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// blocks is how Gather sees memory: x is [before n after], and what is taken
// is [before indices after].
type blocks struct{ before, n, after int }

func newBlocks(x []int, axis int) blocks {
	return blocks{product(x[:axis]), x[axis], product(x[axis+1:])}
}

// each calls f with the offset of every block of what is taken and of the
// block of x that it belongs to.
func (b blocks) each(indices []int64, f func(taken, x int)) error {
	for _, at := range indices {
		if at < 0 || at >= int64(b.n) {
			return fmt.Errorf("index %d of %d elements", at, b.n)
		}
	}
	for i := range b.before {
		for j, at := range indices {
			f((i*len(indices)+j)*b.after, (i*b.n+int(at))*b.after)
		}
	}
	return nil
}

func takeAlong(c *call) ([]*tensor.Tensor, error) {
	x := c.in[0]
	b := newBlocks(x.Shape(), c.node.Attr().(graph.GatherAttr).Axis)
	out := tensor.New(x.DType(), c.shapes[0]...)
	indices := tensor.Data[int64](c.in[1])
	var err error
	switch src := x.Raw().(type) {
	case []float64:
		err = takeBlocks(floats(out), src, b, indices)
	case []int64:
		err = takeBlocks(tensor.Data[int64](out), src, b, indices)
	case []bool:
		err = takeBlocks(tensor.Data[bool](out), src, b, indices)
	}
	return []*tensor.Tensor{out}, err
}

func takeBlocks[T any](dst, src []T, b blocks, indices []int64) error {
	return b.each(indices, func(taken, x int) { copy(dst[taken:taken+b.after], src[x:x+b.after]) })
}

func addAlong(c *call) ([]*tensor.Tensor, error) {
	y := c.in[0]
	b := newBlocks(c.shapes[0], c.node.Attr().(graph.GatherAttr).Axis)
	out := tensor.New(y.DType(), c.shapes[0]...)
	indices := tensor.Data[int64](c.in[1])
	var err error
	if src, ok := y.Raw().([]int64); ok {
		err = addBlocks(tensor.Data[int64](out), src, b, indices)
	} else {
		err = addBlocks(floats(out), floats(y), b, indices)
	}
	return []*tensor.Tensor{out}, err
}

func addBlocks[T number](dst, src []T, b blocks, indices []int64) error {
	return b.each(indices, func(taken, x int) {
		for k, v := range src[taken : taken+b.after] {
			dst[x+k] += v
		}
	})
}

func iota64(c *call) ([]*tensor.Tensor, error) {
	out := tensor.New(tensor.Int64, c.shapes[0]...)
	start := tensor.Data[int64](c.in[0])[0]
	for i := range tensor.Data[int64](out) {
		tensor.Data[int64](out)[i] = start + int64(i)
	}
	return one(out)
}
