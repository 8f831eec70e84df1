package interp

import (
	"fmt"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// count enters the length that the operand x says as the size of n's symbol, before
// shapes are looked at.
func count(n *graph.Node, x *tensor.Tensor, sizes map[string]int) error {
	const most = 1 << 31
	found := 0
	switch n.Op() {
	case graph.OpNonZero:
		for i := range x.Len() {
			if truth(x, i) {
				found++
			}
		}
	case graph.OpRange:
		if found = max(0, int(tensor.Data[int64](x)[0])); found > most {
			return fmt.Errorf("a size of %d, want at most %d", found, most)
		}
	default:
		return nil
	}
	sizes[n.Attr().(graph.CountAttr).Count] = found
	return nil
}

func indices(c *call) ([]*tensor.Tensor, error) {
	out := tensor.New(tensor.Int64, c.shapes[0]...)
	for i := range tensor.Data[int64](out) {
		tensor.Data[int64](out)[i] = int64(i)
	}
	return one(out)
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
