package onnximport

import (
	"fmt"
	"maps"
	"slices"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// call is one node of the file on its way into the graph. Its methods fail,
// by a panic that importer.node turns into an error, for operands and
// attributes that are missing or of another kind than wanted.
type call struct {
	*importer
	op      operation
	version int // of the standard operator set
	in      []*value
	tensors map[string]*onnxpb.TensorProto // attributes that are tensors
	graphs  map[string]*onnxpb.GraphProto  // attributes that are graphs
	read    map[string]bool                // attributes that were asked for
}

func (c *call) fail(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// has reports whether operand i is given.
func (c *call) has(i int) bool { return i < len(c.in) && c.in[i] != nil }

// x returns operand i.
func (c *call) x(i int) *graph.Node {
	return c.nodeOf(c.operand(i))
}

func (c *call) operand(i int) *value {
	if !c.has(i) {
		c.fail("operand %d is missing", i)
	}
	return c.in[i]
}

// all returns all operands, none of which may be absent.
func (c *call) all() []*graph.Node {
	if len(c.in) == 0 {
		c.fail("want operands")
	}
	xs := make([]*graph.Node, len(c.in))
	for i := range c.in {
		xs[i] = c.x(i)
	}
	return xs
}

// dims returns operand i, integers that must be known, as dimensions.
func (c *call) dims(i int) []graph.Dim {
	s := c.sizesOf(c.operand(i))
	if s == nil {
		c.fail("operand %d (%q) depends on values at run time, want known integers", i, c.op.inputs[i])
	}
	return s.elems
}

// ints returns operand i, integers that must be known, as numbers.
func (c *call) ints(i int) []int {
	dims := c.dims(i)
	n := make([]int, len(dims))
	for j, d := range dims {
		v, ok := d.Constant()
		if !ok {
			c.fail("operand %d (%q) is %v, want a number", i, c.op.inputs[i], d)
		}
		n[j] = v
	}
	return n
}

// constant returns the value of operand i, which must not depend on inputs.
func (c *call) constant(i int) *tensor.Tensor {
	t := c.folder.value(c.x(i))
	if t == nil {
		c.fail("operand %d (%q) depends on values at run time, want a constant", i, c.op.inputs[i])
	}
	return t
}

// scalar returns the value of operand i, a constant of one element.
func (c *call) scalar(i int) float64 {
	t := c.constant(i)
	if t.Len() != 1 {
		c.fail("operand %d (%q) has shape %v, want one element", i, c.op.inputs[i], t.Shape())
	}
	return t.Float64s()[0]
}

// attribute returns an attribute of a Go type, or ok = false if it is absent.
func attribute[T any](c *call, name string) (v T, ok bool) {
	c.read[name] = true
	a, ok := c.op.attributes[name]
	if !ok {
		return v, false
	}
	if v, ok = a.(T); !ok {
		c.fail("attribute %q is of type %T, want %T", name, a, v)
	}
	return v, true
}

func (c *call) integer(name string, otherwise int) int {
	if v, ok := attribute[int64](c, name); ok {
		return int(v)
	}
	return otherwise
}

func (c *call) number(name string, otherwise float64) float64 {
	if v, ok := attribute[float32](c, name); ok {
		return float64(v)
	}
	return otherwise
}

func (c *call) text(name, otherwise string) string {
	if v, ok := attribute[string](c, name); ok {
		return v
	}
	return otherwise
}

func (c *call) integers(name string) (list []int, ok bool) {
	v, ok := attribute[[]int64](c, name)
	for _, n := range v {
		list = append(list, int(n))
	}
	return list, ok
}

// dimensions is integers as dimensions.
func (c *call) dimensions(name string) (list []graph.Dim, ok bool) {
	numbers, ok := c.integers(name)
	return graph.Dims(numbers...), ok
}

// ignore says that attributes change nothing here.
func (c *call) ignore(names ...string) {
	for _, n := range names {
		c.read[n] = true
	}
}

// checkAttributes fails for an attribute that was never asked for.
func (c *call) checkAttributes() {
	names := slices.Concat(slices.Sorted(maps.Keys(c.op.attributes)), slices.Sorted(maps.Keys(c.tensors)), slices.Sorted(maps.Keys(c.graphs)))
	for _, name := range names {
		if !c.read[name] {
			c.fail("attribute %q is not supported", name)
		}
	}
}

// axis returns an axis counted from 0 of n; negative ones count from the end.
func (c *call) axis(a, n int) int {
	if a < -n || a >= n {
		c.fail("axis %d of %d axes", a, n)
	}
	if a < 0 {
		a += n
	}
	return a
}

// axes returns axes counted from 0 of n in increasing order.
func (c *call) axes(list []int, n int) []int {
	axes := make([]int, len(list))
	for i, a := range list {
		axes[i] = c.axis(a, n)
	}
	slices.Sort(axes)
	for i := 1; i < len(axes); i++ {
		if axes[i] == axes[i-1] {
			c.fail("axis %d is named twice", axes[i])
		}
	}
	return axes
}

// axesAsGiven returns axes counted from 0 of n in their order, which must differ.
func (c *call) axesAsGiven(list []int, n int) []int {
	c.axes(list, n)
	at := make([]int, len(list))
	for i, a := range list {
		at[i] = c.axis(a, n)
	}
	return at
}

// size returns dimension i of x as a number.
func (c *call) size(x *graph.Node, i int) int {
	if i >= x.Rank() {
		c.fail("want an operand of more than %d dimensions, not %v", i, x.Type())
	}
	n, ok := x.Shape()[i].Constant()
	if !ok {
		c.fail("the size of dimension %v must be fixed", x.Shape()[i])
	}
	return n
}

// made returns a constant that the file does not hold, such as indices.
func (c *call) made(t *tensor.Tensor) *graph.Node {
	if c.folder.spent += t.Len(); c.folder.spent > mostSpent {
		c.fail("constants of more than %d elements, which are not in the file, are needed", mostSpent)
	}
	return c.graph.Constant(t)
}

func one(n *graph.Node) []*value { return []*value{{node: n}} }

// broadcast repeats operands to their common shape, as NumPy does.
func (c *call) broadcast(xs ...*graph.Node) []*graph.Node {
	xs = c.aligned(xs, 0)
	shapes := make([]graph.Shape, len(xs))
	for i, x := range xs {
		shapes[i] = x.Shape()
	}
	to := c.common(shapes...)
	out := make([]*graph.Node, len(xs))
	for i, x := range xs {
		out[i] = graph.Broadcast(x, to)
	}
	return out
}

// aligned cuts operands to the same sizes along axes, counted from the last one,
// where one size can only be as large as another or larger, such as H and
// 2·⌊H/2⌋: the model wants them equal. The axis skip from the front may differ.
func (c *call) aligned(xs []*graph.Node, skip int) []*graph.Node {
	out := slices.Clone(xs)
	for i, x := range out {
		for _, y := range out {
			for k := 1; k <= min(x.Rank(), y.Rank()); k++ {
				axis := x.Rank() - k
				more, less := out[i].Shape()[axis], y.Shape()[y.Rank()-k]
				beyond := more.Sub(less)
				if skip > 0 && axis == skip-1 || beyond == (graph.Dim{}) || less == graph.Const(1) || isConstant(beyond) ||
					!atLeast(beyond, 0) || atLeast(beyond, 1) {
					continue
				}
				c.assume(less.Sub(more))
				out[i] = graph.Slice(out[i], axis, graph.Const(0), less, 1)
			}
		}
	}
	return out
}

// common returns the shape that all shapes repeat to.
func (c *call) common(shapes ...graph.Shape) graph.Shape {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	to := make(graph.Shape, rank)
	for i := range to {
		to[i] = graph.Const(1)
		for _, s := range shapes {
			j := i - (rank - len(s))
			if j < 0 || s[j] == graph.Const(1) || s[j] == to[i] {
				continue
			}
			if to[i] != graph.Const(1) {
				c.fail("dimensions %v and %v do not fit (where one is symbolic, its size must be fixed)", to[i], s[j])
			}
			to[i] = s[j]
		}
	}
	return to
}
