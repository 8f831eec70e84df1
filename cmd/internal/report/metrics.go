package report

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Metrics are numbers by which runs are compared, each with what must be equal
// for that.
type Metrics struct {
	ID    string   `json:"id,omitempty"`
	Title string   `json:"title"`
	Note  string   `json:"note,omitempty"`
	Items []Metric `json:"items"`
}

// Metric is one number.
type Metric struct {
	Key       string   `json:"key"`                 // for programs, such as "fid"; one metric of a document has it
	Name      string   `json:"name"`                // for people
	Quantity  string   `json:"quantity,omitempty"`  // what it measures, whatever the features, such as "frechet"; "" where Key says it
	Family    string   `json:"family,omitempty"`    // kind of the features, "" for none
	Value     float64  `json:"value"`               // null in JSON when it is not finite
	Deviation float64  `json:"deviation,omitempty"` // over splits, subsets and the like; NaN, left out of JSON, where there is none
	Unit      string   `json:"unit,omitempty"`
	Better    string   `json:"better,omitempty"`    // "lower", "higher", or "" where neither is
	Samples   int      `json:"samples,omitempty"`   // that it was computed from, 0 where that says nothing
	Reference int      `json:"reference,omitempty"` // pictures that they were compared with, 0 for none
	Against   string   `json:"against,omitempty"`   // whose they are, such as "mnist train"
	Features  string   `json:"features,omitempty"`  // what made the features that were compared, weights and conventions included
	Warnings  []string `json:"warnings,omitempty"`
}

func (Metrics) kind() string               { return "metrics" }
func (m Metrics) head() (id, title string) { return m.ID, m.Title }

func (m Metrics) validate() error {
	for i, item := range m.Items {
		if item.Key == "" || item.Name == "" {
			return fmt.Errorf("metric %d has the key %q and the name %q, want both", i+1, item.Key, item.Name)
		}
		if !slices.Contains([]string{"", "lower", "higher"}, item.Better) {
			return fmt.Errorf("metric %q is better when %q, want lower, higher or nothing", item.Key, item.Better)
		}
	}
	return nil
}

type metricsView struct {
	Metrics
	Items  []metricView
	Shared []string // warnings of several metrics
}

type metricView struct {
	Metric
	Shown, Spread, From string
	Own                 []string // warnings of this metric alone
}

func (m Metrics) view() any {
	v := metricsView{Metrics: m}
	count := make(map[string]int)
	for _, item := range m.Items {
		for _, w := range item.Warnings {
			if count[w]++; count[w] == 2 {
				v.Shared = append(v.Shared, w)
			}
		}
	}
	for i, item := range m.Items {
		shown := metricView{Metric: item, Shown: NumberText(item.Value), From: item.From()}
		if i > 0 && shown.From != "" && shown.From == m.Items[i-1].From() {
			shown.From = "as above"
		}
		if !math.IsNaN(item.Deviation) {
			shown.Spread = SpreadText(item.Deviation)
		}
		for _, w := range item.Warnings {
			if count[w] == 1 {
				shown.Own = append(shown.Own, w)
			}
		}
		v.Items = append(v.Items, shown)
	}
	return v
}

// From says what the number was computed from.
func (m Metric) From() string {
	text := ""
	if m.Samples > 0 {
		text = grouped(fmt.Sprint(m.Samples)) + " samples"
	}
	if m.Reference > 0 {
		text += " against " + grouped(fmt.Sprint(m.Reference))
		if m.Against != "" {
			text += " of " + m.Against
		}
	}
	if m.Features != "" {
		if text != "" {
			text += "; "
		}
		text += m.Features
	}
	return text
}

// plainMetric has a metric's fields without its methods, and in JSON the numbers
// that may be not finite in place of its own.
type plainMetric Metric

type metricJSON struct {
	*plainMetric
	Value     number   `json:"value"`
	Deviation *float64 `json:"deviation,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (m Metric) MarshalJSON() ([]byte, error) {
	j := metricJSON{plainMetric: (*plainMetric)(&m), Value: number(m.Value)}
	if !math.IsNaN(m.Deviation) && !math.IsInf(m.Deviation, 0) {
		j.Deviation = &m.Deviation
	}
	return encode(j)
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Metric) UnmarshalJSON(b []byte) error {
	j := metricJSON{plainMetric: (*plainMetric)(m)}
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	m.Value, m.Deviation = float64(j.Value), math.NaN()
	if j.Deviation != nil {
		m.Deviation = *j.Deviation
	}
	return nil
}

// Metrics returns the metrics of all sections.
func (d *Document) Metrics() []Metric {
	var list []Metric
	for _, s := range d.Sections {
		if m, ok := s.(Metrics); ok {
			list = append(list, m.Items...)
		}
	}
	return list
}
