package onnximport

import (
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// indices returns operand i as int64 indices that count from 0 of n.
func (c *call) indices(i, n int) *graph.Node {
	x := c.x(i)
	if x.DType().IsFloat() || x.DType() == tensor.Bool {
		c.fail("want integers as indices, not %v", x.Type())
	}
	x = graph.Cast(x, tensor.Int64)
	if t := c.folder.value(x); t != nil {
		fixed := t.Clone()
		for j, at := range tensor.Data[int64](t) {
			if at < -int64(n) || at >= int64(n) {
				c.fail("index %d of %d elements", at, n)
			}
			if at < 0 {
				tensor.Data[int64](fixed)[j] = at + int64(n)
			}
		}
		return c.made(fixed)
	}
	return graph.Where(graph.Less(x, constantLike(x, 0)), graph.Add(x, constantLike(x, float64(n))), x)
}

func readGather(c *call) []*value {
	if s := c.gatherSizes(); s != nil {
		return []*value{{sizes: s}}
	}
	x := c.x(0)
	axis := c.axis(c.integer("axis", 0), x.Rank())
	return one(graph.Gather(x, c.indices(1, c.size(x, axis)), axis))
}

// gatherSizes takes elements of a list that is followed by value.
func (c *call) gatherSizes() *sizes {
	s := c.operand(0).sizes
	at := c.sizesOf(c.operand(1))
	if s == nil || at == nil || len(s.shape) != 1 {
		return nil
	}
	c.ignore("axis")
	out := &sizes{shape: at.shape}
	for _, d := range at.elems {
		i, ok := d.Constant()
		if !ok {
			return nil
		}
		out.elems = append(out.elems, s.elems[c.axis(i, len(s.elems))])
	}
	return out
}

// Operators that address single elements do so in the flat array: an element
// at [i j k] of [a b c] has the place (i·b + j)·c + k.

// flat returns x, whose shape must be known, as one axis.
func (c *call) flat(x *graph.Node) *graph.Node {
	n := 1
	for i := range x.Rank() {
		n *= c.size(x, i)
	}
	return graph.Reshape(x, graph.Dims(n))
}

// strides returns how far apart neighbours along each axis of x are.
func (c *call) strides(x *graph.Node) []int {
	strides := make([]int, x.Rank())
	step := 1
	for i := x.Rank() - 1; i >= 0; i-- {
		strides[i] = step
		step *= c.size(x, i)
	}
	return strides
}

// elementPlaces returns, for indices along an axis of x and otherwise places of
// their own, the places in the flat x.
func (c *call) elementPlaces(x *graph.Node, indices *graph.Node, axis int) *graph.Node {
	if indices.Rank() != x.Rank() {
		c.fail("indices %v for %v", indices.Type(), x.Type())
	}
	at := constantLike(indices, 0)
	for i, stride := range c.strides(x) {
		along := indices
		if i != axis {
			along = places(c, indices, i)
		}
		at = graph.Add(at, graph.Mul(along, constantLike(along, float64(stride))))
	}
	return at
}

func readGatherElements(c *call) []*value {
	x := c.x(0)
	axis := c.axis(c.integer("axis", 0), x.Rank())
	at := c.elementPlaces(x, c.indices(1, c.size(x, axis)), axis)
	return one(graph.Gather(c.flat(x), at, 0))
}

func readScatterElements(c *call) []*value {
	x, updates := c.x(0), c.x(2)
	axis := c.axis(c.integer("axis", 0), x.Rank())
	at := c.elementPlaces(x, c.indices(1, c.size(x, axis)), axis)
	return one(c.scatter(x, c.flat(at), c.flat(updates)))
}

// scatter writes updates to places in the flat x, or combines them with what
// is there, as the attribute reduction says.
func (c *call) scatter(x, at, updates *graph.Node) *graph.Node {
	flat := c.flat(x)
	n := c.size(flat, 0)
	if n == 0 || c.size(at, 0) == 0 {
		return x
	}
	if !updates.Shape().Equal(at.Shape()) || updates.DType() != x.DType() || x.DType() == tensor.Bool {
		c.fail("updates %v at places %v of %v", updates.Type(), at.Type(), x.Type())
	}
	var y *graph.Node
	switch how := c.text("reduction", "none"); how {
	case "add":
		y = graph.Add(flat, graph.GatherGrad(updates, at, 0, n))
	case "none":
		hits := graph.GatherGrad(constantLike(at, 1), at, 0, n)
		free := graph.Equal(hits, constantLike(hits, 0))
		y = graph.Where(free, flat, graph.GatherGrad(updates, at, 0, n))
	default:
		c.fail("reduction %q is not supported", how)
	}
	return graph.Reshape(y, x.Shape())
}

// tuplePlaces returns, for indices [… k] of the leading k axes of x behind
// batch axes, the places of the blocks that they name, [… 1], and the size of
// a block.
func (c *call) tuplePlaces(x *graph.Node, i, batch int) (at *graph.Node, block int) {
	indices := c.x(i)
	last := indices.Rank() - 1
	if last < batch || indices.DType().IsFloat() {
		c.fail("indices %v for %v", indices.Type(), x.Type())
	}
	k := c.size(indices, last)
	if k < 1 || batch+k > x.Rank() {
		c.fail("indices %v for %v", indices.Type(), x.Type())
	}
	strides := c.strides(x)
	block = 1
	if batch+k > 0 {
		block = strides[batch+k-1]
	}
	indices = graph.Cast(indices, tensor.Int64)
	for j := range k {
		n := c.size(x, batch+j)
		part := graph.Slice(indices, last, j, j+1, 1)
		part = graph.Where(graph.Less(part, constantLike(part, 0)), graph.Add(part, constantLike(part, float64(n))), part)
		part = graph.Mul(part, constantLike(part, float64(strides[batch+j]/block)))
		if at == nil {
			at = part
		} else {
			at = graph.Add(at, part)
		}
	}
	for j := range batch {
		at = graph.Add(at, graph.Mul(places(c, at, j), constantLike(at, float64(strides[j]/block))))
	}
	return at, block
}

func readGatherND(c *call) []*value {
	x := c.x(0)
	batch := c.integer("batch_dims", 0)
	if batch < 0 || batch >= x.Rank() {
		c.fail("%d batch axes of %v", batch, x.Type())
	}
	at, block := c.tuplePlaces(x, 1, batch)
	lead := at.Shape()[:at.Rank()-1]
	k := c.size(c.x(1), at.Rank()-1)
	blocks := graph.Reshape(x, graph.Dims(c.size(c.flat(x), 0)/max(1, block), block))
	y := graph.Gather(blocks, graph.Reshape(at, lead), 0)
	return one(graph.Reshape(y, slices.Concat(lead, x.Shape()[batch+k:])))
}

func readScatterND(c *call) []*value {
	x, updates := c.x(0), c.x(2)
	at, block := c.tuplePlaces(x, 1, 0)
	rows := c.flat(at)
	within := graph.Reshape(c.made(iota64(block)), graph.Dims(1, block))
	first := graph.ExpandDims(graph.Mul(rows, constantLike(rows, float64(block))), 1)
	both := c.broadcast(first, within)
	return one(c.scatter(x, c.flat(graph.Add(both[0], both[1])), c.flat(updates)))
}

func readOneHot(c *call) []*value {
	depth := int(c.scalar(1))
	indices, values := c.x(0), c.x(2)
	if depth < 1 || depth > mostFolded || values.Rank() != 1 {
		c.fail("depth %d and values %v", depth, values.Type())
	}
	axis := c.axis(c.integer("axis", -1), indices.Rank()+1)
	n := graph.Cast(indices, tensor.Int64)
	n = graph.Where(graph.Less(n, constantLike(n, 0)), graph.Add(n, constantLike(n, float64(depth))), n)
	n = graph.ExpandDims(n, axis)
	shape := slices.Clone(n.Shape())
	shape[axis] = graph.Const(depth)
	n = graph.Broadcast(n, shape)
	hot := graph.Equal(n, places(c, n, axis))
	pick := func(i int) *graph.Node {
		return graph.Broadcast(graph.Reshape(graph.Slice(values, 0, i, i+1, 1), nil), shape)
	}
	return one(graph.Where(hot, pick(1), pick(0)))
}

// readTrilu keeps the upper or lower triangle of matrices.
func readTrilu(c *call) []*value {
	x := c.x(0)
	if x.Rank() < 2 {
		c.fail("%v, want matrices", x.Type())
	}
	k := 0
	if c.has(1) {
		k = int(c.scalar(1))
	}
	rows, columns := places(c, x, x.Rank()-2), places(c, x, x.Rank()-1)
	diagonal := graph.Add(rows, constantLike(rows, float64(k)))
	outside := graph.Less(columns, diagonal)
	if c.integer("upper", 1) == 0 {
		outside = graph.Less(diagonal, columns)
	}
	if x.DType() == tensor.Bool {
		return one(and(x, not(outside)))
	}
	return one(graph.Where(outside, constantLike(x, 0), x))
}

func readEyeLike(c *call) []*value {
	x := c.x(0)
	dtype := x.DType()
	if _, ok := c.op.attributes["dtype"]; ok {
		var err error
		if dtype, err = dtypeOf(c.elementType("dtype")); err != nil {
			c.fail("%w", err)
		}
	}
	if x.Rank() != 2 {
		c.fail("%v, want a matrix", x.Type())
	}
	rows := places(c, x, 0)
	k := constantLike(rows, float64(c.integer("k", 0)))
	return one(graph.Cast(graph.Equal(graph.Add(rows, k), places(c, x, 1)), dtype))
}

// readRange reads start, start+step, … up to but without limit, from
// constants, or from 0 to a symbolic dimension by counting.
func readRange(c *call) []*value {
	dtype := c.x(0).DType()
	limit := c.sizesOf(c.operand(1))
	if limit != nil && len(limit.elems) == 1 {
		if _, known := limit.elems[0].Constant(); !known {
			return one(c.count(limit.elems[0], dtype))
		}
	}
	start, end, step := c.scalar(0), c.scalar(1), c.scalar(2)
	n := 0.0
	if step != 0 {
		n = (end - start) / step
	}
	if step == 0 || !(n <= mostFolded) {
		c.fail("a range from %g to %g in steps of %g", start, end, step)
	}
	var values []float64
	for i := 0; float64(i) < n; i++ {
		values = append(values, start+float64(i)*step)
	}
	t := tensor.Of(values, len(values))
	if !dtype.IsFloat() {
		whole := tensor.New(tensor.Int64, len(values))
		for i, v := range values {
			tensor.Data[int64](whole)[i] = int64(v)
		}
		t = whole
	}
	return one(c.made(typed(t, dtype)))
}

// count returns 0, 1, … up to but without a symbolic dimension, by a scan that
// carries the number along.
func (c *call) count(d graph.Dim, dtype tensor.DType) *graph.Node {
	if n, _ := d.Factors(); n < 1 || c.scalar(0) != 0 || c.scalar(2) != 1 {
		c.fail("a range to the symbolic dimension %v, want one from 0 in steps of 1", d)
	}
	body := graph.New("count")
	k := body.Input("k", tensor.Int64, nil)
	body.Input("place", tensor.Int64, nil)
	body.Output("next", graph.Shift(k, 1))
	body.Output("k", k)
	zero := c.graph.Scalar(tensor.Int64, 0)
	out := graph.Scan(body, []*graph.Node{zero}, []*graph.Node{graph.Broadcast(zero, graph.Shape{d})})
	return graph.Cast(out[1], dtype)
}
