package onnximport

import (
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// readGridSample reads pictures [N C …] at places that a grid [N … D] gives, from −1 to
// 1 along each of D spatial axes, the last one first.
func readGridSample(c *call) []*value {
	x, grid := c.float(0), graph.Cast(c.float(1), c.x(0).DType())
	axes := x.Rank() - 2
	if axes < 1 || grid.Rank() != x.Rank() || c.size(grid, grid.Rank()-1) != axes {
		c.fail("a grid %v for %v", grid.Type(), x.Type())
	}
	s := sampling{call: c, x: x, corners: c.integer("align_corners", 0) != 0, padding: c.text("padding_mode", "zeros")}
	if !slices.Contains([]string{"zeros", "border", "reflection"}, s.padding) {
		c.fail("padding_mode %q is not known", s.padding)
	}
	var at []*graph.Node // along each axis, [N P]
	points := graph.Shape{grid.Shape()[0], c.volume(grid.Shape()[1 : 1+axes])}
	for i := range axes {
		coordinate := graph.Reshape(graph.Slice(grid, grid.Rank()-1, axes-1-i, axes-i, 1), points)
		at = append(at, s.place(coordinate, i))
	}
	mode := c.text("mode", "linear")
	for i := range at {
		switch mode {
		case "nearest":
			at[i] = s.padded(graph.Round(at[i]), i)
		case "linear", "bilinear": // the taps of cubic interpolation are padded one by one
			at[i] = s.padded(at[i], i)
		}
	}
	var y *graph.Node
	switch mode {
	case "linear", "bilinear":
		y = s.interpolated(at, []tap{{0, func(f *graph.Node) *graph.Node { return graph.Sub(graph.Like(f, 1), f) }},
			{1, func(f *graph.Node) *graph.Node { return f }}})
	case "nearest":
		y = s.interpolated(at, []tap{{0, func(f *graph.Node) *graph.Node { return graph.Like(f, 1) }}})
	case "cubic", "bicubic":
		y = s.interpolated(at, cubicTaps())
	default:
		c.fail("mode %q is not known", mode)
	}
	return one(graph.Reshape(y, slices.Concat(x.Shape()[:2], grid.Shape()[1:1+axes])))
}

// tap is a neighbour of a place: how far it is from the one below, and its weight as
// a function of the rest.
type tap struct {
	offset int
	weight func(rest *graph.Node) *graph.Node
}

// cubicTaps is the convolution of Keys with a = −0.75.
func cubicTaps() []tap {
	const a = -0.75
	near := func(d *graph.Node) *graph.Node { // |d| ≤ 1
		return graph.Shift(graph.Mul(graph.Mul(d, d), graph.Shift(graph.Scale(d, a+2), -(a+3))), 1)
	}
	far := func(d *graph.Node) *graph.Node { // 1 < |d| < 2
		return graph.Shift(graph.Mul(d, graph.Shift(graph.Mul(d, graph.Shift(graph.Scale(d, a), -5*a)), 8*a)), -4*a)
	}
	rest := func(f *graph.Node, n float64) *graph.Node { return graph.Sub(graph.Like(f, n), f) }
	return []tap{
		{-1, func(f *graph.Node) *graph.Node { return far(graph.Shift(f, 1)) }},
		{0, near},
		{1, func(f *graph.Node) *graph.Node { return near(rest(f, 1)) }},
		{2, func(f *graph.Node) *graph.Node { return far(rest(f, 2)) }},
	}
}

// sampling reads x [N C …] between its elements.
type sampling struct {
	*call
	x       *graph.Node
	corners bool // −1 and 1 are the middles of the outermost elements, not their outer edges
	padding string
}

// size returns the size of spatial axis i as a number like y.
func (s sampling) size(y *graph.Node, i int) *graph.Node {
	return graph.Cast(s.repeated(graph.Cast(y, tensor.Int64), s.x.Shape()[2+i]), y.DType())
}

// place turns coordinates from −1 to 1 into places among the elements of axis i.
func (s sampling) place(g *graph.Node, i int) *graph.Node {
	n := s.size(g, i)
	if s.corners {
		return graph.Scale(graph.Mul(graph.Shift(g, 1), graph.Shift(n, -1)), 0.5)
	}
	return graph.Shift(graph.Scale(graph.Mul(graph.Shift(g, 1), n), 0.5), -0.5)
}

// padded brings places that lie outside of axis i back, as the padding says.
func (s sampling) padded(at *graph.Node, i int) *graph.Node {
	zero, last := graph.Like(at, 0), graph.Shift(s.size(at, i), -1)
	switch s.padding {
	case "zeros":
		return at
	case "reflection":
		low, width := graph.Like(at, -0.5), graph.Shift(last, 1)
		if s.corners {
			low, width = zero, graph.Maximum(last, graph.Like(last, 1)) // 1 for a single element
		}
		off := graph.Abs(graph.Sub(at, low))
		turns := graph.Floor(graph.Div(off, width))
		rest := graph.Sub(off, graph.Mul(turns, width))
		odd := graph.Sub(turns, graph.Scale(graph.Floor(graph.Scale(turns, 0.5)), 2))
		at = graph.Add(graph.Where(graph.Equal(odd, graph.Like(odd, 1)), graph.Sub(width, rest), rest), low)
	}
	return graph.Minimum(graph.Maximum(at, zero), last)
}

// inside returns an index that is one of axis i, and where it counts; nil for everywhere.
func (s sampling) inside(index *graph.Node, i int) (within, counts *graph.Node) {
	if s.padding != "zeros" {
		return s.padded(index, i), nil
	}
	clamped := graph.Minimum(graph.Maximum(index, graph.Like(index, 0)), graph.Shift(s.size(index, i), -1))
	return clamped, graph.Equal(clamped, index)
}

// interpolated returns [N C P], the sum over the neighbours of places at [N P].
func (s sampling) interpolated(at []*graph.Node, taps []tap) *graph.Node {
	x, axes := s.x, len(at)
	below, rest := make([]*graph.Node, axes), make([]*graph.Node, axes)
	for i, a := range at {
		below[i] = graph.Floor(a)
		rest[i] = graph.Sub(a, below[i])
	}
	batch, channels, points := x.Shape()[0], x.Shape()[1], at[0].Shape()[1]
	area := s.volume(x.Shape()[2:])
	planes := graph.Reshape(x, graph.Shape{s.times(s.times(batch, channels), area)})
	total := (*graph.Node)(nil)
	var visit func(i int, index, weight *graph.Node)
	visit = func(i int, index, weight *graph.Node) {
		if i == axes {
			full := graph.Shape{batch, channels, points}
			index = graph.BroadcastAlong(graph.Cast(index, tensor.Int64), full, 0, 2)
			plane := graph.Add(graph.Mul(places(s.call, index, 0), s.repeated(index, channels)), places(s.call, index, 1))
			index = graph.Add(graph.Mul(plane, s.repeated(index, area)), index)
			v := graph.Mul(graph.Gather(planes, index, 0), graph.BroadcastAlong(weight, full, 0, 2))
			if total != nil {
				v = graph.Add(total, v)
			}
			total = v
			return
		}
		for _, t := range taps {
			along, counts := s.inside(graph.Shift(below[i], float64(t.offset)), i)
			w := t.weight(rest[i])
			if counts != nil {
				w = graph.Where(counts, w, graph.Like(w, 0))
			}
			next := along
			if index != nil {
				next, w = graph.Add(graph.Mul(index, s.size(index, i)), along), graph.Mul(weight, w)
			}
			visit(i+1, next, w)
		}
	}
	visit(0, nil, nil)
	return total
}

// readAffineGrid maps a grid of places by matrices theta [N D D+1].
func readAffineGrid(c *call) []*value {
	theta, size := c.float(0), c.sizeList(1)
	axes := len(size) - 2
	if axes < 1 || theta.Rank() != 3 || c.size(theta, 1) != axes || c.size(theta, 2) != axes+1 {
		c.fail("matrices %v for a shape %v", theta.Type(), graph.Shape(size))
	}
	corners := c.integer("align_corners", 0) != 0
	spatial := slices.Clone(graph.Shape(size[2:]))
	points := c.volume(spatial)
	var rows []*graph.Node // of x, y, … and 1, [1 P]
	for i := range axes {
		axis := axes - 1 - i
		steps := c.iota(spatial[axis])
		n := graph.Cast(c.repeated(steps, spatial[axis]), theta.DType())
		at := graph.Cast(steps, theta.DType())
		if corners {
			span := graph.Maximum(graph.Shift(n, -1), graph.Like(n, 1))
			at = graph.Shift(graph.Div(graph.Scale(at, 2), span), -1)
			single := graph.Equal(n, graph.Like(n, 1))
			at = graph.Where(single, graph.Like(at, 0), at)
		} else {
			at = graph.Shift(graph.Div(graph.Shift(graph.Scale(at, 2), 1), n), -1)
		}
		rows = append(rows, graph.Reshape(graph.BroadcastAlong(at, spatial, axis), graph.Shape{graph.Const(1), points}))
	}
	rows = append(rows, graph.Like(rows[0], 1))
	y := graph.SwapLast(c.matMul(theta, graph.Concat(0, rows...)))
	return one(graph.Reshape(y, slices.Concat(graph.Shape{theta.Shape()[0]}, spatial, graph.Dims(axes))))
}
