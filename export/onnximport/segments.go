package onnximport

import (
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Updates of one place are found side by side after they are sorted by their places.

// segments is updates in the order of their places.
type segments struct {
	values, at *graph.Node
	first      *graph.Node // bool, where a place begins
	last       *graph.Node // where it ends
}

// sorted sorts updates by place, those of a place by value where that is wanted.
func (c *call) sorted(at, updates *graph.Node, byValue bool) segments {
	n := at.Shape()[0]
	ascending := graph.TopKAttr{K: n, Smallest: true}
	if byValue {
		order := graph.TopK(graph.StopGradient(updates), ascending)
		at, updates = graph.Gather(at, order, 0), graph.Gather(updates, order, 0)
	}
	order := graph.TopK(at, ascending)
	s := segments{values: graph.Gather(updates, order, 0), at: graph.Gather(at, order, 0)}
	one := graph.Const(1)
	edge := graph.Broadcast(c.graph.Scalar(tensor.Int64, -1), graph.Shape{one})
	before := graph.Concat(0, edge, graph.Slice(s.at, 0, graph.Const(0), n.Sub(one), 1))
	behind := graph.Concat(0, graph.Slice(s.at, 0, one, n, 1), edge)
	s.first, s.last = not(graph.Equal(before, s.at)), not(graph.Equal(behind, s.at))
	return s
}

// put returns the last value of each place, n of them, and where there is one.
func (s segments) put(n graph.Dim) (values, hits *graph.Node) {
	kept := graph.Where(s.last, s.values, constantLike(s.values, 0))
	count := graph.GatherGrad(graph.Cast(s.last, tensor.Int64), s.at, 0, n)
	return graph.GatherGrad(kept, s.at, 0, n), graph.Less(constantLike(count, 0), count)
}

// largestAt returns the largest of x and the updates of each place. Of equal updates one
// has the derivative.
func (c *call) largestAt(x, at, updates *graph.Node) *graph.Node {
	values, hits := c.sorted(at, updates, true).put(x.Shape()[0])
	return graph.Where(hits, graph.Maximum(x, values), x)
}

// productsAt multiplies x by all updates of each place.
func (c *call) productsAt(x, at, updates *graph.Node) *graph.Node {
	s := c.sorted(at, updates, false)
	body := graph.New("running_product")
	total := body.Input("total", x.DType(), nil)
	u, first := body.Input("update", x.DType(), nil), body.Input("first", tensor.Bool, nil)
	next := graph.Where(first, u, graph.Mul(total, u))
	body.Output("next", next)
	body.Output("all", graph.Reshape(next, nil))
	start := number(c.graph, x.DType(), 1)
	s.values = graph.Scan(body, []*graph.Node{start}, []*graph.Node{s.values, s.first})[1]
	values, hits := s.put(x.Shape()[0])
	return graph.Where(hits, graph.Mul(x, values), x)
}
