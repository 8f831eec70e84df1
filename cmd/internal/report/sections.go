package report

import (
	"fmt"
	"math"
	"time"
)

// Text is running text.
type Text struct {
	ID         string   `json:"id,omitempty"`
	Title      string   `json:"title"`
	Paragraphs []string `json:"paragraphs"`
}

func (Text) kind() string               { return "text" }
func (t Text) head() (id, title string) { return t.ID, t.Title }
func (Text) validate() error            { return nil }
func (t Text) view() any                { return t }

// Facts are names with values: settings, data, where weights come from.
type Facts struct {
	ID    string `json:"id,omitempty"`
	Title string `json:"title"`
	Note  string `json:"note,omitempty"`
	Items []Fact `json:"items"`
}

// Fact is one value with its name. Value is a string, a bool, an integer or a
// float.
type Fact struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
	Unit  string `json:"unit,omitempty"`
	Note  string `json:"note,omitempty"`
}

func (Facts) kind() string               { return "facts" }
func (f Facts) head() (id, title string) { return f.ID, f.Title }

func (f Facts) validate() error {
	for _, item := range f.Items {
		if _, err := plain(item.Value); err != nil {
			return fmt.Errorf("fact %q: %w", item.Name, err)
		}
	}
	return nil
}

// Table is a table of values, each of a type that Fact.Value may have, or nil
// for an empty cell.
type Table struct {
	ID      string   `json:"id,omitempty"`
	Title   string   `json:"title"`
	Note    string   `json:"note,omitempty"`
	Columns []Column `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

// Column is the head of a table's column.
type Column struct {
	Name string `json:"name"`
	Unit string `json:"unit,omitempty"`
}

func (Table) kind() string               { return "table" }
func (t Table) head() (id, title string) { return t.ID, t.Title }

func (t Table) validate() error {
	for i, row := range t.Rows {
		if len(row) != len(t.Columns) {
			return fmt.Errorf("row %d has %d cells, want %d", i+1, len(row), len(t.Columns))
		}
		for j, cell := range row {
			if _, err := plain(cell); err != nil {
				return fmt.Errorf("row %d, column %q: %w", i+1, t.Columns[j].Name, err)
			}
		}
	}
	return nil
}

// Checks are claims that were put to the test.
type Checks struct {
	ID    string  `json:"id,omitempty"`
	Title string  `json:"title"`
	Note  string  `json:"note,omitempty"`
	Items []Check `json:"items"`
}

// Check is a measured number and the limit that it was to keep: at most
// Limit, or at least it. A measured NaN keeps no limit.
type Check struct {
	Name     string
	Measured float64
	Limit    float64
	AtLeast  bool
	Unit     string
	How      string // how it was measured
}

// Passed reports whether the measured number keeps the limit.
func (c Check) Passed() bool {
	if c.AtLeast {
		return c.Measured >= c.Limit
	}
	return c.Measured <= c.Limit
}

func (Checks) kind() string               { return "checks" }
func (c Checks) head() (id, title string) { return c.ID, c.Title }
func (Checks) validate() error            { return nil }

// Timings are the times that the parts of a run took.
type Timings struct {
	ID    string   `json:"id,omitempty"`
	Title string   `json:"title"`
	Note  string   `json:"note,omitempty"`
	Items []Timing `json:"items"`
}

// Timing is the time of one part.
type Timing struct {
	Name string
	Took time.Duration
	Note string
}

func (Timings) kind() string               { return "timings" }
func (t Timings) head() (id, title string) { return t.ID, t.Title }

func (t Timings) validate() error {
	for _, item := range t.Items {
		if item.Took < 0 {
			return fmt.Errorf("%q took %v", item.Name, item.Took)
		}
	}
	return nil
}

// Commands are command lines, such as those that make the run again.
type Commands struct {
	ID    string    `json:"id,omitempty"`
	Title string    `json:"title"`
	Note  string    `json:"note,omitempty"`
	Items []Command `json:"items"`
}

// Command is one command line, or several, and what it does.
type Command struct {
	Line string `json:"line"`
	Note string `json:"note,omitempty"`
}

func (Commands) kind() string               { return "commands" }
func (c Commands) head() (id, title string) { return c.ID, c.Title }
func (Commands) validate() error            { return nil }
func (c Commands) view() any                { return c }

// plain returns v as one of the types string, bool, int64, float64 and nil.
func plain(v any) (any, error) {
	switch v := v.(type) {
	case nil, string, bool, int64, float64:
		return v, nil
	case int:
		return int64(v), nil
	case int8:
		return int64(v), nil
	case int16:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case uint8:
		return int64(v), nil
	case uint16:
		return int64(v), nil
	case uint32:
		return int64(v), nil
	case uint:
		return plain(uint64(v))
	case uint64:
		if v > math.MaxInt64 {
			return nil, fmt.Errorf("%d does not fit in 64 bits with a sign", v)
		}
		return int64(v), nil
	case float32:
		// The shortest decimal that means this float32, rather than the digits
		// of its float64.
		return shortest(v), nil
	}
	return nil, fmt.Errorf("a value of type %T, want a string, a bool or a number", v)
}
