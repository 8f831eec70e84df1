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
	list := func(name string, otherwise, count, least int) []int {
		v, ok := c.integers(name)
		if !ok {
			return slices.Repeat([]int{otherwise}, count)
		}
		if len(v) != count || slices.Min(v) < least || slices.Max(v) > 1<<31 {
			c.fail("%s %v, want %d numbers of at least %d", name, v, count, least)
		}
		return v
	}
	k := list("kernel_shape", 0, axes, 1)
	if kernel == nil {
		w.kernel = k
	} else if k[0] != 0 && !slices.Equal(k, kernel) {
		c.fail("kernel_shape %v for a kernel of %v", k, kernel)
	}
	if len(w.kernel) != axes || slices.Min(w.kernel) < 1 {
		c.fail("want a kernel of %d axes, not %v", axes, w.kernel)
	}
	w.strides, w.dilations = list("strides", 1, axes, 1), list("dilations", 1, axes, 1)
	pads := list("pads", 0, 2*axes, 0)
	w.lo, w.hi = pads[:axes], pads[axes:]
	return w
}

// reach returns how many elements the window spans along an axis.
func (w window) reach(axis int) int { return w.dilations[axis]*(w.kernel[axis]-1) + 1 }

// autoPad replaces the paddings as auto_pad says for an operand of a size.
func (c *call) autoPad(w *window, size []int) {
	how := c.text("auto_pad", "NOTSET")
	switch how {
	case "NOTSET", "":
		return
	case "VALID":
		w.lo, w.hi = make([]int, len(size)), make([]int, len(size))
		return
	case "SAME_UPPER", "SAME_LOWER":
	default:
		c.fail("auto_pad %q is not known", how)
	}
	w.lo, w.hi = make([]int, len(size)), make([]int, len(size))
	for i, n := range size {
		out := (n + w.strides[i] - 1) / w.strides[i]
		total := max(0, (out-1)*w.strides[i]+w.reach(i)-n)
		w.lo[i] = total / 2
		if how == "SAME_LOWER" {
			w.lo[i] = total - total/2
		}
		w.hi[i] = total - w.lo[i]
	}
}

// spatial returns the sizes of the spatial axes of x.
func (c *call) spatial(x *graph.Node) []int {
	var n []int
	for i := 2; i < x.Rank(); i++ {
		n = append(n, c.size(x, i))
	}
	return n
}

func (c *call) kernel(x, w *graph.Node) []int {
	if w.Rank() != x.Rank() || w.Rank() < 3 {
		c.fail("weights %v for %v", w.Type(), x.Type())
	}
	return c.spatial(w)
}

// addBias adds operand 2, one number for each channel, if it is there.
func (c *call) addBias(y *graph.Node) []*value {
	if c.has(2) {
		y = graph.Add(y, graph.BroadcastAlong(c.x(2), y.Shape(), 1))
	}
	return one(y)
}

func readConv(c *call) []*value {
	x, w := c.float(0), c.float(1)
	g := c.window(x, c.kernel(x, w))
	c.autoPad(&g, c.spatial(x))
	return c.addBias(graph.Conv(x, w, graph.ConvAttr{
		Strides: g.strides, Dilations: g.dilations, PadLo: g.lo, PadHi: g.hi, Groups: c.integer("group", 1),
	}))
}

// readConvTranspose reads the adjoint of a convolution: what its result
// would be the input of.
func readConvTranspose(c *call) []*value {
	x, w := c.float(0), c.float(1)
	g := c.window(x, c.kernel(x, w))
	in := c.spatial(x)
	extra, ok := c.integers("output_padding")
	if !ok {
		extra = make([]int, len(in))
	}
	size, fixed := c.integers("output_shape")
	if len(extra) != len(in) || fixed && len(size) < len(in) {
		c.fail("output_padding %v and output_shape %v for %v", extra, size, x.Type())
	}
	full := make([]int, len(in)) // without paddings
	for i, n := range in {
		full[i] = g.strides[i]*(n-1) + extra[i] + g.reach(i)
	}
	how := c.text("auto_pad", "NOTSET")
	if fixed {
		size = size[len(size)-len(in):]
	} else {
		size = make([]int, len(in))
		for i, n := range in {
			switch how {
			case "SAME_UPPER", "SAME_LOWER":
				size[i], fixed = n*g.strides[i], true
			case "VALID":
				size[i] = full[i]
				g.lo[i], g.hi[i] = 0, 0
			default:
				size[i] = full[i] - g.lo[i] - g.hi[i]
			}
		}
	}
	for i := range in {
		if fixed {
			total := max(0, full[i]-size[i])
			g.lo[i] = total - total/2
			if how == "SAME_UPPER" {
				g.lo[i] = total / 2
			}
			g.hi[i] = total - g.lo[i]
			// What is wanted beyond the full size stays 0.
		}
		if size[i] < 1 {
			c.fail("a result of spatial size %v", size)
		}
	}
	return c.addBias(c.adjoint(x, w, g, size))
}

// adjoint is ConvInputGrad for any output padding: where the result reaches
// beyond what the windows see, it is computed smaller and padded with zeros.
func (c *call) adjoint(x, w *graph.Node, g window, size []int) *graph.Node {
	in := c.spatial(x)
	inner, more := slices.Clone(size), make([]int, x.Rank())
	for i, n := range in {
		// The largest size whose convolution has n positions.
		most := g.strides[i]*n - 1 + g.reach(i) - g.lo[i] - g.hi[i]
		if size[i] > most {
			inner[i], more[i+2] = most, size[i]-most
		}
		if inner[i] < 1 {
			c.fail("paddings %v and %v leave nothing", g.lo, g.hi)
		}
	}
	y := graph.ConvInputGrad(x, w, graph.ConvAttr{
		Strides: g.strides, Dilations: g.dilations, PadLo: g.lo, PadHi: g.hi, Groups: c.integer("group", 1),
	}, inner)
	return graph.Pad(y, make([]int, len(more)), more, nil)
}
