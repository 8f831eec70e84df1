package interp

// A sliding window over the spatial axes, as used by convolution and
// pooling, pairs elements of an input plane with elements of an output plane.
// A tap is one position within the window, in row-major order; at tap t, the
// output index o meets the input index o·stride + t·dilation − lo on each
// axis, where that exists.

// run is a stretch of pairs of one tap along the last axis: outputs out,
// out+1, … meet inputs in, in+stride, …, n of them.
type run struct{ out, in, n int }

// window is all pairs of a sliding window.
type window struct {
	taps       [][]run
	stride     int // of the input along the last axis
	inN, outN  int // elements of a plane
	totalPairs int
}

type windowGeometry struct {
	in, out, kernel, strides, dilations, lo []int
}

// newWindow lists the pairs of a window of size kernel over planes of size
// in, whose positions are planes of size out.
func newWindow(g windowGeometry) *window {
	last := len(g.in) - 1
	w := &window{stride: g.strides[last], inN: product(g.in), outN: product(g.out)}
	tap := make([]int, len(g.in))
	for range product(g.kernel) {
		var runs []run
		row := make([]int, last)
		for r := range product(g.out[:last]) {
			in, ok := 0, true
			for axis, o := range row {
				i := o*g.strides[axis] + tap[axis]*g.dilations[axis] - g.lo[axis]
				ok = ok && i >= 0 && i < g.in[axis]
				in = in*g.in[axis] + i
			}
			if ok {
				runs = appendRun(runs, g.lastAxis(tap[last], in*g.in[last], r*g.out[last]), w.stride)
			}
			increment(row, g.out)
		}
		for _, r := range runs {
			w.totalPairs += r.n
		}
		w.taps = append(w.taps, runs)
		increment(tap, g.kernel)
	}
	return w
}

// lastAxis returns the run of a tap along rows of the last axis that start at
// the given positions of the planes.
func (g windowGeometry) lastAxis(tap, inRow, outRow int) run {
	last := len(g.in) - 1
	shift := tap*g.dilations[last] - g.lo[last] // of the input index at output 0
	stride := g.strides[last]
	from, to := 0, g.out[last]
	if shift < 0 {
		from = (-shift + stride - 1) / stride
	}
	if room := g.in[last] - 1 - shift; room < 0 {
		to = 0
	} else {
		to = min(to, room/stride+1)
	}
	return run{out: outRow + from, in: inRow + from*stride + shift, n: to - from}
}

// appendRun joins r to the last run where it continues it, so that a kernel
// of one element becomes a single run.
func appendRun(runs []run, r run, stride int) []run {
	if r.n <= 0 {
		return runs
	}
	if len(runs) > 0 {
		if p := &runs[len(runs)-1]; r.out == p.out+p.n && r.in == p.in+p.n*stride {
			p.n += r.n
			return runs
		}
	}
	return append(runs, r)
}

// increment advances a row-major index, of as many axes as it has.
func increment(index, shape []int) {
	for axis := len(index) - 1; axis >= 0; axis-- {
		if index[axis]++; index[axis] < shape[axis] {
			return
		}
		index[axis] = 0
	}
}

func product(n []int) int {
	p := 1
	for _, v := range n {
		p *= v
	}
	return p
}

// forward adds a·x to y at every pair of the tap.
func (w *window) forward(tap int, y, x []float64, a float64) {
	for _, r := range w.taps[tap] {
		ys, xs := y[r.out:r.out+r.n], x[r.in:]
		if w.stride == 1 {
			xs = xs[:len(ys)] // spares the bounds check below
			for i := range ys {
				ys[i] += a * xs[i]
			}
			continue
		}
		for i := range ys {
			ys[i] += a * xs[i*w.stride]
		}
	}
}

// backward adds a·y to x at every pair of the tap.
func (w *window) backward(tap int, x, y []float64, a float64) {
	for _, r := range w.taps[tap] {
		ys, xs := y[r.out:r.out+r.n], x[r.in:]
		if w.stride == 1 {
			xs = xs[:len(ys)]
			for i, v := range ys {
				xs[i] += a * v
			}
			continue
		}
		for i, v := range ys {
			xs[i*w.stride] += a * v
		}
	}
}

// correlate returns the sum of x·y over the pairs of the tap.
func (w *window) correlate(tap int, x, y []float64) float64 {
	sum := 0.0
	for _, r := range w.taps[tap] {
		ys, xs := y[r.out:r.out+r.n], x[r.in:]
		if w.stride == 1 {
			xs = xs[:len(ys)]
			for i, v := range ys {
				sum += v * xs[i]
			}
			continue
		}
		for i, v := range ys {
			sum += v * xs[i*w.stride]
		}
	}
	return sum
}

// plane returns the i-th of the planes of n elements that data holds.
func plane(data []float64, i, n int) []float64 { return data[i*n : (i+1)*n] }
