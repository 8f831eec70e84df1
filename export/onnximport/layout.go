package onnximport

import (
	"math"
	"slices"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// readReshape reads the new shape from an attribute, or since version 5 from
// an operand. A 0 copies the operand's dimension, and a −1 stands for the rest.
func readReshape(c *call) []*value {
	c.ignore("consumed_inputs")
	var dims []graph.Dim
	if c.version >= 5 {
		dims = slices.Clone(c.dims(1))
	} else {
		list, _ := c.integers("shape")
		dims = graph.Dims(list...)
	}
	in := c.operand(0)
	copies := c.integer("allowzero", 0) == 0
	if s := c.sizesOf(in); in.sizes != nil && s != nil && len(dims) <= 1 {
		return []*value{{sizes: c.reshapeSizes(s, dims)}}
	}
	x := c.x(0)
	rest, known := -1, graph.Const(1)
	for i, d := range dims {
		switch d {
		case graph.Const(-1):
			if rest >= 0 {
				c.fail("shape %v has more than one −1", dims)
			}
			rest = i
			continue
		case graph.Const(0):
			if copies {
				if i >= x.Rank() {
					c.fail("shape %v copies dimension %d of %v", dims, i, x.Shape())
				}
				dims[i] = x.Shape()[i]
			}
		}
		known = c.times(known, dims[i])
	}
	if rest >= 0 {
		total, _ := volume(x.Shape())
		d, ok := divDim(total, known)
		if !ok || total != c.times(d, known) {
			c.fail("%v does not reshape to %v (where one is symbolic, its size must be fixed)", x.Shape(), graph.Shape(dims))
		}
		dims[rest] = d
	}
	return one(graph.Reshape(x, dims))
}

// times multiplies dimensions, and fails where a number becomes too large.
func (c *call) times(a, b graph.Dim) graph.Dim {
	d, ok := mulDim(a, b)
	if !ok {
		c.fail("%v·%v elements are too many", a, b)
	}
	return d
}

func (c *call) reshapeSizes(s *sizes, to []graph.Dim) *sizes {
	n := len(s.elems)
	switch {
	case len(to) == 0 && n == 1:
		return &sizes{elems: s.elems}
	case len(to) == 1 && (to[0] == graph.Const(n) || to[0] == graph.Const(-1)):
		return vectorOf(s.elems)
	}
	c.fail("%d sizes do not reshape to %v", n, graph.Shape(to))
	return nil
}

func readFlatten(c *call) []*value {
	x := c.x(0)
	axis := c.integer("axis", 1)
	if axis != x.Rank() {
		axis = c.axis(axis, x.Rank())
	}
	rows, ok1 := volume(x.Shape()[:axis])
	columns, ok2 := volume(x.Shape()[axis:])
	if !ok1 || !ok2 {
		c.fail("shape %v is too large", x.Shape())
	}
	return one(graph.Reshape(x, graph.Shape{rows, columns}))
}

func readTranspose(c *call) []*value {
	if c.operand(0).sizes != nil {
		c.ignore("perm")
		return []*value{c.operand(0)}
	}
	x := c.x(0)
	perm, ok := c.integers("perm")
	if !ok {
		for i := range x.Rank() {
			perm = append([]int{i}, perm...)
		}
	}
	return one(graph.Transpose(x, perm...))
}

// axesOperand returns axes given by an attribute, or since version 13 by
// operand i.
func (c *call) axesOperand(i int) (axes []int, ok bool) {
	if c.version < 13 {
		return c.integers("axes")
	}
	if !c.has(i) {
		return nil, false
	}
	return c.ints(i), true
}

func readSqueeze(c *call) []*value {
	list, given := c.axesOperand(1)
	if s := c.operand(0).sizes; s != nil {
		if len(s.elems) != 1 {
			c.fail("%d sizes cannot lose their axis", len(s.elems))
		}
		return []*value{{sizes: &sizes{elems: s.elems}}}
	}
	x := c.x(0)
	axes := c.axes(list, x.Rank())
	var shape graph.Shape
	for i, d := range x.Shape() {
		drop := slices.Contains(axes, i) || !given && d == graph.Const(1)
		if !drop {
			shape = append(shape, d)
		} else if d != graph.Const(1) {
			c.fail("dimension %v along axis %d cannot be dropped", d, i)
		}
	}
	return one(graph.Reshape(x, shape))
}

func readUnsqueeze(c *call) []*value {
	list, given := c.axesOperand(1)
	if !given {
		c.fail("axes are missing")
	}
	if s := c.operand(0).sizes; s != nil && len(s.shape) == 0 && len(list) == 1 {
		return []*value{{sizes: vectorOf(s.elems)}}
	}
	x := c.x(0)
	return one(graph.ExpandDims(x, c.axes(list, x.Rank()+len(list))...))
}

func readConcat(c *call) []*value {
	if len(c.in) == 0 {
		c.fail("operands are wanted")
	}
	otherwise := math.MinInt32 // none
	if c.version < 4 {
		otherwise = 1
	}
	axis := c.integer("axis", otherwise)
	if s := c.concatSizes(); s != nil {
		return []*value{{sizes: s}}
	}
	xs := c.all()
	axis = c.axis(axis, xs[0].Rank())
	return one(graph.Concat(axis, xs...))
}

// concatSizes joins operands that are all known, one of them followed by
// value.
func (c *call) concatSizes() *sizes {
	out, followed := vectorOf(nil), false
	for i := range c.in {
		v := c.operand(i)
		s := c.sizesOf(v)
		if s == nil || len(s.shape) != 1 || len(out.elems) > mostSizes {
			return nil
		}
		followed = followed || v.sizes != nil
		out = vectorOf(append(out.elems, s.elems...))
	}
	if !followed {
		return nil
	}
	return out
}

// readSplit reads the sizes of parts from an attribute, an operand, or from
// how many of them there are.
func readSplit(c *call) []*value {
	x := c.x(0)
	axis := c.axis(c.integer("axis", 0), x.Rank())
	parts, given := []int(nil), false
	if c.version < 13 && c.version != 1 {
		parts, given = c.integers("split")
	} else if c.version == 1 {
		if parts, given = c.integers("split"); !given && c.has(1) {
			parts, given = c.ints(1), true
		}
	} else if c.has(1) {
		parts, given = c.ints(1), true
	}
	n := c.size(x, axis)
	if !given {
		count := c.integer("num_outputs", len(c.op.outputs))
		if count < 1 || count > len(c.op.outputs) {
			c.fail("%d parts for %d outputs", count, len(c.op.outputs))
		}
		each := (n + count - 1) / count
		for left := n; len(parts) < count; left -= each {
			parts = append(parts, max(0, min(each, left)))
		}
	}
	var out []*value
	start := 0
	for _, p := range parts {
		if p < 0 || p > n-start {
			c.fail("parts %v of axis %d, which has %d elements", parts, axis, n)
		}
		out = append(out, &value{node: graph.Slice(x, axis, start, start+p, 1)})
		start += p
	}
	if start != n {
		c.fail("parts %v of axis %d, which has %d elements", parts, axis, n)
	}
	return out
}

// readSlice reads starts, ends, axes and steps from attributes, or since
// version 10 from operands.
func readSlice(c *call) []*value {
	var starts, ends, axes, steps []int
	given := false
	if c.version < 10 {
		starts, _ = c.integers("starts")
		ends, _ = c.integers("ends")
		axes, given = c.integers("axes")
	} else {
		starts, ends = c.ints(1), c.ints(2)
		if given = c.has(3); given {
			axes = c.ints(3)
		}
		if c.has(4) {
			steps = c.ints(4)
		}
	}
	if !given {
		for i := range starts {
			axes = append(axes, i)
		}
	}
	if steps == nil {
		steps = slices.Repeat([]int{1}, len(starts))
	}
	if len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		c.fail("%d starts, %d ends, %d axes and %d steps", len(starts), len(ends), len(axes), len(steps))
	}
	if s := c.operand(0).sizes; s != nil && len(s.shape) == 1 && len(starts) == 1 {
		r := c.sliceRange(starts[0], ends[0], steps[0], len(s.elems))
		out := vectorOf(nil)
		for _, i := range r.list() {
			out.elems = append(out.elems, s.elems[i])
		}
		return []*value{{sizes: out}}
	}
	x := c.x(0)
	c.axes(axes, x.Rank()) // which must differ
	for i, a := range axes {
		x = c.slice(x, c.axis(a, x.Rank()), starts[i], ends[i], steps[i])
	}
	return one(x)
}

