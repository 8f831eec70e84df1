package assess

import (
	"fmt"
	"math"
	"strings"

	"ebm/cmd/internal/report"
	"ebm/evaluate/probe"
)

// apart shows histograms of what tells outliers, with their AUROC.
func (a *assessment) apart() []report.Section {
	if len(a.statistics) == 0 {
		return nil
	}
	var charts []report.Section
	var items []report.Metric
	table := report.Table{
		ID: idScores, Title: "Energies and losses of each set",
		Note: "AUROC is the probability that a picture of the set scores higher than a held-out one, with its standard error.",
		Columns: []report.Column{{Name: "score"}, {Name: "set"}, {Name: "role"}, {Name: "pictures"}, {Name: "median"}, {Name: "mean"},
			{Name: "deviation"}, {Name: "AUROC"}, {Name: "its error"}},
	}
	for _, s := range a.statistics {
		charts = append(charts, OutlierChart("Outliers by "+s.Name, s))
		held := s.HeldOut()
		for _, p := range s.Populations {
			row := []any{string(s.Kind), p.Name, string(p.Role), len(p.Values), p.Median, p.Mean, p.Deviation, nil, nil}
			if p.Separation != nil {
				row[7], row[8] = p.Separation.AUROC, p.Separation.Error
				items = append(items, aurocMetric(s, p, held))
			}
			table.Rows = append(table.Rows, row)
		}
		if s.Kind == probe.ByLoss {
			items = append(items, report.Metric{
				Key: "held_out_loss", Name: "denoising loss of held-out pictures", Value: held.Mean,
				Deviation: held.Deviation / math.Sqrt(float64(len(held.Values))), Better: "lower", Samples: len(held.Values),
				Features: fmt.Sprintf("%s, noise levels %s, σ₀ = %g, l(σ) %s", held.Name, listed(a.lossSigmas), a.source.Objective.Sigma0,
					a.source.Objective.Weighting),
			})
		}
	}
	sections := []report.Section{report.Metrics{
		ID: idApart, Title: "What the model tells apart", Items: items,
		Note: "An outlier is counted as such when its energy, or its loss, is higher than that of a held-out picture. An AUROC of 0.5 is no " +
			"separation, and one below it says that the other set has the LOWER values: as the paper found for SVHN and a model of CIFAR-10.",
	}}
	return append(append(sections, charts...), table)
}

// OutlierChart shows the histogram of each population, and in words which lie
// higher than the held-out pictures.
func OutlierChart(title string, s probe.Statistic) report.Chart {
	chart := report.Chart{
		ID: idOutliers + string(s.Kind), Title: title, Note: outlierNote(s),
		X: report.Axis{Label: s.Name, Unit: s.Unit}, Panels: []report.Panel{{Y: report.Axis{Label: "density"}}},
	}
	for i, p := range s.Populations {
		note := fmt.Sprintf("%s, median %.4g", p.Role, p.Median)
		if p.Separation != nil {
			note = fmt.Sprintf("%s, AUROC %.3f, median %.4g", p.Role, p.Separation.AUROC, p.Median)
		}
		if outside := s.Histogram.Below[i] + s.Histogram.Above[i]; outside > 0 {
			note += fmt.Sprintf(", %d of %d outside", outside, len(p.Values))
		}
		chart.Panels[0].Series = append(chart.Panels[0].Series, report.Outline(p.Name, note, s.Histogram.Edges, s.Histogram.Density(i)))
	}
	return chart
}

func aurocMetric(s probe.Statistic, p, held probe.PopulationValues) report.Metric {
	m := report.Metric{
		Key:  fmt.Sprintf("auroc_%s_%s", s.Kind, strings.ReplaceAll(p.Name, " ", "_")),
		Name: fmt.Sprintf("AUROC of the %s for %s", s.Kind, p.Name), Quantity: "auroc", Value: p.Separation.AUROC, Deviation: p.Separation.Error,
		Samples: len(p.Values), Reference: len(held.Values), Against: held.Name, Features: s.Name,
	}
	switch p.Role {
	case probe.Other:
		m.Better = "higher"
	case probe.Training:
		m.Name += " (0.5: no overfitting)"
	}
	return m
}

// outlierNote says in words which side is higher.
func outlierNote(s probe.Statistic) string {
	note := "To the right is what the model takes for less likely."
	if s.Kind == probe.ByLoss {
		note = "To the right is what the model denoises worse."
	}
	var parts []string
	for _, p := range s.Populations {
		switch {
		case p.Role != probe.Other:
		case p.Separation.AUROC > 0.5:
			parts = append(parts, fmt.Sprintf("%s lies HIGHER than the held-out pictures (AUROC %.3f)", p.Name, p.Separation.AUROC))
		default:
			parts = append(parts, fmt.Sprintf("%s lies LOWER than the held-out pictures (AUROC %.3f): by this score they are no outliers",
				p.Name, p.Separation.AUROC))
		}
	}
	if len(parts) > 0 {
		note += " " + strings.Join(parts, "; ") + "."
	}
	return note
}

func listed(values []float64) string {
	var parts []string
	for _, v := range values {
		parts = append(parts, fmt.Sprintf("%.3g", v))
	}
	return strings.Join(parts, ", ")
}
