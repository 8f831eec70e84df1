package interp

import (
	"cmp"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// topK sorts the indices along an axis.
func topK(c *call) ([]*tensor.Tensor, error) {
	out := tensor.New(tensor.Int64, c.shapes[0]...)
	x, a := c.in[0], c.node.Attr().(graph.TopKAttr)
	b, k := newBlocks(x.Shape(), a.Axis), out.Shape()[a.Axis]
	compare := func(i, j int) int { return 0 }
	switch data := x.Raw().(type) {
	case []float64:
		compare = func(i, j int) int { return cmp.Compare(data[i], data[j]) }
	case []int64:
		compare = func(i, j int) int { return cmp.Compare(data[i], data[j]) }
	}
	order := make([]int, b.n)
	for i := range b.before {
		for after := range b.after {
			place := func(along int) int { return (i*b.n+along)*b.after + after }
			for j := range order {
				order[j] = j
			}
			slices.SortStableFunc(order, func(p, q int) int {
				if a.Smallest {
					p, q = q, p
				}
				return compare(place(q), place(p))
			})
			for j, along := range order[:k] {
				tensor.Data[int64](out)[(i*k+j)*b.after+after] = int64(along)
			}
		}
	}
	return one(out)
}