// indexRange is the indices first, first+step, …, count of them.
type indexRange struct{ first, step, count int }

func (r indexRange) list() []int {
	list := make([]int, r.count)
	for i := range list {
		list[i] = r.first + i*r.step
	}
	return list
}

// sliceRange returns which of n elements a slice takes. Starts and ends count
// from the end where they are negative, and are cut to what there is.
func (c *call) sliceRange(start, end, step, n int) indexRange {
	if step == 0 || step == math.MinInt64 {
		c.fail("a slice of step %d", step)
	}
	clip := func(i, low, high int) int {
		if i < 0 {
			i += n
		}
		return max(low, min(i, high))
	}
	if step > 0 {
		start, end = clip(start, 0, n), clip(end, 0, n)
		return indexRange{start, step, max(0, (end-start+step-1)/step)}
	}
	start, end = clip(start, -1, n-1), clip(end, -1, n-1)
	return indexRange{start, step, max(0, (start-end-step-1)/-step)}
}

func (c *call) slice(x *graph.Node, axis, start, end, step int) *graph.Node {
	if n, ok := x.Shape()[axis].Constant(); !ok && start == 0 && step == 1 && end >= math.MaxInt32 {
		return x // the whole axis
	} else if step > max(1, n) {
		step = max(1, n)
	}
	n := c.size(x, axis)
	r := c.sliceRange(start, end, step, n)
	switch {
	case r.count == 0:
		return graph.Slice(x, axis, 0, 0, 1)
	case step > 0:
		return graph.Slice(x, axis, r.first, r.first+(r.count-1)*r.step+1, r.step)
	}
	return c.take(x, axis, r.list())
}

