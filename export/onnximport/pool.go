package onnximport

import (
	"math"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// pooling reads the geometry of a pool over x. With ceil_mode, a last window
// that begins within x or the padding before it counts too: extra is the
// padding that it needs beyond the declared one.
func (c *call) pooling(x *graph.Node) (w window, extra []int) {
	w = c.window(x, nil)
	c.autoPad(&w, x)
	extra = make([]int, x.Rank()-2)
	if c.integer("ceil_mode", 0) == 0 {
		return w, extra
	}
	for i := range extra {
		if w.strides[i] == 1 {
			continue // every window counts
		}
		n := c.size(x, i+2)
		room := n + w.lo[i] + w.hi[i] - w.reach(i)
		if room < 0 {
			room = 0
		}
		out := (room+w.strides[i]-1)/w.strides[i] + 1
		if (out-1)*w.strides[i] >= n+w.lo[i] {
			out--
		}
		extra[i] = max(0, (out-1)*w.strides[i]+w.reach(i)-n-w.lo[i]-w.hi[i])
	}
	return w, extra
}

// padded adds what windows need beyond the declared padding.
func padded(hi, extra []int) []int {
	sum := make([]int, len(hi))
	for i := range hi {
		sum[i] = hi[i] + extra[i]
	}
	return sum
}

func dense(w window) bool {
	return !slices.ContainsFunc(w.dilations, func(d int) bool { return d != 1 })
}

// narrowPads reports whether all paddings are smaller than the window.
func narrowPads(w window, hi []int) bool {
	for i, k := range w.kernel {
		if w.lo[i] >= k || hi[i] >= k {
			return false
		}
	}
	return true
}

func readMaxPool(c *call) []*value {
	columnMajor := c.integer("storage_order", 0) != 0
	x := c.x(0)
	dtype := x.DType()
	if !dtype.IsFloat() {
		x = graph.Cast(x, tensor.Float32) // exact for the 8 bits that the operator takes
	}
	w, extra := c.pooling(x)
	hi := padded(w.hi, extra)
	if !dense(w) || !narrowPads(w, hi) {
		return one(graph.Cast(c.maxOfTaps(x, w, hi), dtype))
	}
	a := graph.PoolAttr{Window: w.kernel, Strides: w.strides, PadLo: w.lo, PadHi: hi}
	results := one(graph.Cast(graph.MaxPool(x, a), dtype))
	if len(c.op.outputs) == 2 {
		// Places are taken like any other numbers; float64 holds them exactly.
		at := graph.Cast(c.placesIn(x, columnMajor), tensor.Float64)
		taken := graph.MaxPoolTake(graph.Cast(x, tensor.Float64), at, a)
		results = append(results, &value{node: graph.Cast(taken, tensor.Int64)})
	}
	return results
}

// placesIn returns the place of each element of x in row-major order, or with
// the spatial axes in column-major order.
func (c *call) placesIn(x *graph.Node, columnMajor bool) *graph.Node {
	strides := c.strides(x)
	if columnMajor {
		step := graph.Const(1)
		for i := 2; i < x.Rank(); i++ {
			strides[i] = step
			step = c.times(step, x.Shape()[i])
		}
	}
	var at *graph.Node
	for i, stride := range strides {
		p := places(c, x, i)
		p = graph.Mul(p, c.repeated(p, stride))
		if at != nil {
			p = graph.Add(at, p)
		}
		at = p
	}
	return at
}

// maxOfTaps computes a maximum over any windows as that of one slice for each
// of their positions.
func (c *call) maxOfTaps(x *graph.Node, w window, hi []int) *graph.Node {
	if taps := product1(w.kernel); taps > 1024 {
		c.fail("a window of %d positions with dilations is too large", taps)
	}
	x = c.padWith(x, append(graph.Dims(0, 0), graph.Dims(w.lo...)...), append(graph.Dims(0, 0), graph.Dims(hi...)...), math.Inf(-1))
	var best *graph.Node
	tap := make([]int, x.Rank()-2)
	for range product1(w.kernel) {
		var s graph.SliceAttr
		for i, n := range x.Shape()[2:] {
			last := n.Sub(graph.Const(w.reach(i))).Div(graph.Const(w.strides[i])) // window
			start := graph.Const(tap[i] * w.dilations[i])
			s.Axes = append(s.Axes, i+2)
			s.Starts = append(s.Starts, start)
			s.Limits = append(s.Limits, last.Mul(graph.Const(w.strides[i])).Add(start).Add(graph.Const(1)))
			s.Steps = append(s.Steps, w.strides[i])
		}
		y := graph.SliceAxes(x, s)
		if best == nil {
			best = y
		} else {
			best = graph.Maximum(best, y)
		}
		for i := len(tap) - 1; i >= 0; i-- {
			if tap[i]++; tap[i] < w.kernel[i] {
				break
			}
			tap[i] = 0
		}
	}
	return best
}

func product1(n []int) int {
	p := 1
	for _, v := range n {
		if v > 0 && p > 1<<30/v {
			return 1 << 30
		}
		p *= v
	}
	return p
}

// padWith surrounds x with a value that need not be finite.
func (c *call) padWith(x *graph.Node, lo, hi graph.Shape, v float64) *graph.Node {
	y := graph.Pad(x, lo, hi, nil)
	if v == 0 || y == x {
		return y
	}
	truth := graph.Broadcast(c.graph.Constant(tensor.Of([]bool{true})), x.Shape())
	return graph.Where(graph.Pad(truth, lo, hi, nil), y, constantLike(y, v))
}

func readAveragePool(c *call) []*value {
	x := c.float(0)
	w, extra := c.pooling(x)
	return one(c.meanPool(x, w, extra, c.integer("count_include_pad", 0) != 0))
}

// meanPool divides the sum over each window by the number of its elements
// that count: those of x, and those of the declared padding if asked for.
func (c *call) meanPool(x *graph.Node, w window, extra []int, pads bool) *graph.Node {
	hi := padded(w.hi, extra)
	volume := product1(w.kernel)
	sum := c.sumPool(x, w, hi, volume)
	size, ok1 := x.Shape()[2:].Static()
	out, ok2 := sum.Shape()[2:].Static()
	if !ok1 || !ok2 {
		return c.dividedByCounts(sum, x, w, hi, extra, pads)
	}
	if product1(out) > mostFolded {
		c.fail("a result of spatial size %v is too large", out)
	}
	counts := tensor.New(tensor.Float64, append([]int{1, 1}, out...)...)
	data := tensor.Data[float64](counts)
	for i := range data {
		n, at := 1, i
		for axis := len(out) - 1; axis >= 0; axis-- {
			n *= counted(w, axis, at%out[axis], size[axis], pads)
			at /= out[axis]
		}
		data[i] = float64(max(1, n)) / float64(volume)
	}
	if !slices.ContainsFunc(data, func(v float64) bool { return v != data[0] }) {
		return graph.Scale(sum, 1/data[0])
	}
	return graph.Div(sum, graph.Broadcast(c.made(typed(counts, x.DType())), sum.Shape()))
}

// dividedByCounts is meanPool for sizes that are not known: the elements that
// count are a picture of ones, inside of zeros.
func (c *call) dividedByCounts(sum, x *graph.Node, w window, hi, extra []int, pads bool) *graph.Node {
	nothing := func(n int) bool { return n == 0 }
	if all(extra, nothing) && (pads || all(w.lo, nothing) && all(hi, nothing)) {
		return sum // all of every window counts
	}
	ones := graph.Broadcast(number(c.graph, x.DType(), 1), append(graph.Dims(1, 1), x.Shape()[2:]...))
	if pads { // those of the declared padding count too
		ones = graph.Broadcast(number(c.graph, x.DType(), 1), append(graph.Dims(1, 1), paddedSize(x.Shape()[2:], w)...))
		w.lo, hi = make([]int, len(w.lo)), extra
	}
	counts := c.sumPool(ones, w, hi, product1(w.kernel))
	return graph.Div(sum, graph.Broadcast(counts, sum.Shape()))
}

// paddedSize returns a spatial size with the declared padding.
func paddedSize(size graph.Shape, w window) graph.Shape {
	out := make(graph.Shape, len(size))
	for i, d := range size {
		out[i] = d.Add(graph.Const(w.lo[i] + w.hi[i]))
	}
	return out
}

func all(list []int, ok func(int) bool) bool {
	return !slices.ContainsFunc(list, func(n int) bool { return !ok(n) })
}

// counted returns how many positions of the window at o along an axis count.
func counted(w window, axis, o, size int, pads bool) int {
	low, high := 0, size
	if pads {
		low, high = -w.lo[axis], size+w.hi[axis]
	}
	n := 0
	for t := range w.kernel[axis] {
		if at := o*w.strides[axis] + t*w.dilations[axis] - w.lo[axis]; at >= low && at < high {
			n++
		}
	}
	return n
}

// sumPool returns the sum over each window divided by the window's volume.
// Windows with gaps or wide paddings are a convolution of each plane.
func (c *call) sumPool(x *graph.Node, w window, hi []int, volume int) *graph.Node {
	if dense(w) && narrowPads(w, hi) {
		return graph.MeanPool(x, graph.PoolAttr{Window: w.kernel, Strides: w.strides, PadLo: w.lo, PadHi: hi})
	}
	planes := graph.Reshape(x, append(graph.Shape{c.times(x.Shape()[0], x.Shape()[1]), graph.Const(1)}, x.Shape()[2:]...))
	ones := graph.Broadcast(number(c.graph, x.DType(), 1/float64(volume)), graph.Dims(append([]int{1, 1}, w.kernel...)...))
	y := graph.Conv(planes, ones, graph.ConvAttr{Strides: w.strides, Dilations: w.dilations, PadLo: w.lo, PadHi: hi, Groups: 1})
	return graph.Reshape(y, append(slices.Clone(x.Shape()[:2]), y.Shape()[2:]...))
}

// spatialAxes returns the axes behind batch and channel.
func (c *call) spatialAxes(x *graph.Node) []int {
	if x.Rank() < 3 {
		c.fail("%v, want an operand [N C …] with spatial axes", x.Type())
	}
	var axes []int
	for i := 2; i < x.Rank(); i++ {
		axes = append(axes, i)
	}
	return axes
}

// global reads a pool over all of the spatial axes.
func global(f func(c *call, x *graph.Node, axes []int) *graph.Node) reader {
	return func(c *call) []*value {
		x := c.float(0)
		axes := c.spatialAxes(x)
		return one(graph.KeepDims(f(c, x, axes), x, axes...))
	}
}

// readLpPool reads (Σ |x|ᵖ)^(1/p) over windows.
func readLpPool(c *call) []*value {
	x := c.float(0)
	w, extra := c.pooling(x)
	p := c.integer("p", 2)
	volume := product1(w.kernel)
	mean := c.sumPool(power(x, p), w, padded(w.hi, extra), volume)
	return one(root(graph.Scale(mean, float64(volume)), p))
}

func globalLpPool(c *call, x *graph.Node, axes []int) *graph.Node {
	p := c.integer("p", 2)
	return root(graph.ReduceSum(power(x, p), axes...), p)
}

// power returns |x|ᵖ.
func power(x *graph.Node, p int) *graph.Node {
	switch p {
	case 1:
		return graph.Abs(x)
	case 2:
		return graph.Mul(x, x)
	}
	return graph.Pow(graph.Abs(x), graph.Like(x, float64(p)))
}

func root(x *graph.Node, p int) *graph.Node {
	switch p {
	case 1:
		return x
	case 2:
		return graph.Sqrt(x)
	}
	return graph.Pow(x, graph.Like(x, 1/float64(p)))
}
