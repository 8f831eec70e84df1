package report

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestAwkwardValuesAreDrawn(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, y := range map[string][]float64{
		"gaps": {1, nan, 3, inf, 5, -inf, 7}, "nothing finite": {nan, inf, -inf}, "no values": {}, "one value": {5}, "zero": {0, 0},
		"constant": {3, 3, 3}, "huge": {-1.7e308, 1.7e308, 1e300, -1e300, 1}, "tiny": {5e-324, 1e-320, 0}, "almost constant": {1, 1 + 1e-15},
		"negative": {-3, -2, -1},
	} {
		x := make([]float64, len(y))
		for i := range x {
			x[i] = float64(i)
		}
		for _, log := range []bool{false, true} {
			c := Chart{X: Axis{Log: log}, Panels: []Panel{{Y: Axis{Log: log}, Series: []Series{{X: x, Y: y, Low: y, High: y}}}}}
			if err := c.validate(); err != nil {
				t.Fatal(err)
			}
			page := html(t, &Document{Sections: []Section{c}})
			if bad := regexp.MustCompile(`="[^"]*(NaN|Inf)[^"]*"`).FindString(page); bad != "" {
				t.Errorf("%s, log %v: the drawing has %s", name, log, bad)
			}
			wantEmpty := name == "nothing finite" || name == "no values" || log && (name == "zero" || name == "negative" || name == "one value")
			if got := strings.Contains(page, "no finite values"); got != wantEmpty {
				t.Errorf("%s, log %v: empty is %v, want %v", name, log, got, wantEmpty)
			}
		}
	}
}

func TestPlacesOfPoints(t *testing.T) {
	c := Chart{Panels: []Panel{{Y: Axis{Log: true}, Series: []Series{{X: []float64{0, 5, 10}, Y: []float64{1, 10, 100}}}}}}
	d := c.view().(chartView).Drawn[0].Drawings[0]
	numbers := regexp.MustCompile(`[\d.]+`).FindAllString(d.Lines[0].Path, -1)
	var at []float64
	for _, n := range numbers {
		v, err := strconv.ParseFloat(n, 64)
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, v)
	}
	// The ends lie on the sides; on a logarithmic axis 10 is in the middle.
	left, right, middle := float64(d.Left), float64(d.Right), float64(d.Top+d.Bottom)/2
	for i, want := range map[int]float64{0: left, 2: (left + right) / 2, 3: middle, 4: right} {
		if math.Abs(at[i]-want) > 0.1 {
			t.Errorf("%s: number %d is %v, want %v", d.Lines[0].Path, i, at[i], want)
		}
	}
	if at[1]-middle <= 0 || math.Abs(at[1]-middle-(middle-at[5])) > 0.2 {
		t.Errorf("%s: the ends are not as far from the middle", d.Lines[0].Path)
	}
}

func TestGapsBreakTheLine(t *testing.T) {
	nan := math.NaN()
	s := scale{max: 10, to: 10}
	path := linePath([]point{{0, 0}, {1, 1}, {2, nan}, {3, 3}, {4, nan}, {5, 5}, {6, 6}}, s, s)
	if want := "M0 0L1 1M3 3h0M5 5L6 6"; path != want {
		t.Errorf("got %s, want %s", path, want)
	}
	band := bandPath([]interval{{0, 0, 1}, {1, 1, 2}, {2, nan, nan}, {3, 3, 4}}, s, s)
	if want := "M0 1L1 2L1 1L0 0ZM3 4L3 3Z"; band != want {
		t.Errorf("got %s, want %s", band, want)
	}
}

func TestThinningKeepsSpikesAndEnds(t *testing.T) {
	points := make([]point, 100_000)
	for i := range points {
		points[i] = point{float64(i), math.Sin(float64(i) / 1000)}
	}
	points[54_321].y = 50
	points[12_345].y = -50
	points[77].y = math.NaN()
	for i := 30_000; i < 40_000; i++ {
		points[i].y = math.NaN()
	}
	out := thinned(points, 300)
	if len(out) > 602 {
		t.Errorf("%d points are left", len(out))
	}
	for _, want := range []point{points[0], points[54_321], points[12_345], points[99_999]} {
		if !slices.Contains(out, want) {
			t.Errorf("%v is lost", want)
		}
	}
	if !slices.IsSortedFunc(out, func(a, b point) int { return int(a.x - b.x) }) {
		t.Error("the order changed")
	}
	gaps := 0
	for _, p := range out {
		if math.IsNaN(p.y) {
			gaps++
			if p.x < 29_000 || p.x > 41_000 {
				t.Errorf("a gap at %v", p.x)
			}
		}
	}
	if gaps == 0 {
		t.Error("the gap is lost")
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		log      bool
		min, max float64
		wanted   int
		want     string
	}{
		{false, 0, 10, 5, "0 2 4 6 8 10"},
		{false, 1, 4000, 8, "500 1000 1500 2000 2500 3000 3500 4000"},
		{false, 0, 60_000, 5, "0 20,000 40,000 60,000"},
		{false, -0.03, 0.02, 5, "−0.03 −0.02 −0.01 0.00 0.01 0.02"},
		{false, 0, 3e6, 3, "0 10⁶ 2×10⁶ 3×10⁶"},
		{false, 0, 5e-5, 5, "0 10⁻⁵ 2×10⁻⁵ 3×10⁻⁵ 4×10⁻⁵ 5×10⁻⁵"},
		{true, 1, 1e6, 5, "1 100 10⁴ 10⁶"},
		{true, 1e-12, 1e-3, 5, "10⁻¹² 10⁻¹⁰ 10⁻⁸ 10⁻⁶ 10⁻⁴"},
		{true, 0.5, 20, 5, "0.5 1 2 5 10 20"},
		{true, 40, 60, 4, "40 45 50 55 60"},
	} {
		s := scale{log: c.log, min: coordinate(c.min, c.log), max: coordinate(c.max, c.log), from: 0, to: 100}
		var got []string
		for _, tick := range s.ticks(c.wanted) {
			if tick.At < -0.01 || tick.At > 100.01 {
				t.Errorf("%v: a tick at %v", c, tick.At)
			}
			if tick.Label != "" {
				got = append(got, tick.Label)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v to %v, log %v: %q, want %q", c.min, c.max, c.log, got, c.want)
		}
	}
}

func TestNumbersInWords(t *testing.T) {
	for want, v := range map[string]float64{
		"0": 0, "1": 1, "−2.5": -2.5, "0.001": 0.001, "5×10⁻⁵": 5e-5, "3.142": math.Pi, "1235": 1234.9, "12,346": 12345.6,
		"1.235×10⁷": 12345678, "−10⁻⁶": -1e-6, "∞": math.Inf(1), "not a number": math.NaN(), "39.62": 39.6154, "1000": 999.96,
	} {
		if got := NumberText(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestSmooth(t *testing.T) {
	nan := math.NaN()
	got := Smooth([]float64{1, 2, 6, nan, 4, nan, nan, nan}, 3)
	want := []float64{1.5, 3, 4, 5, 4, 4, nan, nan}
	for i := range want {
		if got[i] != want[i] && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Errorf("value %d is %v, want %v", i, got[i], want[i])
		}
	}
	if got := Smooth([]float64{1, 2}, 0); !slices.Equal(got, []float64{1, 2}) {
		t.Errorf("without a window: %v", got)
	}
}
