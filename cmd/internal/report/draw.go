package report

import (
	"math"
	"strings"
	"unicode/utf8"
)

// A chart is drawn twice, wide and narrow, and the page's style shows the one
// that fits, so that its letters have a readable size on every screen.

const (
	letter      = 6.9 // mean width of a figure of the ticks' labels
	lineHeight  = 16
	paletteSize = 6
)

type canvas struct {
	width, height px // of a panel's plotting area with its margins
	xTicks        int
	yTicks        int
	buckets       int // for thinning; each gives two points
	class         string
}

func canvases() [2]canvas {
	return [2]canvas{
		{width: 760, height: 230, xTicks: 8, yTicks: 5, buckets: 350, class: "wide"},
		{width: 360, height: 190, xTicks: 4, yTicks: 4, buckets: 160, class: "narrow"},
	}
}

type chartView struct {
	Chart
	Drawn []panelView
}

type panelView struct {
	Label    string
	Legend   []legendView
	Drawings []drawing
	Alt      string
}

type legendView struct {
	Class string // colour: "c0"… or "faint"
	Name  string
	Note  string // what is said of it, such as its last value
	Band  bool   // a band without a line
}

type drawing struct {
	Class                    string
	Width, Height            px
	Left, Top, Right, Bottom px
	XTicks, YTicks           []tick
	Bands, Lines             []pathView
	Marks                    []markView
	XLabel                   string // empty above the last panel
	Empty                    bool   // no value can be shown
}

// Middle returns the middle of the plotting area.
func (d drawing) Middle() px { return (d.Left + d.Right) / 2 }

type pathView struct {
	Class string
	Path  string
}

type markView struct {
	At, Text px
	Anchor   string // start or end
	Label    string
}

// traced is a series in coordinates of its panel's axes.
type traced struct {
	class string
	line  []point
	band  []interval
}

func (c Chart) view() any {
	v := chartView{Chart: c}
	x := emptySpan()
	panels := make([][]traced, len(c.Panels))
	for i, p := range c.Panels {
		panels[i] = trace(p, c.X.Log, &x)
	}
	for i, p := range c.Panels {
		shown := panelView{Label: p.Y.text(), Legend: legend(p), Alt: c.Title + ": " + p.Y.text() + " over " + c.X.text()}
		for _, cv := range canvases() {
			d := c.draw(cv, x, i, panels)
			shown.Drawings = append(shown.Drawings, d)
		}
		v.Drawn = append(v.Drawn, shown)
	}
	return v
}

// classes gives the series of a panel their colours.
func classes(p Panel) []string {
	out := make([]string, len(p.Series))
	next := 0
	for i, s := range p.Series {
		if s.Faint {
			out[i] = "faint"
			continue
		}
		out[i] = "c" + string(rune('0'+next%paletteSize))
		next++
	}
	return out
}

func legend(p Panel) []legendView {
	var out []legendView
	for i, class := range classes(p) {
		s := p.Series[i]
		if s.Name == "" {
			continue
		}
		item := legendView{Class: class, Name: s.Name, Note: s.Note, Band: len(s.Y) == 0}
		for _, y := range s.Y {
			if s.Note == "" && !math.IsNaN(y) && !math.IsInf(y, 0) {
				item.Note = "last " + NumberText(y)
			}
		}
		out = append(out, item)
	}
	return out
}

// trace turns a panel's series into coordinates and widens x to them.
func trace(p Panel, logX bool, x *span) []traced {
	out := make([]traced, len(p.Series))
	for i, class := range classes(p) {
		s := p.Series[i]
		t := traced{class: class}
		for j, at := range s.X {
			cx := coordinate(at, logX)
			if math.IsNaN(cx) {
				continue
			}
			x.include(cx)
			if len(s.Y) > 0 {
				t.line = append(t.line, point{cx, coordinate(s.Y[j], p.Y.Log)})
			}
			if len(s.Low) > 0 {
				low, high := coordinate(s.Low[j], p.Y.Log), coordinate(s.High[j], p.Y.Log)
				if math.IsNaN(high) {
					low = high
				}
				t.band = append(t.band, interval{cx, low, high})
			}
		}
		out[i] = t
	}
	return out
}

