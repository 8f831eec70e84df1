package onnximport

import (
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// indices returns operand i as int64 indices that count from 0 of n.
func (c *call) indices(i int, size graph.Dim) *graph.Node {
	x := c.x(i)
	if x.DType().IsFloat() || x.DType() == tensor.Bool {
		c.fail("want integers as indices, not %v", x.Type())
	}
	x = graph.Cast(x, tensor.Int64)
	t := c.folder.value(x)
	if n, known := size.Constant(); t != nil && known {
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
	if t != nil && !slices.ContainsFunc(tensor.Data[int64](t), func(at int64) bool { return at < 0 }) {
		for _, at := range tensor.Data[int64](t) {
			c.assume(size.Sub(graph.Const(int(at) + 1)))
		}
		return x
	}
	return c.fromEnd(x, size)
}

// fromEnd returns indices that count from 0 of n, of which negative ones count
// from the end.
func (c *call) fromEnd(x *graph.Node, n graph.Dim) *graph.Node {
	return graph.Where(graph.Less(x, constantLike(x, 0)), graph.Add(x, c.repeated(x, n)), x)
}

func readGather(c *call) []*value {
	if s := c.gatherSizes(); s != nil {
		return []*value{{sizes: s}}
	}
	x := c.x(0)
	axis := c.axis(c.integer("axis", 0), x.Rank())
	indices := c.indices(1, x.Shape()[axis])
	if n := c.run(x, indices, axis); n != nil {
		return one(n)
	}
	return one(graph.Gather(x, indices, axis))
}

// run returns what known indices that lie one behind the other take, as a slice; nil for others.
// The derivative of a slice is no scattering of single elements.
func (c *call) run(x, indices *graph.Node, axis int) *graph.Node {
	t := c.folder.value(indices)
	if t == nil || t.Len() == 0 || indices.Rank() > 1 {
		return nil
	}
	if _, known := x.Shape()[axis].Constant(); !known {
		return nil
	}
	at := tensor.Data[int64](t)
	for i := range at {
		if at[i] != at[0]+int64(i) {
			return nil
		}
	}
	slice := graph.Slice(x, axis, int(at[0]), int(at[0])+len(at), 1)
	return graph.Reshape(slice, slices.Concat(x.Shape()[:axis], indices.Shape(), x.Shape()[axis+1:]))
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

// flat returns x as one axis.
func (c *call) flat(x *graph.Node) *graph.Node {
	n, ok := volume(x.Shape())
	if !ok {
		c.fail("shape %v is too large", x.Shape())
	}
	return graph.Reshape(x, graph.Shape{n})
}

// strides returns how far apart neighbours along each axis of x are.
func (c *call) strides(x *graph.Node) []graph.Dim {
	strides := make([]graph.Dim, x.Rank())
	step := graph.Const(1)
	for i := x.Rank() - 1; i >= 0; i-- {
		strides[i] = step
		step = c.times(step, x.Shape()[i])
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
		at = graph.Add(at, graph.Mul(along, c.repeated(along, stride)))
	}
	return at
}

func readGatherElements(c *call) []*value {
	x := c.x(0)
	axis := c.axis(c.integer("axis", 0), x.Rank())
	return one(c.elements(x, c.indices(1, x.Shape()[axis]), axis))
}

// elements takes one element of x for each index along an axis, [… k …] for [… n …].
func (c *call) elements(x, at *graph.Node, axis int) *graph.Node {
	return graph.Gather(c.flat(x), c.elementPlaces(x, at, axis), 0)
}

func readScatterElements(c *call) []*value {
	x, updates := c.x(0), c.x(2)
	axis := c.axis(c.integer("axis", 0), x.Rank())
	at := c.elementPlaces(x, c.indices(1, x.Shape()[axis]), axis)
	return one(c.scatter(x, c.flat(at), c.flat(updates)))
}

// scatter writes updates to places in the flat x, or combines them with what
// is there, as the attribute reduction says.
func (c *call) scatter(x, at, updates *graph.Node) *graph.Node {
	flat := c.flat(x)
	n, none := flat.Shape()[0], graph.Dim{}
	if n == none || at.Shape()[0] == none {
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
	case "max":
		y = c.largestAt(flat, at, updates)
	case "min":
		y = negate(c.largestAt(negate(flat), at, negate(updates)))
	case "mul":
		y = c.productsAt(flat, at, updates)
	default:
		c.fail("reduction %q is not known", how)
	}
	return graph.Reshape(y, x.Shape())
}

// tuplePlaces returns, for indices [… k] of the leading k axes of x behind
// batch axes, the places of the blocks that they name, [… 1], and how many
// elements a block has.
func (c *call) tuplePlaces(x *graph.Node, i, batch int) (at *graph.Node, block graph.Dim) {
	indices := c.x(i)
	last := indices.Rank() - 1
	if last < batch || indices.DType().IsFloat() {
		c.fail("indices %v for %v", indices.Type(), x.Type())
	}
	k := c.size(indices, last)
	if k < 1 || batch+k > x.Rank() {
		c.fail("indices %v for %v", indices.Type(), x.Type())
	}
	block = c.volume(x.Shape()[batch+k:])
	between := func(j int) graph.Dim { return c.volume(x.Shape()[j+1 : batch+k]) } // blocks, along axis j
	indices = graph.Cast(indices, tensor.Int64)
	for j := range k {
		part := c.fromEnd(graph.Slice(indices, last, j, j+1, 1), x.Shape()[batch+j])
		part = graph.Mul(part, c.repeated(part, between(batch+j)))
		if at == nil {
			at = part
		} else {
			at = graph.Add(at, part)
		}
	}
	for j := range batch {
		at = graph.Add(at, graph.Mul(places(c, at, j), c.repeated(at, between(j))))
	}
	return at, block
}

// volume returns the number of elements of a shape.
func (c *call) volume(s graph.Shape) graph.Dim {
	v, ok := volume(s)
	if !ok {
		c.fail("shape %v is too large", s)
	}
	return v
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
	blocks := graph.Reshape(x, graph.Shape{c.volume(x.Shape()[:batch+k]), block})
	y := graph.Gather(blocks, graph.Reshape(at, lead), 0)
	return one(graph.Reshape(y, slices.Concat(lead, x.Shape()[batch+k:])))
}

func readScatterND(c *call) []*value {
	x, updates := c.x(0), c.x(2)
	at, block := c.tuplePlaces(x, 1, 0)
	rows := c.flat(at)
	within := graph.Reshape(c.iota(block), graph.Shape{graph.Const(1), block})
	first := graph.ExpandDims(graph.Mul(rows, c.repeated(rows, block)), 1)
	both := c.broadcast(first, within)
	return one(c.scatter(x, c.flat(graph.Add(both[0], both[1])), c.flat(updates)))
}

func readOneHot(c *call) []*value {
	depth := c.measured(graph.Cast(graph.Reshape(c.x(1), nil), tensor.Int64))
	indices, values := c.x(0), c.x(2)
	if k, ok := depth.Constant(); ok && (k < 1 || k > mostFolded) || values.Rank() != 1 {
		c.fail("depth %v and values %v", depth, values.Type())
	}
	axis := c.axis(c.integer("axis", -1), indices.Rank()+1)
	n := graph.Cast(indices, tensor.Int64)
	n = graph.Where(graph.Less(n, constantLike(n, 0)), graph.Add(n, c.repeated(n, depth)), n)
	n = graph.ExpandDims(n, axis)
	shape := slices.Clone(n.Shape())
	shape[axis] = depth
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
	k := c.integerOf(0)
	if c.has(1) {
		k = graph.Cast(graph.Reshape(c.x(1), nil), tensor.Int64)
	}
	rows, columns := places(c, x, x.Rank()-2), places(c, x, x.Rank()-1)
	diagonal := graph.Add(rows, graph.Broadcast(k, rows.Shape()))
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

// readRange reads start, start+step, … up to but without limit.
func readRange(c *call) []*value {
	dtype := c.x(0).DType()
	if r := c.rangeOfSizes(); r != nil {
		return one(graph.Cast(r, dtype))
	}
	if c.folder.value(c.x(0)) == nil || c.folder.value(c.x(1)) == nil || c.folder.value(c.x(2)) == nil {
		return one(c.rangeMeasured())
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

// rangeOfSizes returns a range whose ends are sizes, of which one is symbolic,
// as int64; otherwise nil.
func (c *call) rangeOfSizes() *graph.Node {
	var ends [3]graph.Dim
	symbolic := false
	for i := range ends {
		s := c.sizesOf(c.operand(i))
		if s == nil || len(s.elems) != 1 {
			return nil
		}
		ends[i] = s.elems[0]
		_, known := ends[i].Constant()
		symbolic = symbolic || !known
	}
	step, known := ends[2].Constant()
	if !symbolic || !known || step == 0 {
		return nil
	}
	length := ends[1].Sub(ends[0]).Mul(graph.Const(sign(step)))
	if !c.assume(length) {
		length = graph.Const(0)
	}
	n := length.Add(graph.Const(magnitudeOf(step) - 1)).Div(graph.Const(magnitudeOf(step)))
	if step == 1 {
		return graph.Iota(c.count(ends[0]), n)
	}
	at := c.iota(n)
	return graph.Add(graph.Mul(at, constantLike(at, float64(step))), c.repeated(at, ends[0]))
}

func sign(n int) int {
	if n < 0 {
		return -1
	}
	return 1
}

func magnitudeOf(n int) int { return n * sign(n) }
