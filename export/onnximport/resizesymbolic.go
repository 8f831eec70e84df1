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

// resampleSymbolic reads an axis of symbolic size at places that are computed
// at run time, one element at each or two and their weights.
func (c *call) resampleSymbolic(x *graph.Node, axis int, r resampling) *graph.Node {
	if y := c.repeatSymbolic(x, axis, r); y != nil {
		return y
	}
	if r.antialias || r.exclude || r.mode == "cubic" {
		c.fail("%s resampling of dimension %v with antialias %v, want a number", r.mode, r.from, r.antialias)
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
	case "linear", "bilinear":
		at = within(at)
		low := graph.Floor(at)
		a, b := take(low), take(graph.Add(low, like(1)))
		weight := graph.BroadcastAlong(graph.Cast(graph.Sub(at, low), x.DType()), a.Shape(), axis)
		return graph.Add(a, graph.Mul(weight, graph.Sub(b, a)))
	}
	c.fail("mode %q is not known", r.mode)
	return nil
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
	if r.scale > 0 {
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
	}
	c.fail("coordinate_transformation_mode %q of dimension %v, want a number", r.transform, r.from)
	return nil
}
