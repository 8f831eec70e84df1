package report

import "math"

// scale maps the values of an axis to lengths in a drawing.
type scale struct {
	log      bool
	min, max float64 // values at the ends, in log10 for a logarithmic axis
	from, to px      // their places
}

// largest is the size of the largest value that is drawn: differences of
// two such do not overflow.
const largest = 1e300

// coordinate returns v as the axis counts, or NaN when it cannot be shown.
func coordinate(v float64, log bool) float64 {
	switch {
	case !(math.Abs(v) <= largest), log && v <= 0:
		return math.NaN()
	case log:
		return math.Log10(v)
	}
	return v
}

// span is the range of coordinates that have been met.
type span struct{ min, max float64 }

func emptySpan() span { return span{math.Inf(1), math.Inf(-1)} }

func (s *span) include(coordinate float64) {
	if !math.IsNaN(coordinate) {
		s.min, s.max = min(s.min, coordinate), max(s.max, coordinate)
	}
}

func (s span) empty() bool { return s.min > s.max }

// widened returns s with room at both ends, given as a share of its width;
// a single value gets a range around it.
func (s span) widened(share float64, log bool) span {
	width := s.max - s.min
	if width <= 1e-12*max(math.Abs(s.min), math.Abs(s.max)) {
		half := max(math.Abs(s.min)*0.1, 1e-12)
		switch {
		case log:
			half = 0.5
		case s.min == 0:
			half = 1
		}
		return span{s.min - half, s.max + half}
	}
	return span{s.min - share*width, s.max + share*width}
}

// place returns where a coordinate lies.
func (s scale) place(coordinate float64) px {
	t := (coordinate - s.min) / (s.max - s.min)
	return s.from + px(t)*(s.to-s.from)
}

// tick is a line of the grid; a minor one has no label.
type tick struct {
	At    px
	Label string
	Minor bool
}

// ticks returns about the wanted number of labelled ticks.
func (s scale) ticks(wanted int) []tick {
	if s.log && s.max-s.min >= 0.9 {
		return s.decades(wanted)
	}
	low, high := s.min, s.max
	if s.log {
		low, high = math.Pow(10, s.min), math.Pow(10, s.max)
	}
	step := niceStep((high - low) / float64(max(wanted, 1)))
	if step == 0 || math.IsInf(step, 0) || math.IsInf(high/step, 0) {
		return nil
	}
	label := labels(step, max(math.Abs(low), math.Abs(high)))
	var ticks []tick
	first := math.Ceil(low/step - 1e-9)
	for i := 0.0; i < 50; i++ {
		v := (first + i) * step
		if v > high+1e-9*step {
			break
		}
		at := v
		if s.log {
			at = math.Log10(v)
		}
		ticks = append(ticks, tick{At: s.place(at), Label: label(v)})
	}
	return ticks
}

// niceStep returns 1, 2 or 5 times a power of ten, at least about the given
// step.
func niceStep(step float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, m := range []float64{1, 2, 5} {
		if step <= m*power*1.0001 {
			return m * power
		}
	}
	return 10 * power
}

// labels returns how to write multiples of step up to the given size.
func labels(step, size float64) func(float64) string {
	exponent := int(math.Floor(math.Log10(step) + 1e-9))
	if size >= 1e6 || size < 1e-3 {
		digits := max(0, int(math.Floor(math.Log10(size)))-exponent)
		return func(v float64) string {
			if math.Abs(v) < step/2 {
				return "0"
			}
			return scientific(v, digits)
		}
	}
	return func(v float64) string { return fixedText(v, max(0, -exponent)) }
}

// decades returns ticks at powers of ten, and at 2 and 5 times them when there
// are few.
func (s scale) decades(wanted int) []tick {
	first, last := math.Ceil(s.min-1e-9), math.Floor(s.max+1e-9)
	stride := max(1, math.Ceil((last-first)/float64(max(wanted, 1))))
	fine := s.max-s.min < 2.5 && wanted >= 4
	var ticks []tick
	for d := math.Floor(s.min); d <= last && len(ticks) < 2000; d++ {
		if d >= first && math.Mod(d-first, stride) == 0 {
			ticks = append(ticks, tick{At: s.place(d), Label: powerText(d)})
		} else if d >= first {
			ticks = append(ticks, tick{At: s.place(d), Minor: true})
		}
		if stride > 1 {
			continue
		}
		for m := 2.0; m < 10; m++ {
			at := d + math.Log10(m)
			if at < s.min-1e-9 || at > s.max+1e-9 {
				continue
			}
			t := tick{At: s.place(at), Minor: true}
			if fine && (m == 2 || m == 5) {
				t = tick{At: t.At, Label: NumberText(m * math.Pow(10, d))}
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

func powerText(d float64) string {
	if d >= -3 && d <= 3 {
		return NumberText(math.Pow(10, d))
	}
	return "10" + superscript(int(d))
}
