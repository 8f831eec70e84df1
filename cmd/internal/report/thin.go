package report

import "math"

// point is a place in coordinates of the axes; NaN in y, or in low, is a gap.
type point struct{ x, y float64 }

// interval is a slice of a band at x.
type interval struct{ x, low, high float64 }

// thinned returns the points in at most the given number of buckets of
// consecutive points, of each its least and its greatest in their order, so
// that no spike is lost. Points that are a gap are left out of a bucket that
// has others.
func thinned(points []point, buckets int) []point {
	if len(points) <= 2*buckets {
		return points
	}
	out := make([]point, 0, 2*buckets+2)
	for b := range buckets {
		bucket := points[b*len(points)/buckets : (b+1)*len(points)/buckets]
		low, high := -1, -1
		for i, p := range bucket {
			if math.IsNaN(p.y) {
				continue
			}
			if low < 0 || p.y < bucket[low].y {
				low = i
			}
			if high < 0 || p.y > bucket[high].y {
				high = i
			}
		}
		switch {
		case low < 0:
			out = append(out, point{bucket[0].x, math.NaN()})
		case low == high:
			out = append(out, bucket[low])
		default:
			out = append(out, bucket[min(low, high)], bucket[max(low, high)])
		}
	}
	// The line begins and ends where the data do.
	if first := points[0]; out[0] != first && !math.IsNaN(first.y) {
		out = append([]point{first}, out...)
	}
	if last := points[len(points)-1]; out[len(out)-1] != last && !math.IsNaN(last.y) {
		out = append(out, last)
	}
	return out
}

// thinnedBand joins consecutive intervals to at most the given number.
func thinnedBand(band []interval, buckets int) []interval {
	if len(band) <= buckets {
		return band
	}
	out := make([]interval, 0, buckets)
	for b := range buckets {
		bucket := band[b*len(band)/buckets : (b+1)*len(band)/buckets]
		joined := interval{bucket[len(bucket)/2].x, math.NaN(), math.NaN()}
		for _, v := range bucket {
			if math.IsNaN(v.low) {
				continue
			}
			if math.IsNaN(joined.low) {
				joined.low, joined.high = v.low, v.high
			}
			joined.low, joined.high = min(joined.low, v.low), max(joined.high, v.high)
		}
		out = append(out, joined)
	}
	return out
}
