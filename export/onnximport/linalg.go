package onnximport

import (
	"slices"

	"ebm/models/graph"
)

// readDet reads determinants of matrices [… n n] by Gaussian elimination with the
// largest element of a column as its pivot, a step at a time.
func readDet(c *call) []*value {
	const largest = 64
	x := c.float(0)
	if x.Rank() < 2 || c.size(x, x.Rank()-1) != c.size(x, x.Rank()-2) || c.size(x, x.Rank()-1) > largest {
		c.fail("%v, want square matrices of up to %d rows", x.Type(), largest)
	}
	lead := x.Shape()[:x.Rank()-2]
	n := c.size(x, x.Rank()-1)
	x = graph.Reshape(x, graph.Shape{c.volume(lead), graph.Const(n), graph.Const(n)})
	det := graph.Broadcast(number(c.graph, x.DType(), 1), x.Shape()[:1])
	for m := n; m > 0; m-- {
		column := graph.Reshape(graph.Slice(x, 2, 0, 1, 1), x.Shape()[:2])
		hot := hardmax(c, graph.Abs(graph.StopGradient(column)), 1) // [B m]
		rows := graph.BroadcastAlong(hot, x.Shape(), 0, 1)
		chosen := graph.ReduceSum(graph.Mul(rows, x), 1) // [B m]
		pivot := graph.Reshape(graph.Slice(chosen, 1, 0, 1, 1), x.Shape()[:1])
		stays := graph.Reshape(graph.Slice(hot, 1, 0, 1, 1), x.Shape()[:1]) // 1 where no rows change places
		det = graph.Mul(graph.Mul(det, pivot), graph.Shift(graph.Scale(stays, 2), -1))
		if m == 1 {
			break
		}
		first := graph.Slice(x, 1, 0, 1, 1)
		off := graph.Sub(graph.Broadcast(first, x.Shape()), graph.BroadcastAlong(chosen, x.Shape(), 0, 2))
		x = graph.Slice(graph.Add(x, graph.Mul(rows, off)), 1, 1, m, 1) // the first row in the place of the chosen one
		safe := graph.Where(graph.Equal(pivot, graph.Like(pivot, 0)), graph.Like(pivot, 1), pivot)
		below := graph.Slice(x, 2, 0, 1, 1)
		factor := graph.Div(below, graph.BroadcastAlong(safe, below.Shape(), 0))
		x = graph.Slice(x, 2, 1, m, 1)
		right := graph.Slice(chosen, 1, 1, m, 1)
		x = graph.Sub(x, graph.Mul(graph.Broadcast(factor, x.Shape()), graph.BroadcastAlong(right, x.Shape(), 0, 2)))
	}
	return one(graph.Reshape(det, slices.Clone(lead)))
}
