package report

import (
	"maps"
	"slices"
	"strings"

	"ebm/internal/metrics"
	"ebm/mdsm/train"
)

// most bounds the points of a curve on a page.
const most = 600

// Curves returns a panel for each of the metrics of runs, with a series for each run:
// the loss, with the held-out one beside it, then the others by name, and for a single
// run the held-out loss by noise level.
func Curves(ids []string, records [][]metrics.Record) []Panel {
	seen := map[string]float64{}
	for _, list := range records {
		for _, r := range list {
			maps.Copy(seen, r.Values)
		}
	}
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(seen)), func(name string) bool {
		return name == "loss" || strings.HasPrefix(name, train.HeldOutLoss)
	})

	var panels []Panel
	add := func(label string, series ...Series) {
		p := Panel{Y: Axis{Label: label, Log: label != "steps_per_second"}}
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
	each := func(name, note string) (list []Series) {
		for i, id := range ids {
			list = append(list, Curve(id+note, name, records[i]))
		}
		return list
	}
	add("loss", append(each("loss", ""), each(train.HeldOutLoss, ", held out")...)...)
	for _, name := range others {
		add(name, each(name, "")...)
	}
	if len(ids) == 1 {
		if p, ok := Levels(records[0]); ok {
			panels = append(panels, p)
		}
	}
	return panels
}

// Levels returns a panel of the held-out loss at some of its noise levels; ok is false
// where there are none.
func Levels(records []metrics.Record) (p Panel, ok bool) {
	seen := map[string]float64{}
	for _, r := range records {
		maps.Copy(seen, r.Values)
	}
	levels := train.LevelsOf(seen)
	p.Y = Axis{Label: "held-out loss by noise level", Log: true}
	for i, level := range levels {
		if i*paletteSize/len(levels) == (i-1)*paletteSize/len(levels) && i > 0 {
			continue
		}
		line := Curve("σ = "+level, train.HeldOutLoss+"/"+level, records)
		p.Series = append(p.Series, line)
		p.Y.Log = p.Y.Log && !slices.ContainsFunc(line.Y, func(v float64) bool { return v <= 0 })
	}
	return p, len(p.Series) > 0
}

// Curve returns a metric over the steps, thinned, and with its last value.
func Curve(label, name string, records []metrics.Record) Series {
	line := Series{Name: label}
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
