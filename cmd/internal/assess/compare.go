package assess

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"ebm/cmd/internal/report"

	"ebm/internal/files"
	"ebm/internal/metrics"
	"ebm/mdsm/train"
)

// Run is a run's folder as comparisons see it.
type Run struct {
	Name     string
	Settings map[string]string // by their paths in config.toml; nil without one
	Step     int               // the last that metrics were written of; 0 when there are none
	Loss     float64           // mean of the last lines of metrics, NaN without any
	Lines    int               // that it is the mean of
	HeldOut  float64           // loss on held-out x's, the last that was measured, NaN without any
	Levels   string            // the noise levels of HeldOut
	Seconds  float64           // spent in updates, as far as metrics say
	Metrics  []report.Metric   // of report.json
}

// lossLines is the number of lines of metrics whose mean is a run's loss.
const lossLines = 20

// ReadRun reads what a run's folder says: config.toml, metrics.jsonl and
// report.json, of which some may be missing. A folder without settings and
// without a report is no run, which is an error.
func ReadRun(dir string) (Run, error) {
	r := Run{Name: dir, Loss: math.NaN(), HeldOut: math.NaN()}
	settings, err := train.ReadSettings(dir)
	hasSettings := err == nil
	switch {
	case hasSettings:
		r.Settings = settings.Values()
	case !errors.Is(err, fs.ErrNotExist):
		return r, err
	}
	records, err := metrics.ReadFile(filepath.Join(dir, metrics.LinesFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	r.progress(records)
	d, err := files.Read(filepath.Join(dir, report.JSONFile), report.ReadJSON)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !hasSettings:
		return r, fmt.Errorf("%s: there is neither a config.toml nor a %s, want the folder of a run, or of an evaluation", dir, report.JSONFile)
	case errors.Is(err, fs.ErrNotExist):
		return r, nil
	case err != nil:
		return r, err
	}
	r.Metrics = d.Metrics()
	return r, nil
}

// progress takes the step, the losses and the time from lines of metrics.
func (r *Run) progress(records []metrics.Record) {
	before := int64(0) // the step that the last line with a speed was about
	for _, record := range records {
		if speed := record.Values["steps_per_second"]; speed > 0 {
			r.Seconds += float64(record.Step-before) / speed
			before = record.Step
		}
		if loss, ok := record.Values[train.HeldOutLoss]; ok {
			r.HeldOut, r.Levels = loss, strings.Join(train.LevelsOf(record.Values), ", ")
		}
	}
	if len(records) == 0 {
		return
	}
	r.Step = int(records[len(records)-1].Step)
	sum := 0.0
	for _, record := range records[max(len(records)-lossLines, 0):] {
		if loss, ok := record.Values["loss"]; ok {
			sum += loss
			r.Lines++
		}
	}
	if r.Lines > 0 {
		r.Loss = sum / float64(r.Lines)
	}
}

// Comparison is a table over runs.
type Comparison struct {
	Runs     []string  `json:"runs"`
	Settings []Setting `json:"settings"` // those that differ
	Rows     []Row     `json:"rows"`
}

// Setting is a setting that differs between runs.
type Setting struct {
	Name   string   `json:"name"`
	Values []string `json:"values"` // of each run, "" where it is not known
}

// Row is one number over all runs.
type Row struct {
	Key    string `json:"key"`
	Name   string `json:"name"`
	Unit   string `json:"unit,omitempty"`
	Better string `json:"better,omitempty"`
	Cells  []Cell `json:"cells"` // of each run
	// Conditions are what numbers of this row were computed from, each different
	// one once. Only cells of one condition compare.
	Conditions []string `json:"conditions"`
	Comparable bool     `json:"comparable"` // all cells that have a value have one condition
}

// Cell is the number of one run.
type Cell struct {
	Value     *float64 `json:"value"` // nil when the run has none
	Deviation *float64 `json:"deviation,omitempty"`
	Condition int      `json:"condition"` // index into Conditions; −1 without a value
	Best      bool     `json:"best,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
}

// Compare puts runs side by side. A metric that runs computed from other
// features, other reference pictures or another number of samples keeps a
// condition for each, and no run is best in it.
func Compare(runs []Run) Comparison {
	var c Comparison
	names := make(map[string]bool)
	for _, r := range runs {
		c.Runs = append(c.Runs, r.Name)
		for name := range r.Settings {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		s := Setting{Name: name}
		different := make(map[string]bool)
		for _, r := range runs {
			s.Values = append(s.Values, r.Settings[name])
			if r.Settings != nil { // an evaluation elsewhere says nothing of them
				different[r.Settings[name]] = true
			}
		}
		if len(different) > 1 {
			c.Settings = append(c.Settings, s)
		}
	}
	rows := make(map[string]int) // by key
	for _, r := range runs {
		for _, m := range r.numbers() {
			if _, ok := rows[m.Key]; !ok {
				rows[m.Key] = len(c.Rows)
				c.Rows = append(c.Rows, Row{Key: m.Key, Name: m.Name, Unit: m.Unit, Better: m.Better})
			}
		}
	}
	for _, r := range runs {
		for i := range c.Rows { // a cell of every row, empty where the run has no number
			c.Rows[i].add(math.NaN(), "")
		}
		for _, m := range r.numbers() {
			row := &c.Rows[rows[m.Key]]
			row.Cells = row.Cells[:len(row.Cells)-1]
			cell := row.add(m.Value, m.From())
			cell.Warnings = m.Warnings
			if !math.IsNaN(m.Deviation) {
				cell.Deviation = &m.Deviation
			}
		}
	}
	for i := range c.Rows {
		c.Rows[i].judge()
	}
	return c
}

// add appends a cell; NaN is one without a value.
func (r *Row) add(v float64, condition string) *Cell {
	cell := Cell{Condition: -1}
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		cell.Value = &v
		if cell.Condition = slices.Index(r.Conditions, condition); cell.Condition < 0 {
			cell.Condition = len(r.Conditions)
			r.Conditions = append(r.Conditions, condition)
		}
	}
	r.Cells = append(r.Cells, cell)
	return &r.Cells[len(r.Cells)-1]
}

// judge marks the best cells of a row whose cells compare.
func (r *Row) judge() {
	r.Comparable = len(r.Conditions) <= 1
	var values []float64
	for _, c := range r.Cells {
		if c.Value != nil {
			values = append(values, *c.Value)
		}
	}
	if !r.Comparable || r.Better == "" || len(values) < 2 {
		return
	}
	best := slices.Min(values)
	if r.Better == "higher" {
		best = slices.Max(values)
	}
	for i, c := range r.Cells {
		r.Cells[i].Best = c.Value != nil && *c.Value == best
	}
}

// numbers returns all numbers of a run: its step, its loss with the settings that
// change what a loss means, and its metrics.
func (r Run) numbers() []report.Metric {
	step := math.NaN()
	if r.Step > 0 {
		step = float64(r.Step)
	}
	data := r.having("data.name", "data.size", "data.pad", "net.channels")
	weighting := r.having("noise.weighting")
	list := []report.Metric{
		{Key: "step", Name: "training step", Value: step, Deviation: math.NaN()},
		{Key: "loss", Name: "loss", Value: r.Loss, Deviation: math.NaN(), Better: "lower",
			Features: fmt.Sprintf("mean of the last %d lines of metrics", r.Lines) + data +
				r.having("noise.sigma0", "noise.min", "noise.max", "noise.spacing") + weighting},
	}
	if r.Levels != "" {
		list = append(list, report.Metric{Key: train.HeldOutLoss, Name: "held-out loss", Value: r.HeldOut, Deviation: math.NaN(),
			Better: "lower", Features: "noise levels " + r.Levels + data + weighting})
	}
	return append(list, r.Metrics...)
}

// having says settings by their names.
func (r Run) having(names ...string) (text string) {
	for _, name := range names {
		text += fmt.Sprintf(", %s %s", name, r.Settings[name])
	}
	return text
}

// Text returns a cell for people: –, or the number with its deviation, a letter for
// its condition where the row has several, and a star when it is the best.
func (r Row) Text(i int) string {
	c := r.Cells[i]
	if c.Value == nil {
		return "–"
	}
	text := report.NumberText(*c.Value)
	if c.Deviation != nil {
		text += " ± " + report.SpreadText(*c.Deviation)
	}
	if !r.Comparable {
		text += " " + conditionMark(c.Condition)
	}
	if c.Best {
		text += " *"
	}
	return text
}

// conditionMark names a condition.
func conditionMark(condition int) string {
	return "(" + strings.Repeat(string(rune('a'+condition%26)), condition/26+1) + ")"
}

// Title is the row's name with its unit, and ≠ before it where its cells do
// not compare.
func (r Row) Title() string {
	title := r.Name
	if r.Unit != "" {
		title += " (" + r.Unit + ")"
	}
	if !r.Comparable {
		return "≠ " + title
	}
	return title
}

// Notes says from what the numbers of the rows were computed, once for rows
// that follow each other with the same conditions.
func (c Comparison) Notes() []string {
	var notes []string
	var names, before []string
	flush := func() {
		if text := conditionsText(before); len(names) > 0 && text != "" {
			notes = append(notes, strings.Join(names, ", ")+": "+text)
		}
		names = nil
	}
	for _, r := range c.Rows {
		if !slices.Equal(r.Conditions, before) {
			flush()
			before = r.Conditions
		}
		names = append(names, r.Name)
	}
	flush()
	return notes
}

// conditionsText puts the conditions of a row in words, "" for one that says
// nothing.
func conditionsText(conditions []string) string {
	if len(conditions) == 1 {
		return conditions[0]
	}
	var parts []string
	for i, condition := range conditions {
		if condition == "" {
			condition = "nothing is said"
		}
		parts = append(parts, conditionMark(i)+" "+condition)
	}
	if len(parts) == 0 {
		return ""
	}
	return "≠ not comparable, " + strings.Join(parts, "; ")
}
