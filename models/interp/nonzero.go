package interp

import (
	"ebm/models/graph"
	"ebm/models/tensor"
)

// count enters the number of elements that a NonZero finds as the size of its symbol,
// before shapes are looked at.
func count(n *graph.Node, x *tensor.Tensor, sizes map[string]int) {
	found := 0
	for i := range x.Len() {
		if truth(x, i) {
			found++
		}
	}
	sizes[n.Attr().(graph.NonZeroAttr).Count] = found
}

// truth reports whether element i of x is true or not 0.
func truth(x *tensor.Tensor, i int) bool {
	switch data := x.Raw().(type) {
	case []bool:
		return data[i]
	case []int64:
		return data[i] != 0
	case []float64:
		return data[i] != 0
	}
	return false
}

func nonZero(c *call) ([]*tensor.Tensor, error) {
	x, out := c.in[0], tensor.New(tensor.Int64, c.shapes[0]...)
	columns, column := c.shapes[0][1], 0
	for i := range x.Len() {
		if !truth(x, i) {
			continue
		}
		rest := i
		for axis := x.Rank() - 1; axis >= 0; axis-- {
			tensor.Data[int64](out)[axis*columns+column] = int64(rest % x.Shape()[axis])
			rest /= x.Shape()[axis]
		}
		column++
	}
	return one(out)
}
