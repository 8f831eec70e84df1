package assess

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"ebm/cmd/internal/report"
)

// table returns the comparison as lines of a head and cells.
func (c Comparison) table() (head []string, settings, rows [][]string) {
	head = append([]string{""}, c.Runs...)
	for _, s := range c.Settings {
		line := []string{s.Name}
		for _, v := range s.Values {
			line = append(line, settingText(v))
		}
		settings = append(settings, line)
	}
	for _, r := range c.Rows {
		line := []string{r.Title()}
		for i := range r.Cells {
			line = append(line, r.Text(i))
		}
		rows = append(rows, line)
	}
	return head, settings, rows
}

// settingText shows a setting; of a hash the first digits are enough.
func settingText(v string) string {
	if v == "" {
		return "–"
	}
	if len(v) == 64 && strings.Trim(v, "0123456789abcdef") == "" {
		return v[:12] + "…"
	}
	return v
}

const compareLegend = "– nothing known; * the best; ≠ numbers that do not compare, with a letter for each way they came about"

// WriteText writes the comparison for a terminal.
func (c Comparison) WriteText(w io.Writer) error {
	head, settings, rows := c.table()
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	line := func(cells []string) { fmt.Fprintln(t, strings.Join(cells, "\t")) }
	line(head)
	for _, s := range settings {
		line(s)
	}
	for _, r := range rows {
		line(r)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n%s\n", compareLegend, strings.Join(c.Notes(), "\n"))
	return err
}

// textTable is a table of texts.
func textTable(title, note string, head []string, rows [][]string) report.Table {
	t := report.Table{Title: title, Note: note}
	for _, name := range head {
		t.Columns = append(t.Columns, report.Column{Name: name})
	}
	for _, row := range rows {
		var cells []any
		for _, cell := range row {
			cells = append(cells, cell)
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// Document returns the comparison as a page.
func (c Comparison) Document() *report.Document {
	head, settings, rows := c.table()
	d := &report.Document{Title: fmt.Sprintf("Comparison of %d runs", len(c.Runs))}
	d.Sections = append(d.Sections, textTable("Numbers", compareLegend, head, rows))
	if notes := c.Notes(); len(notes) > 0 {
		d.Sections = append(d.Sections, report.Text{Title: "From what they were computed", Paragraphs: notes})
	}
	if len(settings) > 0 {
		d.Sections = append(d.Sections, textTable("Settings that differ", "", head, settings))
	}
	return d
}