func (c Chart) draw(cv canvas, x span, panel int, panels [][]traced) drawing {
	last := panel == len(panels)-1
	d := drawing{Class: cv.class, Width: cv.width, Height: cv.height, Top: 8, Right: cv.width - 18}
	d.Bottom = cv.height - 8
	if last {
		d.Height += 2*lineHeight + 6
		d.XLabel = c.X.text()
	}
	vertical := make([]scale, len(panels))
	// All panels leave the same room for labels, so that their areas line up.
	widest := 0
	for i, series := range panels {
		vertical[i] = verticalScale(series, c.Panels[i].Y.Log, d.Bottom, d.Top)
		for _, t := range vertical[i].ticks(cv.yTicks) {
			widest = max(widest, utf8.RuneCountInString(t.Label))
		}
	}
	d.Left = px(widest)*letter + 14

	if x.empty() {
		d.Empty = true
		return d
	}
	x = x.widened(0, c.X.Log)
	horizontal := scale{log: c.X.Log, min: x.min, max: x.max, from: d.Left, to: d.Right}
	d.XTicks = horizontal.ticks(cv.xTicks)
	y := vertical[panel]
	d.YTicks = y.ticks(cv.yTicks)
	d.Empty = true
	for _, t := range panels[panel] {
		if path := bandPath(thinnedBand(t.band, cv.buckets), horizontal, y); path != "" {
			d.Bands = append(d.Bands, pathView{t.class, path})
		}
		if path := linePath(thinned(t.line, cv.buckets), horizontal, y); path != "" {
			line := pathView{t.class, path}
			if t.class == "faint" {
				d.Lines = append([]pathView{line}, d.Lines...)
			} else {
				d.Lines = append(d.Lines, line)
			}
		}
	}
	d.Empty = len(d.Lines)+len(d.Bands) == 0
	d.Marks = c.marks(horizontal, panel == 0)
	return d
}

func (c Chart) marks(horizontal scale, labelled bool) []markView {
	var out []markView
	for _, m := range c.Marks {
		at := coordinate(m.At, c.X.Log)
		if math.IsNaN(at) || at < horizontal.min || at > horizontal.max {
			continue
		}
		v := markView{At: horizontal.place(at), Anchor: "start"}
		v.Text = v.At + 5
		if v.At > (horizontal.from+horizontal.to)/2 {
			v.Anchor, v.Text = "end", v.At-5
		}
		if labelled {
			v.Label = m.Label
		}
		out = append(out, v)
	}
	return out
}

func verticalScale(series []traced, log bool, bottom, top px) scale {
	y := emptySpan()
	for _, t := range series {
		for _, p := range t.line {
			y.include(p.y)
		}
		for _, b := range t.band {
			if !math.IsNaN(b.low) {
				y.include(b.low)
				y.include(b.high)
			}
		}
	}
	if y.empty() {
		y = span{0, 1} // for a grid
	}
	y = y.widened(0.05, log)
	return scale{log: log, min: y.min, max: y.max, from: bottom, to: top}
}

func linePath(points []point, x, y scale) string {
	var b strings.Builder
	drawing := false
	for i, p := range points {
		if math.IsNaN(p.y) {
			drawing = false
			continue
		}
		if drawing {
			b.WriteByte('L')
		} else {
			b.WriteByte('M')
		}
		b.WriteString(x.place(p.x).String() + " " + y.place(p.y).String())
		// A point with a gap on both sides is a dot.
		if !drawing && (i+1 == len(points) || math.IsNaN(points[i+1].y)) {
			b.WriteString("h0")
		}
		drawing = true
	}
	return b.String()
}

func bandPath(band []interval, x, y scale) string {
	var b strings.Builder
	for start := 0; start < len(band); {
		if math.IsNaN(band[start].low) {
			start++
			continue
		}
		end := start
		for end < len(band) && !math.IsNaN(band[end].low) {
			command := "L"
			if end == start {
				command = "M"
			}
			b.WriteString(command + x.place(band[end].x).String() + " " + y.place(band[end].high).String())
			end++
		}
		for i := end - 1; i >= start; i-- {
			b.WriteString("L" + x.place(band[i].x).String() + " " + y.place(band[i].low).String())
		}
		b.WriteByte('Z')
		start = end
	}
	return b.String()
}
