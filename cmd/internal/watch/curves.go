package watch

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ebm/cmd/internal/report"
	"ebm/internal/metrics"
)

// heldOut is the metric of the objective on pictures that are not trained on, and
// behind it, with a slash, the same at each noise level.
const heldOut = "validation_loss"

// most bounds the points of a curve on a page.
const most = 600

// curves returns a panel for each of the metrics of runs, with a series for each run:
// the loss, with the held-out one beside it, then the others by name, and for a single
// run the held-out loss by noise level.
func curves(ids []string, records [][]metrics.Record) []report.Panel {
	seen := map[string]bool{}
	for _, list := range records {
		for _, r := range list {
			for name := range r.Values {
				seen[name] = true
			}
		}
	}
	var others, levels []string
	for name := range seen {
		switch {
		case name == "loss" || name == heldOut:
		case strings.HasPrefix(name, heldOut+"/"):
			levels = append(levels, name)
		default:
			others = append(others, name)
		}
	}
	slices.Sort(others)
	slices.SortFunc(levels, func(a, b string) int { return cmp.Compare(levelOf(a), levelOf(b)) })

	var panels []report.Panel
	add := func(label string, series ...report.Series) {
		p := report.Panel{Y: report.Axis{Label: label, Log: label != "steps_per_second"}}
		for _, line := range series {
			if len(line.X) > 0 {
				p.Series = append(p.Series, line)
				p.Y.Log = p.Y.Log && !slices.ContainsFunc(line.Y, func(v float64) bool { return v <= 0 })
			}
		}
		if len(p.Series) > 0 {
			panels = append(panels, p)
		}
	}
	each := func(name, note string) (list []report.Series) {
		for i, id := range ids {
			list = append(list, series(id+note, name, records[i]))
		}
		return list
	}
	add("loss", append(each("loss", ""), each(heldOut, ", held out")...)...)
	for _, name := range others {
		add(name, each(name, "")...)
	}
	if len(ids) == 1 {
		const colours = 6
		var list []report.Series
		for i, name := range levels {
			if i*colours/len(levels) == (i-1)*colours/len(levels) && i > 0 {
				continue
			}
			list = append(list, series(fmt.Sprintf("σ = %g", levelOf(name)), name, records[0]))
		}
		add("held-out loss by noise level", list...)
	}
	return panels
}

// levelOf returns the noise level in the name of a metric, 0 where it has none.
func levelOf(name string) float64 {
	v, _ := strconv.ParseFloat(strings.TrimPrefix(name, heldOut+"/"), 64)
	return v
}

// series returns a metric over the steps, thinned, and with its last value.
func series(label, name string, records []metrics.Record) report.Series {
	line := report.Series{Name: label}
	var at []int
	for i, r := range records {
		if _, ok := r.Values[name]; ok {
			at = append(at, i)
		}
	}
	every := max(len(at)/most, 1)
	for k, i := range at {
		if k%every == 0 || k == len(at)-1 {
			line.X, line.Y = append(line.X, float64(records[i].Step)), append(line.Y, records[i].Values[name])
		}
	}
	return line
}
