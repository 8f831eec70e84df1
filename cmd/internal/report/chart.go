package report

import (
	"errors"
	"fmt"
	"math"
)

// Chart is a line chart, or several above each other that share their
// horizontal axis.
type Chart struct {
	ID     string  `json:"id,omitempty"`
	Title  string  `json:"title"`
	Note   string  `json:"note,omitempty"`
	X      Axis    `json:"x"`
	Panels []Panel `json:"panels"`
	Marks  []Mark  `json:"marks,omitempty"`
}

// Axis says what an axis shows. A logarithmic one shows positive values only.
type Axis struct {
	Label string `json:"label"`
	Unit  string `json:"unit,omitempty"`
	Log   bool   `json:"log,omitempty"`
}

func (a Axis) text() string {
	if a.Unit == "" {
		return a.Label
	}
	return a.Label + " (" + a.Unit + ")"
}

// Panel is one drawing of a chart with its own vertical axis.
type Panel struct {
	Y      Axis     `json:"y"`
	Series []Series `json:"series"`
}

// Series is a line through the points (X[i], Y[i]), a band between Low and
// High over X, or both; values that are not finite, or cannot be shown on a
// logarithmic axis, leave a gap. A faint series is drawn in grey behind the
// others, such as the raw values of a smoothed one.
type Series struct {
	Name  string  `json:"name,omitempty"`
	Note  string  `json:"note,omitempty"` // said beside the name; "" says the last value
	X     Numbers `json:"x"`
	Y     Numbers `json:"y,omitempty"`
	Low   Numbers `json:"low,omitempty"`
	High  Numbers `json:"high,omitempty"`
	Faint bool    `json:"faint,omitempty"`
}

// Mark is a vertical line at a value of the horizontal axis, with its label.
type Mark struct {
	At    float64 `json:"at"`
	Label string  `json:"label"`
}

func (Chart) kind() string               { return "chart" }
func (c Chart) head() (id, title string) { return c.ID, c.Title }

func (c Chart) validate() error {
	if len(c.Panels) == 0 {
		return errors.New("no panels")
	}
	for _, m := range c.Marks {
		if math.IsNaN(m.At) || math.IsInf(m.At, 0) {
			return fmt.Errorf("mark %q at %v", m.Label, m.At)
		}
	}
	for _, p := range c.Panels {
		for _, s := range p.Series {
			if err := s.validate(); err != nil {
				return fmt.Errorf("series %q: %w", s.Name, err)
			}
		}
	}
	return nil
}

func (s Series) validate() error {
	if len(s.Low) != len(s.High) {
		return fmt.Errorf("band with %d lower and %d upper ends", len(s.Low), len(s.High))
	}
	for _, values := range []Numbers{s.Y, s.Low} {
		if len(values) > 0 && len(values) != len(s.X) {
			return fmt.Errorf("%d values at %d places", len(values), len(s.X))
		}
	}
	return nil
}

// Outline returns a histogram as a series: a line around its bars, which stand
// side by side between the edges, and the area below it.
func Outline(name, note string, edges, heights []float64) Series {
	s := Series{Name: name, Note: note}
	for i, h := range heights {
		s.X = append(s.X, edges[i], edges[i+1])
		s.Y = append(s.Y, h, h)
		s.Low = append(s.Low, 0, 0)
	}
	s.High = s.Y
	return s
}

// Smooth returns the mean of the up to window values around each value, those
// that are not finite left out: the line to draw over noisy values.
func Smooth(values []float64, window int) []float64 {
	out := make([]float64, len(values))
	sums := make([]float64, len(values)+1)
	counts := make([]int, len(values)+1)
	for i, v := range values {
		sums[i+1], counts[i+1] = sums[i], counts[i]
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			sums[i+1] += v
			counts[i+1]++
		}
	}
	window = max(window, 1)
	for i := range values {
		from, to := max(i-(window-1)/2, 0), min(i+window/2+1, len(values))
		// 0/0 is the NaN that leaves a gap.
		out[i] = (sums[to] - sums[from]) / float64(counts[to]-counts[from])
	}
	return out
}
