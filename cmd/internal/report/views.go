package report

import "time"

// Templates get these views of sections: values as text, beside the section
// itself. validate has seen the sections, so no value is refused here.

type factsView struct {
	Facts
	Items []factView
}

type factView struct {
	Fact
	Shown string
}

func (f Facts) view() any {
	v := factsView{Facts: f}
	for _, item := range f.Items {
		p, _ := plain(item.Value)
		v.Items = append(v.Items, factView{item, valueText(p)})
	}
	return v
}

type checksView struct {
	Checks
	Items []checkView
}

type checkView struct {
	Check
	Passed   bool
	Measured string
	Limit    string
}

func (c Checks) view() any {
	v := checksView{Checks: c}
	for _, item := range c.Items {
		relation := "≤ "
		if item.AtLeast {
			relation = "≥ "
		}
		v.Items = append(v.Items, checkView{
			Check: item, Passed: item.Passed(),
			Measured: NumberText(item.Measured), Limit: relation + NumberText(item.Limit),
		})
	}
	return v
}

type tableView struct {
	Table
	Heads []tableCell
	Cells [][]tableCell
}

type tableCell struct {
	Text   string
	Number bool // set right
}

func (t Table) view() any {
	v := tableView{Table: t}
	numeric := make([]bool, len(t.Columns))
	for _, row := range t.Rows {
		cells := make([]tableCell, len(row))
		for j, cell := range row {
			p, _ := plain(cell)
			switch p.(type) {
			case int64, float64:
				cells[j].Number, numeric[j] = true, true
			}
			cells[j].Text = valueText(p)
		}
		v.Cells = append(v.Cells, cells)
	}
	for j, c := range t.Columns {
		head := c.Name
		if c.Unit != "" {
			head += " (" + c.Unit + ")"
		}
		v.Heads = append(v.Heads, tableCell{Text: head, Number: numeric[j]})
	}
	return v
}

type timingsView struct {
	Timings
	Rows  []timingRow
	Total string
}

type timingRow struct {
	Timing
	Text    string
	Percent px // of the longest
}

func (t Timings) view() any {
	v := timingsView{Timings: t}
	var sum, longest time.Duration
	for _, item := range t.Items {
		sum += item.Took
		longest = max(longest, item.Took)
	}
	for _, item := range t.Items {
		row := timingRow{Timing: item, Text: durationText(item.Took)}
		if longest > 0 {
			row.Percent = px(100 * float64(item.Took) / float64(longest))
		}
		v.Rows = append(v.Rows, row)
	}
	if len(t.Items) > 1 {
		v.Total = durationText(sum)
	}
	return v
}