// take returns the elements of x at known indices along an axis.
func (c *call) take(x *graph.Node, axis int, indices []int) *graph.Node {
	t := tensor.New(tensor.Int64, len(indices))
	for i, at := range indices {
		tensor.Data[int64](t)[i] = int64(at)
	}
	return graph.Gather(x, c.made(t), axis)
}

func readExpand(c *call) []*value {
	x := c.x(0)
	return one(graph.Broadcast(x, c.common(x.Shape(), c.dims(1))))
}

func readTile(c *call) []*value {
	if c.version < 6 {
		c.fail("the form of versions before 6 is not supported")
	}
	x := c.x(0)
	repeats := c.dims(1)
	if len(repeats) != x.Rank() {
		c.fail("%d repeats for %v", len(repeats), x.Type())
	}
	// A new axis of the number of repeats in front of each one, merged with it.
	var split, full, merged graph.Shape
	for i, d := range x.Shape() {
		split = append(split, graph.Const(1), d)
		full = append(full, repeats[i], d)
		merged = append(merged, c.times(repeats[i], d))
	}
	if _, ok := volume(merged); !ok {
		c.fail("shape %v is too large", merged)
	}
	return one(graph.Reshape(graph.Broadcast(graph.Reshape(x, split), full), merged))
}

func readIdentity(c *call) []*value { return []*value{c.operand(0)} }

// readDropout is the identity, as it is for inference.
func readDropout(c *call) []*value {
	c.ignore("ratio", "is_test", "seed", "consumed_inputs")
	if c.has(2) && c.version >= 12 && c.scalar(2) != 0 {
		c.fail("dropout in training mode is not supported")
	}
	x := c.operand(0)
	if len(c.op.outputs) < 2 || c.version < 10 {
		return []*value{x}
	}
	truth := c.graph.Constant(tensor.Of([]bool{true}))
	return []*value{x, {node: graph.Broadcast(truth, c.x(0).Shape())}}
}

func readShape(c *call) []*value {
	var dims []graph.Dim
	if v := c.operand(0); v.node == nil {
		dims = graph.Dims(v.sizes.shape...)
	} else {
		dims = v.node.Shape()
	}
	n := len(dims)
	clip := func(i int) int {
		if i < 0 {
			i += n
		}
		return max(0, min(i, n))
	}
	start, end := clip(c.integer("start", 0)), clip(c.integer("end", n))
	return []*value{{sizes: vectorOf(dims[start:max(start, end)])}}
}

func readSize(c *call) []*value {
	n, ok := volume(c.x(0).Shape())
	if !ok {
		c.fail("shape %v is too large", c.x(0).Shape())
	}
	return []*value{{sizes: &sizes{elems: []graph.Dim{n}}}}
}

