package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ebm/cmd/internal/report"
	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/evaluate/sets"
	"ebm/internal/picture"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

// Titles of the sections that an evaluation writes. A section of the same title in
// the report that is there is replaced, and others are kept.
const (
	titleSamples    = "Samples"
	titleNumbers    = "How good the samples are"
	titleModes      = "Classes of the samples"
	titleApart      = "What the model tells apart"
	titleScores     = "Energies and losses of each set"
	titleNoise      = "Energy against noise"
	titleNeighbours = "Nearest training pictures"
	titleSelection  = "Checkpoints"
	titleTraining   = "Training"
	titleSettings   = "Settings of the run"
	titleConditions = "How it was measured"
	titleTimings    = "Time of the evaluation"
	titleAgain      = "Evaluate again"
)

const noteNumbers = "Numbers compare only between equal features, equal reference pictures and equal numbers of samples. Those in features of a classifier or in pixels are not FID."

// factWeights names the fact by which a report of other weights is known.
const factWeights = "weights"

// report puts together what was found, and what a report that is there says
// beside it.
func (e *evaluation) report() (*report.Document, error) {
	doc := &report.Document{Title: "Evaluation of " + filepath.Base(e.name), Summary: e.summary(), Created: time.Now()}
	for _, part := range []func() ([]report.Section, error){
		e.grid, e.numbersSection, e.modesSection, e.apart, e.noiseSection, e.neighboursSection, e.selectionSection,
		e.trainingSection, e.settingsSection, e.conditionsSection, e.timings, e.again,
	} {
		sections, err := part()
		if err != nil {
			return nil, err
		}
		doc.Sections = append(doc.Sections, sections...)
	}
	e.found = doc.Metrics()
	return doc, e.keepOld(doc)
}

