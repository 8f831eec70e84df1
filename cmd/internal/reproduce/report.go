package reproduce

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"time"

	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/report"
	"ebm/internal/atomicfile"
	"ebm/internal/files"
)

// The summaries over all items.
const (
	SummaryFile     = "summary.md"
	SummaryJSONFile = "summary.json"
)

// report writes the page and the summaries over all items of the scale whose
// results are in the folder.
func (s *study) report() error {
	var results []Result
	doc := &report.Document{
		Title:   "The paper's experiments, " + string(s.Scale),
		Created: time.Now(),
		Summary: "Experiments of Li, Chen and Sommer, “Learning Energy-Based Models in High-Dimensional Spaces with Multiscale " +
			"Denoising-Score Matching”, each with the paper's values beside those measured here. " + scaleNote(s.Scale),
	}
	table := report.Table{Title: "All numbers", Columns: []report.Column{{Name: "item"}, {Name: "quantity"}, {Name: "unit"}, {Name: "paper"},
		{Name: "ours"}, {Name: "±"}, {Name: "compares"}}}
	times := report.Timings{Title: "Time", Note: "Trainings and samples count for the item that made them; others take them from there."}
	var sections []report.Section
	for _, item := range Items() {
		r, err := readResult(filepath.Join(s.Dir, item.Name))
		if errors.Is(err, fs.ErrNotExist) || err == nil && r.Scale != s.Scale {
			continue
		}
		if err != nil {
			return err
		}
		results = append(results, r)
		for _, row := range r.Rows {
			table.Rows = append(table.Rows, []any{r.Item, row.Name, row.Unit, paperText(row), number(row.Ours), number(nonZero(row.Error)),
				map[bool]string{true: "yes", false: "no"}[row.Same]})
		}
		times.Items = append(times.Items, report.Timing{Name: r.Item, Took: time.Duration(r.Seconds * float64(time.Second))})
		own, err := s.sections(r)
		if err != nil {
			return err
		}
		sections = append(sections, own...)
	}
	if len(results) == 0 {
		return nil
	}
	doc.Sections = append(append([]report.Section{table}, sections...), times, report.Facts{Title: "Where", Items: assess.Where(s.rt)})
	if err := doc.Write(s.Dir); err != nil {
		return err
	}
	if err := atomicfile.WriteJSON(filepath.Join(s.Dir, SummaryJSONFile), results); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(s.Dir, SummaryFile), []byte(markdown(s.Scale, results)))
}

func scaleNote(s Scale) string {
	switch s {
	case Smoke:
		return "This run only shows that every part works: none of its numbers means anything."
	case Small:
		return "This run is small: small networks, 16×16 pictures, few samples. What differs is said at each item; few of the numbers compare."
	}
	return "This run has the paper's settings; what differs all the same is said at each item."
}

// sections returns what an item's own report shows, under the item's name.
func (s *study) sections(r Result) ([]report.Section, error) {
	doc, err := files.Read(filepath.Join(s.Dir, r.Item, report.JSONFile), report.ReadJSON)
	if err != nil {
		return nil, err
	}
	text := []string{"In the paper: " + r.Paper + "."}
	for _, m := range r.Models {
		text = append(text, fmt.Sprintf("Model: %s, %s, of %s.", m.Name, m.Network, m.Data))
	}
	for _, d := range r.Differs {
		text = append(text, "Not as in the paper: "+d+".")
	}
	list := []report.Section{report.Text{Title: "Item " + r.Item + ": " + r.About, Paragraphs: text}}
	for _, section := range doc.Sections {
		if g, ok := section.(report.Gallery); ok {
			for i := range g.Pictures {
				g.Pictures[i].File = filepath.Join(r.Item, g.Pictures[i].File)
			}
			section = g
		}
		list = append(list, section)
	}
	return list, nil
}

// number is a cell: nothing where there is none.
func number(v float64) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return v
}

func nonZero(v float64) float64 {
	if v == 0 {
		return math.NaN()
	}
	return v
}

// paperText is the paper's value in a table.
func paperText(r Row) string {
	switch v := r.Paper.(type) {
	case nil:
		return "–"
	case string:
		return v
	case float64:
		return fmt.Sprintf("%.4g", v)
	default:
		return fmt.Sprint(v)
	}
}

// markdown is the summary for people.
func markdown(scale Scale, results []Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The paper's experiments, %s\n\n%s\n\n| item | the paper's | quantity | paper | ours | compares |\n| --- | --- | --- "+
		"| --- | --- | --- |\n", scale, scaleNote(scale))
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	total := 0.0
	for _, r := range results {
		total += r.Seconds
		for i, row := range r.Rows {
			item, place := r.Item, r.Paper
			if i > 0 {
				item, place = "", ""
			}
			ours := "–"
			if !math.IsNaN(row.Ours) {
				ours = fmt.Sprintf("%.4g", row.Ours)
				if row.Error > 0 {
					ours += fmt.Sprintf(" ± %.2g", row.Error)
				}
				if row.Unit != "" {
					ours += " " + row.Unit
				}
			}
			same := "no"
			if row.Same {
				same = "yes"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", item, cell(place), cell(row.Name), cell(paperText(row)), ours, same)
		}
	}
	fmt.Fprintf(&b, "\nAll items together took %s.\n\n## What differs\n\n", time.Duration(total*float64(time.Second)).Round(time.Second))
	for _, r := range results {
		for _, d := range r.Differs {
			fmt.Fprintf(&b, "- %s: %s\n", r.Item, d)
		}
	}
	return b.String()
}