func readConstant(c *call) []*value {
	p := c.tensors["value"]
	c.ignore("value")
	if p != nil {
		t, err := readTensor(p, c.options.Dir)
		if err != nil {
			c.fail("%w", err)
		}
		return one(c.graph.Constant(t))
	}
	var t *tensor.Tensor
	if v, ok := attribute[float32](c, "value_float"); ok {
		t = tensor.Of([]float32{v})
	} else if v, ok := attribute[[]float32](c, "value_floats"); ok {
		t = tensor.Of(v, len(v))
	} else if v, ok := attribute[int64](c, "value_int"); ok {
		t = tensor.Of([]int64{v})
	} else if v, ok := attribute[[]int64](c, "value_ints"); ok {
		t = tensor.Of(v, len(v))
	} else {
		c.fail("a value that is a tensor or numbers is wanted")
	}
	return one(c.graph.Constant(t))
}

func readConstantOfShape(c *call) []*value {
	fill := tensor.Of([]float32{0})
	c.ignore("value")
	if p := c.tensors["value"]; p != nil {
		t, err := readTensor(p, c.options.Dir)
		if err != nil {
			c.fail("%w", err)
		}
		if t.Len() != 1 {
			c.fail("a value of one element is wanted, not %v", t)
		}
		fill = t.Reshape()
	}
	return one(graph.Broadcast(c.graph.Constant(fill), c.shape(0)))
}

// shape returns operand i as a shape.
func (c *call) shape(i int) graph.Shape {
	s := graph.Shape(slices.Clone(c.dims(i)))
	for _, d := range s {
		if n, _ := d.Factors(); n < 0 {
			c.fail("shape %v has a negative dimension", s)
		}
	}
	if _, ok := volume(s); !ok {
		c.fail("shape %v is too large", s)
	}
	return s
}

// elementType returns an attribute that is an element type. Before version 6
// that of Cast was a word.
func (c *call) elementType(name string) onnxpb.TensorProto_DataType {
	if word, ok := c.op.attributes[name].(string); ok {
		c.ignore(name)
		return onnxpb.TensorProto_DataType(onnxpb.TensorProto_DataType_value[word])
	}
	return onnxpb.TensorProto_DataType(c.integer(name, 0))
}

// Blocks of b×b pixels go into channels and back.

func readDepthToSpace(c *call) []*value {
	x, b := c.image()
	s := x.Shape()
	n, channels := s[0], c.size(x, 1)
	if channels%(b*b) != 0 {
		c.fail("%d channels do not divide into blocks of %d×%d", channels, b, b)
	}
	block, rest := graph.Const(b), graph.Const(channels/(b*b))
	split, perm := graph.Shape{n, block, block, rest, s[2], s[3]}, []int{0, 3, 4, 1, 5, 2}
	switch mode := c.text("mode", "DCR"); mode {
	case "DCR":
	case "CRD":
		split, perm = graph.Shape{n, rest, block, block, s[2], s[3]}, []int{0, 1, 4, 2, 5, 3}
	default:
		c.fail("mode %q is not known", mode)
	}
	y := graph.Transpose(graph.Reshape(x, split), perm...)
	return one(graph.Reshape(y, graph.Shape{n, rest, c.times(s[2], block), c.times(s[3], block)}))
}

func readSpaceToDepth(c *call) []*value {
	x, b := c.image()
	s := x.Shape()
	h, w := c.size(x, 2), c.size(x, 3)
	if h%b != 0 || w%b != 0 {
		c.fail("%d×%d pixels do not divide into blocks of %d×%d", h, w, b, b)
	}
	block := graph.Const(b)
	split := graph.Shape{s[0], s[1], graph.Const(h / b), block, graph.Const(w / b), block}
	y := graph.Transpose(graph.Reshape(x, split), 0, 3, 5, 1, 2, 4)
	return one(graph.Reshape(y, graph.Shape{s[0], c.times(s[1], graph.Const(b*b)), split[2], split[4]}))
}

func (c *call) image() (x *graph.Node, block int) {
	x, block = c.x(0), c.integer("blocksize", 0)
	if x.Rank() != 4 || block < 1 || block > 1<<15 {
		c.fail("pictures [N C H W] and a block are wanted, not %v and %d", x.Type(), block)
	}
	return x, block
}
