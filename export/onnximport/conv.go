package onnximport

import (
	"slices"

	"ebm/models/graph"
)

// window is how the operators over windows of spatial axes give their
// geometry.
type window struct {
	kernel, strides, dilations, lo, hi []int
}

// window reads the geometry over the spatial axes of x. The kernel is an
// attribute, which may be absent if it follows from elsewhere.
func (c *call) window(x *graph.Node, kernel []int) window {
	if x.Rank() < 3 {
		c.fail("%v, want an operand [N C …] with spatial axes", x.Type())
	}
	axes := x.Rank() - 2
	w := window{kernel: kernel}
	k := c.numbers("kernel_shape", 0, axes, 1)
	if kernel == nil {
		w.kernel = k
	} else if k[0] != 0 && !slices.Equal(k, kernel) {
		c.fail("kernel_shape %v for a kernel of %v", k, kernel)
	}
	if len(w.kernel) != axes || slices.Min(w.kernel) < 1 {
		c.fail("want a kernel of %d axes, not %v", axes, w.kernel)
	}
	w.strides, w.dilations = c.numbers("strides", 1, axes, 1), c.numbers("dilations", 1, axes, 1)
	pads := c.numbers("pads", 0, 2*axes, 0)
	w.lo, w.hi = pads[:axes], pads[axes:]
	return w
}

// numbers returns an attribute of count integers of at least some size, or otherwise.
func (c *call) numbers(name string, otherwise, count, least int) []int {
	v, ok := c.integers(name)
	if !ok {
		return slices.Repeat([]int{otherwise}, count)
	}
	if len(v) != count || count > 0 && (slices.Min(v) < least || slices.Max(v) > 1<<31) {
		c.fail("%s %v, want %d numbers of at least %d", name, v, count, least)
	}
	return v
}

// reach returns how many elements the window spans along an axis.
func (w window) reach(axis int) int { return w.dilations[axis]*(w.kernel[axis]-1) + 1 }

// autoPad replaces the paddings as auto_pad says for the spatial axes of x.
func (c *call) autoPad(w *window, x *graph.Node) {
	how, axes := c.text("auto_pad", "NOTSET"), x.Rank()-2
	switch how {
	case "NOTSET", "":
		return
	case "VALID":
		w.lo, w.hi = make([]int, axes), make([]int, axes)
		return
	case "SAME_UPPER", "SAME_LOWER":
	default:
		c.fail("auto_pad %q is not known", how)
	}
	w.lo, w.hi = make([]int, axes), make([]int, axes)
	for i := range axes {
		total := w.reach(i) - 1
		if w.strides[i] > 1 {
			n := c.size(x, i+2)
			out := (n + w.strides[i] - 1) / w.strides[i]
			total = max(0, (out-1)*w.strides[i]+w.reach(i)-n)
		}
		w.lo[i] = total / 2
		if how == "SAME_LOWER" {
			w.lo[i] = total - total/2
		}
		w.hi[i] = total - w.lo[i]
	}
}

func (c *call) kernel(x, w *graph.Node) []int {
	if w.Rank() != x.Rank() || w.Rank() < 3 {
		c.fail("weights %v for %v", w.Type(), x.Type())
	}
	var n []int
	for i := 2; i < w.Rank(); i++ {
		n = append(n, c.size(w, i))
	}
	return n
}

// addBias adds operand 2, one number for each channel, if it is there.
func (c *call) addBias(y *graph.Node) []*value {
	if c.has(2) {
		y = graph.Add(y, graph.BroadcastAlong(c.x(2), y.Shape(), 1))
	}
	return one(y)
}

func readConv(c *call) []*value {
	return c.addBias(c.convolution(c.float(0), c.float(1)))
}

// convolution is that of the attributes.
func (c *call) convolution(x, w *graph.Node) *graph.Node {
	g := c.window(x, c.kernel(x, w))
	c.autoPad(&g, x)
	return graph.Conv(x, w, graph.ConvAttr{
		Strides: g.strides, Dilations: g.dilations, PadLo: g.lo, PadHi: g.hi, Groups: c.integer("group", 1),
	})
}

// readConvTranspose reads the adjoint of a convolution: what its result
// would be the input of.
func readConvTranspose(c *call) []*value {
	x, w := c.float(0), c.float(1)
	g := c.window(x, c.kernel(x, w))
	in := x.Shape()[2:]
	extra, ok := c.integers("output_padding")
	if !ok {
		extra = make([]int, len(in))
	}
	list, fixed := c.dimensions("output_shape")
	if len(extra) != len(in) || fixed && len(list) < len(in) {
		c.fail("output_padding %v and output_shape %v for %v", extra, graph.Shape(list), x.Type())
	}
	size := graph.Shape(list)
	full := make(graph.Shape, len(in)) // without paddings
	for i, n := range in {
		full[i] = n.Mul(graph.Const(g.strides[i])).Add(graph.Const(extra[i] + g.reach(i) - g.strides[i]))
	}
	how := c.text("auto_pad", "NOTSET")
	if fixed {
		size = size[len(size)-len(in):]
	} else {
		size = make(graph.Shape, len(in))
		for i, n := range in {
			switch how {
			case "SAME_UPPER", "SAME_LOWER":
				size[i], fixed = n.Mul(graph.Const(g.strides[i])), true
			case "VALID":
				size[i] = full[i]
				g.lo[i], g.hi[i] = 0, 0
			default:
				size[i] = full[i].Sub(graph.Const(g.lo[i] + g.hi[i]))
			}
		}
	}
	for i := range in {
		if fixed {
			total := max(0, c.known(full[i].Sub(size[i])))
			g.lo[i] = total - total/2
			if how == "SAME_UPPER" {
				g.lo[i] = total / 2
			}
			g.hi[i] = total - g.lo[i]
			// What is wanted beyond the full size stays 0.
		}
		if !possible(size[i].Sub(graph.Const(1))) {
			c.fail("a result of spatial size %v", size)
		}
	}
	return c.addBias(c.adjoint(x, w, g, size))
}

// known returns d, which must not depend on symbols.
func (c *call) known(d graph.Dim) int {
	n, ok := d.Constant()
	if !ok {
		c.fail("%v elements, want a number", d)
	}
	return n
}

// adjoint is ConvInputGrad for any output padding: where the result reaches
// beyond what the windows see, it is computed smaller and padded with zeros.
func (c *call) adjoint(x, w *graph.Node, g window, size graph.Shape) *graph.Node {
	inner, more := slices.Clone(size), make([]int, x.Rank())
	for i, n := range x.Shape()[2:] {
		// The largest size whose convolution has n positions.
		most := n.Mul(graph.Const(g.strides[i])).Add(graph.Const(g.reach(i) - 1 - g.lo[i] - g.hi[i]))
		if beyond := c.known(size[i].Sub(most)); beyond > 0 {
			inner[i], more[i+2] = most, beyond
		}
		if !possible(inner[i].Sub(graph.Const(1))) {
			c.fail("paddings %v and %v leave nothing", g.lo, g.hi)
		}
	}
	y := graph.ConvInputGrad(x, w, graph.ConvAttr{
		Strides: g.strides, Dilations: g.dilations, PadLo: g.lo, PadHi: g.hi, Groups: c.integer("group", 1),
	}, inner)
	return graph.Pad(y, make([]int, len(more)), more, nil)
}
