package onnximport

import (
	"slices"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// unary reads an operator on one floating-point operand.
func unary(f func(x *graph.Node) *graph.Node) reader {
	return func(c *call) []*value {
		c.ignore("consumed_inputs") // a hint of operator set 1
		return one(f(c.float(0)))
	}
}

// float returns operand i, which must be floating-point.
func (c *call) float(i int) *graph.Node {
	x := c.x(i)
	if !x.DType().IsFloat() {
		c.fail("operand %d of type %v, want floating-point numbers", i, x.Type())
	}
	return x
}

// binary reads an operator on two operands that repeat to one shape.
func binary(f func(a, b *graph.Node) *graph.Node) reader {
	return func(c *call) []*value {
		a, b := c.pair()
		return one(f(a, b))
	}
}

// pair returns operands 0 and 1 in one type and shape. Before version 7,
// the second one is repeated only on request, from a given axis on.
func (c *call) pair() (a, b *graph.Node) {
	if len(c.in) != 2 {
		c.fail("want 2 operands, not %d", len(c.in))
	}
	a, b = c.x(0), c.x(1)
	if c.version < 7 {
		c.ignore("consumed_inputs")
		axis := c.integer("axis", -1)
		if c.integer("broadcast", 0) == 1 && axis >= 0 {
			after := a.Rank() - axis - b.Rank()
			if after < 0 {
				c.fail("shape %v does not fit %v at axis %d", b.Shape(), a.Shape(), axis)
			}
			b = graph.Reshape(b, slices.Concat(b.Shape(), slices.Repeat(graph.Dims(1), after)))
		}
	}
	if a.DType() != b.DType() {
		c.fail("%v and %v, want operands of one type", a.Type(), b.Type())
	}
	both := c.broadcast(a, b)
	return both[0], both[1]
}

// integerArithmetic reads an operator whose result is also followed as sizes
// where both operands are, by f on dimensions.
func integerArithmetic(f func(a, b *graph.Node) *graph.Node, onDims func(a, b graph.Dim) (graph.Dim, bool)) reader {
	return func(c *call) []*value {
		if s := c.pairOfSizes(onDims); s != nil {
			return []*value{{sizes: s}}
		}
		return binary(f)(c)
	}
}

// pairOfSizes applies f to the elements of two operands if at least one of
// them is followed by value and the result can be.
func (c *call) pairOfSizes(f func(a, b graph.Dim) (graph.Dim, bool)) *sizes {
	if len(c.in) != 2 || !c.has(0) || !c.has(1) || c.in[0].sizes == nil && c.in[1].sizes == nil {
		return nil
	}
	a, b := c.sizesOf(c.in[0]), c.sizesOf(c.in[1])
	if a == nil || b == nil || len(a.elems) != len(b.elems) && len(a.elems) != 1 && len(b.elems) != 1 {
		return nil
	}
	out := &sizes{shape: a.shape}
	if len(b.shape) > len(a.shape) || len(b.shape) == len(a.shape) && len(b.elems) != 1 {
		out.shape = b.shape
	}
	n := max(len(a.elems), len(b.elems))
	if len(a.elems) == 0 || len(b.elems) == 0 {
		n = 0
	}
	for i := range n {
		d, ok := f(a.elems[i%len(a.elems)], b.elems[i%len(b.elems)])
		if !ok {
			return nil
		}
		out.elems = append(out.elems, d)
	}
	return out
}

func addDims(a, b graph.Dim) (graph.Dim, bool) { return addDim(a, b, 1) }
func subDims(a, b graph.Dim) (graph.Dim, bool) { return addDim(a, b, -1) }

// variadic reads an operator on any number of operands, which it takes two
// by two. Two that are sizes are followed by onDims.
func variadic(f func(a, b *graph.Node) *graph.Node, onDims func(a, b graph.Dim) (graph.Dim, bool)) reader {
	return func(c *call) []*value {
		if s := c.pairOfSizes(onDims); s != nil {
			return []*value{{sizes: s}}
		}
		c.ignore("consumed_inputs")
		xs := c.broadcast(c.all()...)
		y := xs[0]
		for _, x := range xs[1:] {
			y = f(y, x)
		}
		return one(y)
	}
}

func readMean(c *call) []*value {
	sum := c.nodeOf(variadic(graph.Add, addDims)(c)[0])
	return one(graph.Scale(sum, 1/float64(len(c.in))))
}

// negate is −x for integers too.
func negate(x *graph.Node) *graph.Node {
	if x.DType().IsFloat() {
		return graph.Neg(x)
	}
	return graph.Sub(constantLike(x, 0), x)
}

func readNeg(c *call) []*value {
	c.ignore("consumed_inputs")
	if s := c.operand(0).sizes; s != nil && !s.truth {
		out := &sizes{shape: s.shape}
		for _, d := range s.elems {
			out.elems = append(out.elems, d.Mul(graph.Const(-1)))
		}
		return []*value{{sizes: out}}
	}
	return one(negate(c.x(0)))
}

func readAbs(c *call) []*value {
	c.ignore("consumed_inputs")
	x := c.x(0)
	if x.DType().IsFloat() {
		return one(graph.Abs(x))
	}
	return one(graph.Maximum(x, negate(x)))
}

// constantLike is graph.Like for every type of number.
func constantLike(x *graph.Node, v float64) *graph.Node {
	return graph.Broadcast(number(x.Graph(), x.DType(), v), x.Shape())
}

// number returns a scalar constant of any type of number.
func number(g *graph.Graph, dtype tensor.DType, v float64) *graph.Node {
	t := tensor.Of([]float64{v})
	if !dtype.IsFloat() {
		t = tensor.Of([]int64{int64(v)})
	}
	return g.Constant(typed(t, dtype))
}

func reciprocal(x *graph.Node) *graph.Node { return graph.Div(graph.Like(x, 1), x) }

// readPow reads powers. Constant exponents that have an operator of their own
// use it: its derivative is finite wherever that of the power is.
func readPow(c *call) []*value {
	a, b := c.x(0), c.x(1)
	if t := c.folder.value(b); t != nil && t.Len() == 1 && a.DType().IsFloat() && c.version >= 7 {
		shape := c.common(a.Shape(), b.Shape())
		a := graph.Broadcast(a, shape)
		switch t.Float64s()[0] {
		case 0.5:
			return one(graph.Sqrt(a))
		case 1:
			return one(a)
		case 2:
			return one(graph.Mul(a, a))
		case 3:
			return one(graph.Mul(graph.Mul(a, a), a))
		case -1:
			return one(reciprocal(a))
		}
	}
	if a.DType() == b.DType() {
		return binary(graph.Pow)(c)
	}
	result := a.DType()
	if b.DType().IsFloat() && !result.IsFloat() {
		a = graph.Cast(a, b.DType())
	}
	b = graph.Cast(b, a.DType())
	both := c.broadcast(a, b)
	return one(graph.Cast(graph.Pow(both[0], both[1]), result))
}

// readClip reads bounds as attributes, or since version 11 as operands.
func readClip(c *call) []*value {
	c.ignore("consumed_inputs")
	y := c.x(0)
	bound := func(i int, name string, f func(a, b *graph.Node) *graph.Node) {
		switch {
		case c.version < 11:
			if v, ok := attribute[float32](c, name); ok {
				y = f(y, constantLike(y, float64(v)))
			}
		case c.has(i):
			b := c.x(i)
			if b.Rank() > 0 {
				b = graph.Reshape(b, nil)
			}
			y = f(y, graph.Broadcast(b, y.Shape()))
		}
	}
	bound(1, "min", graph.Maximum)
	bound(2, "max", graph.Minimum)
	return one(y)
}

// readCast converts types. Half precision is computed in float32, and a cast
// to it changes nothing.
func readCast(c *call) []*value {
	c.ignore("saturate", "round_mode")
	kind := c.elementType("to")
	dtype, err := dtypeOf(kind)
	if err != nil {
		c.fail("%w", err)
	}
	if s := c.operand(0).sizes; s != nil && !s.truth && !dtype.IsFloat() && dtype != tensor.Bool {
		return []*value{{sizes: s}}
	}
	x := c.x(0)
	if dtype == tensor.Bool && x.DType() != tensor.Bool {
		return one(not(graph.Equal(x, constantLike(x, 0))))
	}
	if dtype.IsFloat() {
		return one(c.straight(graph.Cast(x, dtype), c.operand(0).through))
	}
	return c.whole(x, kind, dtype)
}

// whole casts to whole numbers of a type, which may be held in a wider one.
func (c *call) whole(x *graph.Node, kind onnxpb.TensorProto_DataType, dtype tensor.DType) []*value {
	if n, ok := narrowTypeOf(kind); ok {
		return []*value{{node: wrapped(x, n), kind: kind}}
	}
	return one(graph.Cast(x, dtype))
}

func readCastLike(c *call) []*value {
	c.ignore("saturate", "round_mode")
	x, like := c.x(0), c.x(1)
	if like.DType() == tensor.Bool && x.DType() != tensor.Bool {
		return one(not(graph.Equal(x, constantLike(x, 0))))
	}
	return c.whole(x, c.kindOf(1), like.DType())
}

func readEqual(c *call) []*value { return comparison(equal, equalDims)(c) }

// comparison reads an operator with a bool for its result, which is followed
// where both operands are, by f on dimensions.
func comparison(f func(a, b *graph.Node) *graph.Node, onDims func(a, b graph.Dim) (graph.Dim, bool)) reader {
	return func(c *call) []*value {
		if s := c.pairOfSizes(onDims); s != nil {
			s.truth = true
			return []*value{{sizes: s}}
		}
		return binary(f)(c)
	}
}

// flipped exchanges the operands of a comparison, and negated turns its result.
func flipped(f func(a, b graph.Dim) (graph.Dim, bool)) func(a, b graph.Dim) (graph.Dim, bool) {
	return func(a, b graph.Dim) (graph.Dim, bool) { return f(b, a) }
}

func negated(f func(a, b graph.Dim) (graph.Dim, bool)) func(a, b graph.Dim) (graph.Dim, bool) {
	return func(a, b graph.Dim) (graph.Dim, bool) {
		d, ok := f(a, b)
		return graph.Const(1).Sub(d), ok
	}
}

// chosenSizes is Where on operands that are known, one of them followed by
// value.
func (c *call) chosenSizes() *sizes {
	var s [3]*sizes
	followed := false
	for i := range s {
		v := c.operand(i)
		if s[i] = c.sizesOf(v); s[i] == nil || len(s[i].shape) != 1 || len(s[i].elems) != len(s[0].elems) {
			return nil
		}
		followed = followed || v.sizes != nil
	}
	if !followed || !s[0].truth || s[1].truth || s[2].truth {
		return nil
	}
	var elems []graph.Dim
	for i, cond := range s[0].elems {
		from := s[2]
		if cond == graph.Const(1) {
			from = s[1]
		}
		elems = append(elems, from.elems[i])
	}
	return vectorOf(elems)
}

func readWhere(c *call) []*value {
	if s := c.chosenSizes(); s != nil {
		return []*value{{sizes: s}}
	}
	xs := c.broadcast(c.x(0), c.x(1), c.x(2))
	return one(graph.Where(xs[0], xs[1], xs[2]))
}

// Logic on bools is arithmetic on 0 and 1.

func bit(x *graph.Node) *graph.Node { return graph.Cast(x, tensor.Int64) }

func not(x *graph.Node) *graph.Node { return graph.Equal(bit(x), constantLike(bit(x), 0)) }

func and(a, b *graph.Node) *graph.Node {
	return graph.Equal(graph.Mul(bit(a), bit(b)), constantLike(bit(a), 1))
}

func or(a, b *graph.Node) *graph.Node {
	return graph.Less(constantLike(bit(a), 0), graph.Add(bit(a), bit(b)))
}

func xor(a, b *graph.Node) *graph.Node {
	return graph.Equal(graph.Add(bit(a), bit(b)), constantLike(bit(a), 1))
}

func equal(a, b *graph.Node) *graph.Node {
	if a.DType() == tensor.Bool {
		a, b = bit(a), bit(b)
	}
	return graph.Equal(a, b)
}

func greater(a, b *graph.Node) *graph.Node { return graph.Less(b, a) }

func lessOrEqual(a, b *graph.Node) *graph.Node { return or(graph.Less(a, b), graph.Equal(a, b)) }

func greaterOrEqual(a, b *graph.Node) *graph.Node { return lessOrEqual(b, a) }

// logical reads an operator on two bools.
func logical(f func(a, b *graph.Node) *graph.Node) reader {
	return func(c *call) []*value {
		a, b := c.pair()
		if a.DType() != tensor.Bool {
			c.fail("%v, want bools", a.Type())
		}
		return one(f(a, b))
	}
}

func readNot(c *call) []*value {
	x := c.x(0)
	if x.DType() != tensor.Bool {
		c.fail("%v, want a bool", x.Type())
	}
	return one(not(x))
}

func readIsNaN(c *call) []*value {
	x := c.float(0)
	return one(not(graph.Equal(x, x)))
}
