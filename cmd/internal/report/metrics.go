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
	Key       string // for programs, such as "fid"; one metric of a document has it
	Name      string // for people
	Quantity  string // what it measures, whatever the features, such as "frechet"; "" where Key says it
	Family    string // kind of the features, "" for none
	Value     float64
	Deviation float64 // over splits, subsets and the like; NaN where there is none
	Unit      string
	Better    string // "lower", "higher", or "" where neither is
	Samples   int    // that it was computed from, 0 where that says nothing
	Reference int    // pictures that they were compared with, 0 for none
	Against   string // whose they are, such as "mnist train"
	Features  string // what made the features that were compared, weights and conventions included
	Warnings  []string
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

type metricJSON struct {
	Key       string   `json:"key"`
	Name      string   `json:"name"`
	Quantity  string   `json:"quantity,omitempty"`
	Family    string   `json:"family,omitempty"`
	Value     number   `json:"value"`
	Deviation *float64 `json:"deviation,omitempty"`
	Unit      string   `json:"unit,omitempty"`
	Better    string   `json:"better,omitempty"`
	Samples   int      `json:"samples,omitempty"`
	Reference int      `json:"reference,omitempty"`
	Against   string   `json:"against,omitempty"`
	Features  string   `json:"features,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (m Metric) MarshalJSON() ([]byte, error) {
	j := metricJSON{m.Key, m.Name, m.Quantity, m.Family, number(m.Value), nil, m.Unit, m.Better, m.Samples, m.Reference, m.Against, m.Features, m.Warnings}
	if !math.IsNaN(m.Deviation) && !math.IsInf(m.Deviation, 0) {
		j.Deviation = &m.Deviation
	}
	return encode(j)
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Metric) UnmarshalJSON(b []byte) error {
	var j metricJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*m = Metric{j.Key, j.Name, j.Quantity, j.Family, float64(j.Value), math.NaN(), j.Unit, j.Better, j.Samples, j.Reference, j.Against, j.Features, j.Warnings}
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
