package onnximport

import (
	"math"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

func isConstant(d graph.Dim) bool {
	_, ok := d.Constant()
	return ok
}

// symbolicScale is scaled for a symbolic axis: the scale is a fraction.
func (c *call) symbolicScale(r resampling, n graph.Dim, scale float64) resampling {
	const most = 64
	for under := 1; under <= most; under++ {
		over := math.Round(scale * float64(under))
		if over >= 1 && over < mostFolded && math.Abs(over-scale*float64(under)) < 1e-5*over {
			r.from, r.to = n, n.Mul(graph.Const(int(over))).Div(graph.Const(under))
			return r
		}
	}
	c.fail("scale %g of dimension %v, want a fraction of at most %d", scale, n, most)
	return r
}

// scaledMeasured is scaled for scales that only values say. Sizes are rounded down after
// adding more.
func (c *call) scaledMeasured(r resampling, x *graph.Node, axes []int, scales []*graph.Node, more float64) []resampling {
	if len(scales) != len(axes) {
		c.fail("%d scales for %d axes", len(scales), len(axes))
	}
	all := make([]resampling, len(axes))
	for i, a := range axes {
		n := graph.Cast(c.count(x.Shape()[a]), tensor.Float64)
		all[i] = r
		all[i].from, all[i].by = x.Shape()[a], scales[i]
		all[i].to = c.measured(graph.Cast(graph.Floor(graph.Shift(graph.Mul(n, scales[i]), more)), tensor.Int64))
	}
	return all
}

// sizedMeasured is sized for sizes, operand i, that only values say.
func (c *call) sizedMeasured(r resampling, x *graph.Node, axes []int, i int, policy string) []resampling {
	all, sizes, scales := make([]resampling, len(axes)), c.scalars(i), []*graph.Node(nil)
	if len(sizes) != len(axes) {
		c.fail("%d sizes for %d axes", len(sizes), len(axes))
	}
	for i, a := range axes {
		scales = append(scales, graph.Div(graph.Cast(sizes[i], tensor.Float64), graph.Cast(c.count(x.Shape()[a]), tensor.Float64)))
		if policy == "stretch" {
			all[i] = r
			all[i].from, all[i].to = x.Shape()[a], c.measured(sizes[i])
		}
	}
	choose := graph.Minimum
	switch policy {
	case "stretch":
		return all
	case "not_larger":
	case "not_smaller":
		choose = graph.Maximum
	default:
		c.fail("keep_aspect_ratio_policy %q is not known", policy)
	}
	scale := scales[0]
	for _, s := range scales[1:] {
		scale = choose(scale, s)
	}
	return c.scaledMeasured(r, x, axes, slices.Repeat([]*graph.Node{scale}, len(axes)), 0.5)
}

// resampleSymbolic reads an axis of symbolic size at places that are computed
// at run time, one element at each or several and their weights.
func (c *call) resampleSymbolic(x *graph.Node, axis int, r resampling) *graph.Node {
	if y := c.repeatSymbolic(x, axis, r); y != nil {
		return y
	}
	if r.antialias {
		c.fail("antialias of dimension %v to %v, want numbers", r.from, r.to)
	}
	at := c.placesOf(r)
	like := func(v float64) *graph.Node { return constantLike(at, v) }
	last := graph.Sub(c.repeated(at, r.from), like(1))
	within := func(p *graph.Node) *graph.Node { return graph.Maximum(like(0), graph.Minimum(p, last)) }
	take := func(p *graph.Node) *graph.Node { return graph.Gather(x, graph.Cast(within(p), tensor.Int64), axis) }
	switch r.mode {
	case "nearest":
		switch r.nearest {
		case "round_prefer_floor":
			return take(ceil(graph.Sub(at, like(0.5))))
		case "round_prefer_ceil":
			return take(graph.Floor(graph.Add(at, like(0.5))))
		case "floor":
			return take(graph.Floor(at))
		case "ceil":
			return take(ceil(at))
		}
		c.fail("nearest_mode %q is not known", r.nearest)
	case "linear", "bilinear", "cubic":
		low := graph.Floor(at)
		rest := graph.Sub(at, low)
		first, weights := 0.0, []*graph.Node{graph.Sub(like(1), rest), rest}
		if r.mode == "cubic" {
			first, weights = -1, r.cubic(rest)
		}
		if r.exclude {
			total := like(0)
			for k := range weights {
				p := graph.Shift(low, first+float64(k))
				weights[k] = graph.Where(graph.Equal(within(p), p), weights[k], like(0))
				total = graph.Add(total, weights[k])
			}
			for k := range weights {
				weights[k] = graph.Div(weights[k], total)
			}
		}
		var y *graph.Node
		for k, w := range weights {
			part := take(graph.Shift(low, first+float64(k)))
			part = graph.Mul(part, graph.BroadcastAlong(graph.Cast(w, x.DType()), part.Shape(), axis))
			if y != nil {
				part = graph.Add(y, part)
			}
			y = part
		}
		return y
	}
	c.fail("mode %q is not known", r.mode)
	return nil
}

// cubic returns the weights of the elements at −1, 0, 1 and 2 from the last one before a
// place that is a rest behind it.
func (r resampling) cubic(rest *graph.Node) []*graph.Node {
	near := func(d *graph.Node) *graph.Node { // from 0 to 1
		return graph.Shift(graph.Mul(graph.Shift(graph.Scale(d, r.cubicA+2), -r.cubicA-3), graph.Mul(d, d)), 1)
	}
	far := func(d *graph.Node) *graph.Node { // from 1 to 2
		y := graph.Shift(graph.Scale(d, r.cubicA), -5*r.cubicA)
		return graph.Shift(graph.Mul(graph.Shift(graph.Mul(y, d), 8*r.cubicA), d), -4*r.cubicA)
	}
	other := graph.Sub(graph.Like(rest, 1), rest)
	return []*graph.Node{far(graph.Shift(rest, 1)), near(rest), near(other), far(graph.Shift(other, 1))}
}

// repeatSymbolic repeats each element where that is what a scale that is a
// whole number says, as it does for a few elements; otherwise it returns nil.
func (c *call) repeatSymbolic(x *graph.Node, axis int, r resampling) *graph.Node {
	factor, ok := r.to.DivExact(r.from)
	times, constant := factor.Constant()
	if !ok || !constant || r.mode != "nearest" || times > 1<<10 {
		return nil
	}
	few := r
	few.n, few.out, few.scale = 8, 8*times, float64(times)
	for i := range few.out {
		if few.nearestTo(few.at(i)) != i/times {
			return nil
		}
	}
	full := slices.Insert(slices.Clone(x.Shape()), axis+1, factor)
	merged := slices.Clone(x.Shape())
	merged[axis] = r.to
	return graph.Reshape(graph.Broadcast(graph.ExpandDims(x, axis+1), full), merged)
}

// placesOf returns, in float64, the places in the input that outputs read.
func (c *call) placesOf(r resampling) *graph.Node {
	o := graph.Cast(c.iota(r.to), tensor.Float64)
	from, to := c.repeated(o, r.from), c.repeated(o, r.to)
	like := func(v float64) *graph.Node { return constantLike(o, v) }
	scale := graph.Div(to, from)
	if r.by != nil {
		scale = graph.Broadcast(r.by, o.Shape())
	} else if r.scale > 0 {
		scale = like(r.scale)
	}
	half := graph.Sub(graph.Div(graph.Add(o, like(0.5)), scale), like(0.5))
	switch r.transform {
	case "half_pixel":
		return half
	case "pytorch_half_pixel":
		return graph.Where(graph.Equal(to, like(1)), like(0), half)
	case "align_corners":
		return graph.Div(graph.Mul(o, graph.Sub(from, like(1))), graph.Maximum(graph.Sub(to, like(1)), like(1)))
	case "asymmetric":
		return graph.Div(o, scale)
	case "half_pixel_symmetric":
		adjust := graph.Sub(like(1), graph.Div(to, graph.Mul(scale, from)))
		return graph.Add(graph.Mul(graph.Scale(from, 0.5), adjust), half)
	case "tf_crop_and_resize":
		start, end := graph.Broadcast(r.region[0], o.Shape()), graph.Broadcast(r.region[1], o.Shape())
		last := graph.Shift(from, -1)
		middle := graph.Mul(graph.Scale(graph.Add(start, end), 0.5), last)
		step := graph.Div(graph.Mul(graph.Sub(end, start), last), graph.Maximum(graph.Shift(to, -1), like(1)))
		return graph.Where(graph.Equal(to, like(1)), middle, graph.Add(graph.Mul(start, last), graph.Mul(o, step)))
	}
	c.fail("coordinate_transformation_mode %q of dimension %v, want a number", r.transform, r.from)
	return nil
}