// keepOld adds the sections of the report that is there to doc.
func (e *evaluation) keepOld(doc *report.Document) error {
	f, err := os.Open(filepath.Join(e.dir, report.JSONFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	old, err := report.ReadJSON(f)
	if err != nil {
		e.log(fmt.Sprintf("the report that was there is replaced: %s: %v", f.Name(), err))
		return nil
	}
	doc.Keep(old, factWeights)
	return nil
}

func (e *evaluation) summary() string {
	text := fmt.Sprintf("%v, trained on %s", e.about["network"], e.training.Name)
	if e.about["network"] == "" {
		text = "A model of " + e.training.Name
	}
	if step := e.about["step"]; step != "" {
		text += " for " + step + " steps"
	}
	text += fmt.Sprintf(". %d samples were evaluated", e.samples.Shape()[0])
	for _, m := range e.numbers {
		if strings.HasSuffix(m.Key, "frechet") || m.Key == "fid" {
			text += fmt.Sprintf("; %s %.4g", m.Name, m.Value)
		}
	}
	return text + "."
}

func (e *evaluation) grid() ([]report.Section, error) {
	shown := e.samples.Rows(0, min(64, e.samples.Shape()[0]))
	data, err := gridPNG(picture.Grid{Columns: 16, Padding: 1, Scale: 2, Background: 96}, shown)
	if err != nil {
		return nil, err
	}
	note := fmt.Sprintf("The first %d of %d, none chosen.", shown.Shape()[0], e.samples.Shape()[0])
	if r := e.record; r != nil {
		note += fmt.Sprintf(" Drawn with seed %d by %d Langevin steps of size %g, schedule %s.", r.Seed, r.Steps, r.StepSize, r.Schedule)
	}
	return []report.Section{report.Gallery{
		Title: titleSamples, Note: note,
		Pictures: []report.Picture{{Alt: "a grid of samples", Width: 800, File: e.relative(filepath.Join(e.samplesDir, samples.ArchiveFile)), Data: data}},
	}}, nil
}

func gridPNG(g picture.Grid, x *tensor.Tensor) ([]byte, error) {
	var b bytes.Buffer
	err := g.WritePNG(&b, x)
	return b.Bytes(), err
}

// relative returns a path as seen from the report.
func (e *evaluation) relative(path string) string {
	if r, err := filepath.Rel(e.dir, path); err == nil {
		return r
	}
	return path
}

// addNumbers takes the metrics of a comparison.
func (e *evaluation) addNumbers(r *sets.Result, against string) {
	made := "unknown features"
	if m := r.Features; m != nil {
		made = m.String()
		name := "features of " + m.Network.String()
		if !slices.ContainsFunc(e.conditions, func(f report.Fact) bool { return f.Name == name }) {
			note := "no weights"
			if m.Weights != "" {
				note = "SHA-256 of the weights " + m.Weights
			}
			e.conditions = append(e.conditions, report.Fact{Name: name, Value: made, Note: note})
		}
	}
	for _, v := range r.Metrics {
		m := report.Metric{
			Key: v.Key(), Name: v.Label, Value: v.Value, Deviation: math.NaN(),
			Better: v.Better, Samples: v.Samples, Features: made, Warnings: append(slices.Clone(r.Warnings), v.Warnings...),
		}
		m.Reference, m.Against = v.Reference, against
		switch {
		case v.Deviation != nil:
			m.Deviation = *v.Deviation
		case v.Error != nil:
			m.Deviation = *v.Error
		}
		e.numbers = append(e.numbers, m)
	}
}

func (e *evaluation) numbersSection() ([]report.Section, error) {
	if len(e.numbers) == 0 {
		return nil, nil
	}
	return []report.Section{report.Metrics{
		Title: titleNumbers,
		Note:  noteNumbers,
		Items: e.numbers,
	}}, nil
}

func (e *evaluation) modesSection() ([]report.Section, error) {
	m := e.modes
	if m == nil {
		return nil, nil
	}
	edges := []float64{-0.5}
	for k := range m.Classes {
		edges = append(edges, float64(k)+0.5)
	}
	series := []report.Series{report.Outline("samples", fmt.Sprint(m.Samples), edges, shares(m.Classes))}
	if len(e.training.Labels) > 0 && len(m.Classes) == m.Modes {
		counts := make([]int, len(m.Classes))
		for _, l := range e.training.Labels {
			counts[min(int(l), len(counts)-1)]++
		}
		of := report.Outline(e.training.Name+" "+e.training.Split.String(), fmt.Sprint(e.training.Len()), edges, shares(counts))
		of.Low, of.High = nil, nil
		series = append(series, of)
	}
	return []report.Section{
		modeNumbers(*m, e.classes.Maker()),
		report.Chart{
			Title: titleModes, X: report.Axis{Label: "class"},
			Panels: []report.Panel{{Y: report.Axis{Label: "share of the samples"}, Series: series}},
		},
	}, nil
}

// modeNumbers is the section of what a classifier says of samples.
func modeNumbers(m evaluate.ModeResult, maker features.Maker) report.Metrics {
	items := []report.Metric{
		{Key: "modes_covered", Name: fmt.Sprintf("modes covered, of %d", m.Modes), Value: float64(m.Covered), Deviation: math.NaN(), Better: "higher", Warnings: m.Warnings},
		{Key: "modes_kl", Name: "relative entropy of the modes to the uniform distribution", Unit: "nats", Value: m.KL, Deviation: math.NaN(), Better: "lower", Warnings: m.Warnings},
		{Key: "modes_confident", Name: fmt.Sprintf("share of samples that the classifier is sure of (%g or more)", m.Threshold), Value: m.Confident, Deviation: math.NaN(), Better: "higher"},
	}
	for i := range items {
		items[i].Samples, items[i].Features = m.Samples, maker.String()
	}
	return report.Metrics{
		Title: titleModes + ", in numbers",
		Note:  fmt.Sprintf("A perfect model would cover %.1f modes and have a relative entropy of %.3f nats with as many samples. Mistakes of the classifier count too.", m.ExpectedCovered, m.ExpectedKL),
		Items: items,
	}
}

// shares divides counts by their sum.
func shares(counts []int) []float64 {
	total := 0
	for _, c := range counts {
		total += c
	}
	var list []float64
	for _, c := range counts {
		list = append(list, float64(c)/float64(max(total, 1)))
	}
	return list
}

// apart shows histograms of the scores, with their AUROC.
func (e *evaluation) apart() ([]report.Section, error) {
	if len(e.scores) == 0 {
		return nil, nil
	}
	var charts []report.Section
	var items []report.Metric
	table := report.Table{
		Title:   titleScores,
		Note:    "AUROC is the probability that a picture of the set scores higher than a held-out one, with its standard error.",
		Columns: []report.Column{{Name: "score"}, {Name: "set"}, {Name: "role"}, {Name: "pictures"}, {Name: "median"}, {Name: "mean"}, {Name: "deviation"}, {Name: "AUROC"}, {Name: "its error"}},
	}
	for i, s := range e.scores {
		kind := map[bool]string{true: "energy", false: "loss"}[strings.HasPrefix(s.Name, "energy")]
		chart := report.Chart{
			Title: "Outliers by " + s.Name, Note: outlierNote(s),
			X: report.Axis{Label: s.Name, Unit: s.Unit}, Panels: []report.Panel{{Y: report.Axis{Label: "density"}}},
		}
		held := heldOutOf(s)
		for j, g := range s.Groups {
			note := fmt.Sprintf("%s, median %.4g", g.Role, g.Median)
			row := []any{kind, g.Name, string(g.Role), len(g.Values), g.Median, g.Mean, g.Deviation, nil, nil}
			if g.Separation != nil {
				note = fmt.Sprintf("%s, AUROC %.3f, median %.4g", g.Role, g.Separation.AUROC, g.Median)
				row[7], row[8] = g.Separation.AUROC, g.Separation.Error
				items = append(items, e.aurocMetric(kind, s, g, held))
			}
			if outside := s.Histogram.Below[j] + s.Histogram.Above[j]; outside > 0 {
				note += fmt.Sprintf(", %d of %d outside", outside, len(g.Values))
			}
			table.Rows = append(table.Rows, row)
			chart.Panels[0].Series = append(chart.Panels[0].Series, report.Outline(g.Name, note, s.Histogram.Edges, s.Histogram.Density(j)))
		}
		if i == 0 || kind == "loss" {
			charts = append(charts, chart)
		}
		if kind == "loss" {
			items = append(items, report.Metric{
				Key: "held_out_loss", Name: "denoising loss of held-out pictures", Value: held.Mean,
				Deviation: held.Deviation / math.Sqrt(float64(len(held.Values))), Better: "lower", Samples: len(held.Values),
				Features: fmt.Sprintf("%s, noise levels %s, σ₀ = %g, l(σ) %s", held.Name, listed(e.lossSigmas), e.source.Objective.Sigma0, e.source.Objective.Weighting),
			})
		}
	}
	sections := []report.Section{report.Metrics{
		Title: titleApart,
		Note:  "An outlier is counted as such when its energy, or its loss, is higher than that of a held-out picture. An AUROC of 0.5 is no separation, and one below it says that the other set has the LOWER values: as the paper found for SVHN and a model of CIFAR-10.",
		Items: items,
	}}
	return append(append(sections, charts...), table), nil
}

func heldOutOf(s probe.Score) probe.GroupScores {
	return s.Groups[slices.IndexFunc(s.Groups, func(g probe.GroupScores) bool { return g.Role == probe.HeldOut })]
}

func (e *evaluation) aurocMetric(kind string, s probe.Score, g, held probe.GroupScores) report.Metric {
	m := report.Metric{
		Key:  fmt.Sprintf("auroc_%s_%s", kind, strings.ReplaceAll(g.Name, " ", "_")),
		Name: fmt.Sprintf("AUROC of the %s for %s", kind, g.Name), Value: g.Separation.AUROC, Deviation: g.Separation.Error,
		Samples: len(g.Values), Reference: len(held.Values), Against: held.Name, Features: s.Name,
	}
	if g.Role == probe.Other {
		m.Better = "higher"
	}
	if g.Role == probe.Training {
		m.Name += " (0.5: no overfitting)"
	}
	return m
}

// outlierNote says in words which side is higher.
func outlierNote(s probe.Score) string {
	var parts []string
	for _, g := range s.Groups {
		switch {
		case g.Role != probe.Other:
		case g.Separation.AUROC > 0.5:
			parts = append(parts, fmt.Sprintf("%s lies HIGHER than the held-out pictures (AUROC %.3f)", g.Name, g.Separation.AUROC))
		default:
			parts = append(parts, fmt.Sprintf("%s lies LOWER than the held-out pictures (AUROC %.3f): by this score they are no outliers", g.Name, g.Separation.AUROC))
		}
	}
	note := "To the right is what the model takes for less likely."
	if strings.HasPrefix(s.Name, "denoising") {
		note = "To the right is what the model denoises worse."
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
