package onnximport

import (
	"math"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// resampling is how one axis of a Resize is computed: output i reads the input
// around a place that may lie between elements.
type resampling struct {
	n, out     int
	scale      float64
	mode       string
	transform  string
	nearest    string
	cubicA     float64
	antialias  bool
	exclude    bool    // elements outside count as nothing, not as the nearest one
	start, end float64 // of tf_crop_and_resize, from 0 to 1
	// from and to are the sizes where one is symbolic, and n and out are not
	// there; to is 0 otherwise. There, by is the scale if it is known at run time
	// only, and region what start and end are.
	from, to graph.Dim
	by       *graph.Node
	region   []*graph.Node
}

// readResize reads resampling as a linear map along each axis.
func readResize(c *call) []*value {
	x := c.x(0)
	r := resampling{
		mode: c.text("mode", "nearest"), transform: "asymmetric", nearest: "floor",
		cubicA: c.number("cubic_coeff_a", -0.75), antialias: c.integer("antialias", 0) != 0, exclude: c.integer("exclude_outside", 0) != 0,
	}
	scales, sizes := 1, -1 // operands; before version 11 there are no others
	if c.version >= 11 {
		r.transform = c.text("coordinate_transformation_mode", "half_pixel")
		r.nearest = c.text("nearest_mode", "round_prefer_floor")
		scales, sizes = 2, 3
	}
	axes := trailing(0, x.Rank())
	if list, ok := c.integers("axes"); ok {
		axes = c.axesAsGiven(list, x.Rank())
	}
	outside := c.number("extrapolation_value", 0)
	policy := c.text("keep_aspect_ratio_policy", "stretch")
	var all []resampling
	switch {
	case c.version < 9 || sizes < 0 && !c.has(1):
		list, ok := attribute[[]float32](c, "scales")
		if !ok || len(list) != len(axes) {
			c.fail("%d scales for %v", len(list), x.Type())
		}
		for i, a := range axes {
			all = append(all, c.scaled(r, x, a, float64(list[i])))
		}
	case c.has(scales) && c.x(scales).Shape().Volume() != graph.Const(0) && c.folder.value(c.x(scales)) == nil:
		all = c.scaledMeasured(r, x, axes, c.single(scales, tensor.Float64), 0)
	case sizes >= 0 && c.has(sizes) && !c.follows(sizes):
		all = c.sizedMeasured(r, x, axes, sizes, policy)
	case c.has(scales) && c.x(scales).Shape().Volume() != graph.Const(0):
		list := c.constant(scales).Float64s()
		if len(list) != len(axes) {
			c.fail("%d scales for %d axes", len(list), len(axes))
		}
		for i, a := range axes {
			all = append(all, c.scaled(r, x, a, list[i]))
		}
	case sizes >= 0 && c.has(sizes):
		all = c.sized(r, x, axes, c.dims(sizes), policy)
	default:
		c.fail("want scales or sizes")
	}
	if r.transform == "tf_crop_and_resize" {
		roi, known := c.single(1, tensor.Float64), c.folder.value(c.x(1))
		if len(roi) != 2*len(axes) {
			c.fail("a region of %d numbers for %d axes", len(roi), len(axes))
		}
		for i := range all {
			all[i].region = []*graph.Node{roi[i], roi[len(axes)+i]}
			if known != nil {
				all[i].start, all[i].end = known.Float64s()[i], known.Float64s()[len(axes)+i]
			} else if all[i].to == (graph.Dim{}) {
				all[i].from, all[i].to = x.Shape()[axes[i]], graph.Const(max(all[i].out, all[i].n))
			}
		}
	}
	y := x
	for i, a := range axes {
		y = c.resample(y, a, all[i])
	}
	if r.transform == "tf_crop_and_resize" {
		y = c.crop(y, axes, all, outside)
	}
	return one(y)
}

// readUpsample reads the operator that Resize replaced in version 10.
func readUpsample(c *call) []*value {
	if c.version > 9 {
		c.fail("the operator ends with version 9")
	}
	return readResize(c)
}

func (c *call) scaled(r resampling, x *graph.Node, axis int, scale float64) resampling {
	r.scale = scale
	if scale == 1 {
		return r // of any size
	}
	n, known := x.Shape()[axis].Constant()
	if !known {
		return c.symbolicScale(r, x.Shape()[axis], scale)
	}
	r.n = n
	if !(scale > 0) || float64(r.n)*scale > mostFolded {
		c.fail("scale %g of %d elements", scale, r.n)
	}
	r.out = int(math.Floor(float64(r.n) * scale))
	return r
}

func (c *call) sized(r resampling, x *graph.Node, axes []int, sizes []graph.Dim, policy string) []resampling {
	if len(sizes) != len(axes) {
		c.fail("%d sizes for %d axes", len(sizes), len(axes))
	}
	all := make([]resampling, len(axes))
	least, most := math.Inf(1), 0.0
	for i, a := range axes {
		all[i] = r
		all[i].scale = 1
		if sizes[i] == x.Shape()[a] {
			least, most = min(least, 1), max(most, 1)
			continue
		}
		if _, ok := x.Shape()[a].Constant(); !ok && policy == "stretch" || !isConstant(sizes[i]) {
			all[i].from, all[i].to = x.Shape()[a], sizes[i]
			if k, ok := sizes[i].DivExact(x.Shape()[a]); ok {
				times, _ := k.Constant()
				all[i].scale = float64(times)
			} else {
				all[i].scale = 0 // known at run time
			}
			continue
		}
		out, ok := sizes[i].Constant()
		if all[i].n = c.size(x, a); !ok || out < 1 || out > mostFolded || all[i].n == 0 {
			c.fail("size %v for dimension %v, want numbers", sizes[i], x.Shape()[a])
		}
		all[i].out, all[i].scale = out, float64(out)/float64(all[i].n)
		least, most = min(least, all[i].scale), max(most, all[i].scale)
	}
	if policy == "stretch" {
		return all
	}
	scale := least
	switch policy {
	case "not_larger":
	case "not_smaller":
		scale = most
	default:
		c.fail("keep_aspect_ratio_policy %q is not known", policy)
	}
	for i, a := range axes {
		all[i].n, all[i].scale = c.size(x, a), scale
		if out := float64(all[i].n) * scale; out < 0.5 || out > mostFolded {
			c.fail("scale %g of %d elements", scale, all[i].n)
		}
		all[i].out = int(math.Floor(float64(all[i].n)*scale + 0.5))
	}
	return all
}

// at returns the place in the input that output i reads.
func (r resampling) at(i int) float64 {
	o := float64(i)
	switch r.transform {
	case "half_pixel":
		return (o+0.5)/r.scale - 0.5
	case "half_pixel_symmetric":
		n := float64(r.n)
		adjust := float64(r.out) / (r.scale * n)
		return n/2*(1-adjust) + (o+0.5)/r.scale - 0.5
	case "pytorch_half_pixel":
		if r.out == 1 {
			return 0
		}
		return (o+0.5)/r.scale - 0.5
	case "align_corners":
		if r.out == 1 {
			return 0
		}
		return o * float64(r.n-1) / float64(r.out-1)
	case "asymmetric":
		return o / r.scale
	case "tf_crop_and_resize":
		n := float64(r.n - 1)
		if r.out == 1 {
			return 0.5 * (r.start + r.end) * n
		}
		return r.start*n + o*(r.end-r.start)*n/float64(r.out-1)
	}
	return math.NaN()
}

func (r resampling) nearestTo(x float64) int {
	i := 0.0
	switch r.nearest {
	case "round_prefer_floor":
		i = math.Ceil(x - 0.5)
	case "round_prefer_ceil":
		i = math.Floor(x + 0.5)
	case "floor":
		i = math.Floor(x)
	case "ceil":
		i = math.Ceil(x)
	default:
		return -1
	}
	return int(max(0, min(i, float64(r.n-1))))
}

// kernel is the weight of an element at a distance from the place that is
// read.
func (r resampling) kernel(d float64) float64 {
	d = math.Abs(d)
	if r.mode == "linear" {
		return max(0, 1-d)
	}
	a := r.cubicA
	switch {
	case d < 1:
		return (a+2)*d*d*d - (a+3)*d*d + 1
	case d < 2:
		return a*d*d*d - 5*a*d*d + 8*a*d - 4*a
	}
	return 0
}

// reach returns how many elements on each side of its place an output sees,
// and by how much the kernel is stretched for that.
func (r resampling) reach() (reach, shrink float64) {
	reach, shrink = 1, 1
	if r.mode == "cubic" {
		reach = 2
	}
	if r.antialias && r.scale < 1 {
		shrink = r.scale
		reach /= shrink
	}
	return reach, shrink
}

// bounded reports whether the weights of all outputs are few enough to be
// computed, at places that float64 tells apart.
func (r resampling) bounded() bool {
	const far = 1 << 40
	reach, _ := r.reach()
	first, last := math.Abs(r.at(0)), math.Abs(r.at(max(r.out-1, 0)))
	return first < far && last < far && reach*float64(max(r.out, 1)) <= mostFolded
}

// weights adds the weights of output i to row, which has one place for each
// element of the input.
func (r resampling) weights(i int, row []float64) {
	x := r.at(i)
	reach, shrink := r.reach()
	sum := 0.0
	low, high := math.Floor(x-reach), math.Ceil(x+reach)
	for from := low; from <= high; from++ {
		w := r.kernel((x - from) * shrink)
		inside := from >= 0 && from < float64(r.n)
		if w == 0 || r.exclude && !inside {
			continue
		}
		row[int(max(0, min(from, float64(r.n-1))))] += w
		sum += w
	}
	if sum != 0 {
		for j := range row {
			row[j] /= sum
		}
	}
}

func (c *call) resample(x *graph.Node, axis int, r resampling) *graph.Node {
	if r.to != (graph.Dim{}) {
		return c.resampleSymbolic(x, axis, r)
	}
	if r.out == 0 && r.scale == 1 || r.n == r.out && r.scale == 1 && r.transform != "tf_crop_and_resize" {
		return x
	}
	if r.n == 0 {
		r.n, r.out = c.size(x, axis), c.size(x, axis)
	}
	if math.IsNaN(r.at(0)) {
		c.fail("coordinate_transformation_mode %q is not known", r.transform)
	}
	switch r.mode {
	case "nearest":
		indices := make([]int, r.out)
		for i := range indices {
			if indices[i] = r.nearestTo(r.at(i)); indices[i] < 0 {
				c.fail("nearest_mode %q is not known", r.nearest)
			}
		}
		return c.repeat(x, axis, r, indices)
	case "linear", "cubic", "bilinear":
		if r.mode == "bilinear" {
			r.mode = "linear"
		}
		if r.n > mostFolded/max(1, r.out) {
			c.fail("%d elements from %d are too many", r.out, r.n)
		}
		if !r.bounded() {
			c.fail("a scale of %g makes %d elements depend on too many others", r.scale, r.out)
		}
		rows := make([]float64, r.out*r.n)
		for i := range r.out {
			r.weights(i, rows[i*r.n:(i+1)*r.n])
		}
		return c.along(x, axis, r.out, func(to, from int) float64 { return rows[to*r.n+from] })
	}
	c.fail("mode %q is not known", r.mode)
	return nil
}

// repeat takes elements at indices, by repeating each one where that is what
// they say.
func (c *call) repeat(x *graph.Node, axis int, r resampling, indices []int) *graph.Node {
	if r.n == 0 || r.out%r.n != 0 {
		return c.take(x, axis, indices)
	}
	times := r.out / r.n
	for i, at := range indices {
		if at != i/times {
			return c.take(x, axis, indices)
		}
	}
	full := slices.Insert(slices.Clone(x.Shape()), axis+1, graph.Const(times))
	merged := slices.Clone(x.Shape())
	merged[axis] = graph.Const(r.out)
	return graph.Reshape(graph.Broadcast(graph.ExpandDims(x, axis+1), full), merged)
}

// crop replaces what is read from outside of the input.
func (c *call) crop(y *graph.Node, axes []int, all []resampling, outside float64) *graph.Node {
	for i, a := range axes {
		r := all[i]
		if r.to != (graph.Dim{}) {
			at := c.placesOf(r)
			beyond := or(graph.Less(at, constantLike(at, 0)), graph.Less(graph.Shift(c.repeated(at, r.from), -1), at))
			y = graph.Where(graph.BroadcastAlong(beyond, y.Shape(), a), constantLike(y, outside), y)
			continue
		}
		if r.n == 0 {
			continue
		}
		mask := tensor.New(tensor.Bool, r.out)
		for j := range tensor.Data[bool](mask) {
			x := r.at(j)
			tensor.Data[bool](mask)[j] = x < 0 || x > float64(r.n-1)
		}
		cond := graph.BroadcastAlong(c.made(mask), y.Shape(), a)
		y = graph.Where(cond, constantLike(y, outside), y)
	}
	return y
}
