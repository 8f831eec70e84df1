package onnximport

import (
	"slices"

	"ebm/models/graph"
)

// readGemm reads α·A·B + β·C, with A and B transposed on request.
func readGemm(c *call) []*value {
	a, b := c.float(0), c.float(1)
	if a.Rank() != 2 || b.Rank() != 2 {
		c.fail("%v and %v, want matrices", a.Type(), b.Type())
	}
	if c.integer("transA", 0) != 0 {
		a = graph.SwapLast(a)
	}
	if c.integer("transB", 0) != 0 {
		b = graph.SwapLast(b)
	}
	c.ignore("broadcast") // of C, before version 7
	y := graph.Scale(graph.MatMul(a, b), c.number("alpha", 1))
	beta := c.number("beta", 1)
	if c.has(2) {
		y = graph.Add(y, graph.Scale(graph.Broadcast(c.x(2), y.Shape()), beta))
	}
	return one(y)
}

func readMatMul(c *call) []*value { return one(c.matMul(c.x(0), c.x(1))) }

// matMul is NumPy's matmul: vectors become matrices and lose the axis again,
// and leading dimensions repeat.
func (c *call) matMul(a, b *graph.Node) *graph.Node {
	if a.Rank() == 0 || b.Rank() == 0 {
		c.fail("%v and %v, want matrices or vectors", a.Type(), b.Type())
	}
	row, column := a.Rank() == 1, b.Rank() == 1
	if row {
		a = graph.ExpandDims(a, 0)
	}
	if column {
		b = graph.ExpandDims(b, 1)
	}
	y := c.product(a, b)
	shape := slices.Clone(y.Shape())
	if column {
		shape = shape[:len(shape)-1]
	}
	if row {
		at := len(shape) - 1
		if !column {
			at = len(shape) - 2
		}
		shape = slices.Delete(shape, at, at+1)
	}
	return graph.Reshape(y, shape)
}

// sum returns a+b. What is added to every row of a product is so before the product
// gets its other axes back: engines have one kernel for both.
func sum(a, b *graph.Node) *graph.Node {
	for _, pair := range [][2]*graph.Node{{a, b}, {b, a}} {
		y, bias := pair[0], pair[1]
		if y.Op() != graph.OpReshape || bias.Op() != graph.OpBroadcast {
			continue
		}
		rows, row := y.Inputs()[0], bias.Inputs()[0]
		if rows.Op() == graph.OpMatMul && rows.Rank() == 2 && row.Rank() == 1 && row.Shape()[0] == rows.Shape()[1] &&
			y.Shape()[y.Rank()-1] == rows.Shape()[1] {
			return graph.Reshape(graph.Add(rows, graph.Broadcast(row, rows.Shape())), y.Shape())
		}
	}
	return graph.Add(a, b)
}

// product multiplies stacks of matrices. One matrix on the right multiplies
// all rows on the left at once.
func (c *call) product(a, b *graph.Node) *graph.Node {
	if a.Rank() > 2 && b.Rank() == 2 {
		last := a.Rank() - 1
		k := a.Shape()[last]
		rows, ok := volume(a.Shape()[:last])
		if !ok {
			c.fail("shape %v is too large", a.Shape())
		}
		y := graph.MatMul(graph.Reshape(a, graph.Shape{rows, k}), b)
		return graph.Reshape(y, append(slices.Clone(a.Shape()[:last]), b.Shape()[1]))
	}
	as, bs := a.Shape(), b.Shape()
	lead := c.common(as[:len(as)-2], bs[:len(bs)-2])
	a = graph.Broadcast(a, slices.Concat(lead, as[len(as)-2:]))
	b = graph.Broadcast(b, slices.Concat(lead, bs[len(bs)-2:]))
	return graph.MatMul(a, b)
}
