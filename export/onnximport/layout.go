package onnximport

import (
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// readReshape reads the new shape from an attribute, or since version 5 from
// an operand. A 0 copies the operand's dimension, and a −1 stands for the rest.
func readReshape(c *call) []*value {
	c.ignore("consumed_inputs")
	copies := c.integer("allowzero", 0) == 0
	var dims []graph.Dim
	if c.version >= 5 && !c.follows(1) {
		return one(c.reshapeMeasured(c.x(0), copies))
	} else if c.version >= 5 {
		dims = slices.Clone(c.dims(1))
	} else {
		list, _ := c.integers("shape")
		dims = graph.Dims(list...)
	}
	in := c.operand(0)
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
	if c.version >= 13 && !c.follows(1) {
		return one(c.squeezeMeasured(c.x(0)))
	}
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
	if c.version >= 13 && !c.follows(1) {
		return one(c.unsqueezeMeasured(c.x(0)))
	}
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

func readExpand(c *call) []*value {
	x := c.x(0)
	to := slices.Clone(c.sizeList(1))
	if !c.follows(1) { // sizes of x that are not 1 cannot change
		for i, d := range x.Shape() {
			if j := len(to) - x.Rank() + i; j >= 0 && d != graph.Const(1) {
				to[j] = d
			}
		}
	}
	return one(graph.Broadcast(x, c.common(x.Shape(), to)))
}

func readTile(c *call) []*value {
	if c.version < 6 {
		c.fail("the form of versions before 6 is not supported")
	}
	x := c.x(0)
	repeats := c.sizeList(1)
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

// readDropout is the identity, as it is for inference, unless the model is read or was
// written for training: then what it drops follows from the input [SeedInput].
func readDropout(c *call) []*value {
	c.ignore("ratio", "is_test", "seed", "consumed_inputs")
	training := c.has(2) && c.version >= 12 && !c.options.InUse && c.scalar(2) != 0
	if training || c.options.Training {
		ratio := c.number("ratio", 0.5)
		if c.has(1) && c.version >= 12 {
			ratio = c.scalar(1)
		}
		y, kept := c.drop(c.float(0), ratio)
		return []*value{{node: y}, {node: kept}}
	}
	x := c.operand(0)
	if len(c.op.outputs) < 2 || c.version < 10 {
		return []*value{x}
	}
	truth := c.graph.Constant(tensor.Of([]bool{true}))
	return []*value{x, {node: graph.Broadcast(truth, c.x(0).Shape())}}
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
	perm := []int{0, 3, 5, 1, 2, 4}
	if c.text("mode", "DCR") == "CRD" {
		perm = []int{0, 1, 3, 5, 2, 4}
	}
	s := x.Shape()
	h, w := c.size(x, 2), c.size(x, 3)
	if h%b != 0 || w%b != 0 {
		c.fail("%d×%d pixels do not divide into blocks of %d×%d", h, w, b, b)
	}
	block := graph.Const(b)
	split := graph.Shape{s[0], s[1], graph.Const(h / b), block, graph.Const(w / b), block}
	y := graph.Transpose(graph.Reshape(x, split), perm...)
	return one(graph.Reshape(y, graph.Shape{s[0], c.times(s[1], graph.Const(b*b)), split[2], split[4]}))
}

func (c *call) image() (x *graph.Node, block int) {
	x, block = c.x(0), c.integer("blocksize", 0)
	if x.Rank() != 4 || block < 1 || block > 1<<15 {
		c.fail("want pictures [N C H W] and a block, not %v and %d", x.Type(), block)
	}
	return x, block
}
