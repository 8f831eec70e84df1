package assess

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"ebm/cmd/internal/report"
	"ebm/internal/metrics"
	"ebm/mdsm/train"
)

// Table returns the results as lines of a head and cells, the best first.
func (s Sweep) Table() (head []string, rows [][]string) {
	varied := s.Varied()
	head = append(append([]string{"rank"}, varied...), "steps", "seeds", "held-out loss", "loss", "seconds", "")
	for _, r := range s.Results() {
		row := []string{"–"}
		if r.Rank > 0 {
			row[0] = fmt.Sprint(r.Rank)
		}
		for _, name := range varied {
			row = append(row, settingText(r.Set[name]))
		}
		heldOut := numberText(r.HeldOut)
		if r.Deviation != nil {
			heldOut += " ± " + report.SpreadText(*r.Deviation)
		}
		rows = append(rows, append(row, fmt.Sprint(r.Steps), fmt.Sprint(len(r.Seeds)), heldOut, numberText(r.Loss),
			fmt.Sprintf("%.1f", r.Seconds), r.Problem))
	}
	return head, rows
}

func numberText(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.5g", *v) // settings are often near each other
}

// Text returns the table as lines whose cells end at tabs.
func (s Sweep) Text() string {
	head, rows := s.Table()
	var b strings.Builder
	for _, row := range append([][]string{head}, rows...) {
		fmt.Fprintln(&b, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return b.String()
}

// mostCurves bounds the settings whose curves a page shows.
const mostCurves = 6

// Document returns the sweep in a folder as a page: the table, and the held-out losses of
// the best settings over their steps.
func (s Sweep) Document(dir string) (*report.Document, error) {
	done, all := s.Count()
	results := s.Results()
	length := "the same number of steps"
	if s.Time != "" {
		length = "the steps that fit into " + s.Time
	}
	d := &report.Document{
		Title: "Sweep " + filepath.Base(dir), Created: time.Now(),
		Summary: fmt.Sprintf("%d of %d trainings are finished, each of %s.", done, all, length),
	}
	head, rows := s.Table()
	table := textTable("Settings", "Held-out loss: the mean of eq. (7) over held-out data at the noise levels of the base, after the "+
		"last step, for all settings alike; its mean over seeds ± the deviation over them. Seconds are those in updates.", head, rows)
	panel := report.Panel{Y: report.Axis{Label: "held-out loss", Log: true}}
	for _, r := range results[:min(len(results), mostCurves)] {
		records, err := metrics.ReadFile(filepath.Join(dir, r.runs[0], metrics.LinesFile))
		if err != nil {
			return nil, err
		}
		if line := report.Curve(Label(r.Set), train.HeldOutLoss, records); len(line.X) > 1 {
			panel.Series = append(panel.Series, line)
		}
	}
	d.Sections = append(d.Sections, table)
	if len(panel.Series) > 0 {
		d.Sections = append(d.Sections, report.Chart{Title: "Held-out loss of the best settings",
			Note: "Of the first seed of each.", X: report.Axis{Label: "step"}, Panels: []report.Panel{panel}})
	}
	d.Sections = append(d.Sections, settingsFacts("", "What all begin with", s.Base)...)
	return d, nil
}
