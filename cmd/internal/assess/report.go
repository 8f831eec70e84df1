package assess

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"ebm/cmd/internal/report"
	"ebm/evaluate/sets"
	"ebm/internal/files"
	"ebm/internal/metrics"
	"ebm/mdsm/samples"
)

// Identities of the sections that an assessment writes. In the report that is
// there, sections of the same identity are replaced, and others are kept.
const (
	idSamples          = "samples"
	idNumbers          = "numbers"
	idModes            = "modes"
	idModeNumbers      = "mode-numbers"
	idApart            = "outliers"
	idOutliers         = "outliers-by-" // and what tells them
	idScores           = "outlier-scores"
	idNoise            = "noise"
	idNoiseNumbers     = "noise-numbers"
	idNeighbours       = "neighbours"
	idNeighbourNumbers = "neighbour-numbers"
	idSelection        = "selection"
	idSelectionNumbers = "selection-numbers"
	idTraining         = "training"
	idProgress         = "progress"
	idGrids            = "grids"
	idSettings         = "settings"
	idConditions       = "conditions"
	idTimings          = "timings"
	idAgain            = "again"
)

// report puts together what was found.
func (a *assessment) report() (*report.Document, error) {
	doc := &report.Document{Title: "Evaluation of " + filepath.Base(a.Run), Subject: a.weights, Summary: a.summary(), Created: time.Now()}
	if a.samples != nil {
		grid, err := a.grid()
		if err != nil {
			return nil, err
		}
		doc.Sections = append(doc.Sections, grid)
	}
	doc.Sections = append(doc.Sections, a.numbersSections()...)
	if a.modes != nil {
		doc.Sections = append(doc.Sections, ModeNumbers(*a.modes, a.classifier.Maker()), a.modesChart())
	}
	doc.Sections = append(doc.Sections, a.apart()...)
	if len(a.levels) > 0 {
		chart, table := NoiseSections(a.levels, a.source.Objective.Sigma0)
		doc.Sections = append(doc.Sections, chart, table)
	}
	if len(a.near) > 0 {
		gallery, table, err := NeighbourSections(a.near, a.training.Name)
		if err != nil {
			return nil, err
		}
		doc.Sections = append(doc.Sections, gallery, table)
	}
	if a.selection != nil {
		chart, table := a.selection.sections()
		doc.Sections = append(doc.Sections, chart, table)
	}
	training, err := a.trainingSections()
	if err != nil {
		return nil, err
	}
	doc.Sections = append(append(doc.Sections, training...), a.conditions(),
		report.Timings{ID: idTimings, Title: "Time of the evaluation", Items: a.took}, a.again())
	return doc, nil
}

// keepOld adds the sections of the report that is there to doc.
func (a *assessment) keepOld(doc *report.Document) error {
	f, err := files.Open(filepath.Join(a.Dir, report.JSONFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	old, err := report.ReadJSON(f)
	if err != nil {
		a.Log(fmt.Sprintf("the report that was there is replaced: %s: %v", f.Name(), err))
		return nil
	}
	doc.Keep(old)
	return nil
}

func (a *assessment) summary() string {
	text := fmt.Sprintf("%v, trained on %s", a.about["network"], a.training.Name)
	if a.about["network"] == "" {
		text = "A model of " + a.training.Name
	}
	if step := a.about["step"]; step != "" {
		text += " for " + step + " steps"
	}
	text += "."
	if a.samples == nil {
		return text
	}
	text += fmt.Sprintf(" %d samples were evaluated", a.samples.Shape()[0])
	for _, r := range a.numbers {
		for _, v := range r.Metrics {
			if v.Quantity == sets.FrechetDistance && v.Variant == "" {
				text += fmt.Sprintf("; %s %.4g", v.Label, v.Value)
			}
		}
	}
	return text + "."
}

func (a *assessment) grid() (report.Section, error) {
	note := fmt.Sprintf("The first %d of %d, none chosen.", min(64, a.samples.Shape()[0]), a.samples.Shape()[0])
	if r := a.record; r != nil {
		note += fmt.Sprintf(" Drawn with seed %d by %d Langevin steps of size %g, schedule %s.", r.Seed, r.Steps, r.StepSize, r.Schedule)
	}
	file := filepath.Join(a.samplesDir, samples.ArchiveFile)
	if r, err := filepath.Rel(a.Dir, file); err == nil { // as seen from the report
		file = r
	}
	p, err := Grid("", "a grid of samples", 16, 2, 0, First(a.samples, 64))
	p.Width, p.File = 800, file
	return report.Gallery{ID: idSamples, Title: "Samples", Note: note, Pictures: []report.Picture{p}}, err
}

func (a *assessment) numbersSections() []report.Section {
	var items []report.Metric
	for _, r := range a.numbers {
		items = append(items, MetricsOf(r.Result, r.against)...)
	}
	if len(items) == 0 {
		return nil
	}
	return []report.Section{Numbers(items)}
}

// modesChart shows the classes of the samples beside those of the data.
func (a *assessment) modesChart() report.Section {
	chart := ModesChart("samples", fmt.Sprint(a.modes.Samples), a.modes.Classes)
	if len(a.training.Labels) > 0 && len(a.modes.Classes) == a.modes.Modes {
		counts := make([]int, len(a.modes.Classes))
		for _, l := range a.training.Labels {
			counts[min(int(l), len(counts)-1)]++
		}
		of := classShares(a.training.Name+" "+a.training.Split.String(), fmt.Sprint(a.training.Len()), counts)
		of.Low, of.High = nil, nil
		chart.Panels[0].Series = append(chart.Panels[0].Series, of)
	}
	return chart
}

// trainingSections show the losses and the settings of the run.
func (a *assessment) trainingSections() ([]report.Section, error) {
	var list []report.Section
	values := a.about
	if a.settings != nil {
		values = a.settings.Values()
		records, err := metrics.ReadFile(filepath.Join(RunFolder(a.Run), metrics.LinesFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if chart, ok := trainingChart(records); ok {
			list = append(list, chart)
		}
	}
	return append(list, settingsFacts(idSettings, "Settings of the run", values)...), nil
}

func (a *assessment) conditions() report.Section {
	f := report.Facts{ID: idConditions, Title: "How it was measured", Items: []report.Fact{
		{Name: "weights", Value: a.weights, Note: "SHA-256 of the energy's parameters"},
		{Name: "training data", Value: fmt.Sprintf("%s, %d pictures", a.training.Name, a.training.Len()), Note: "SHA-256 " + a.training.Hash()},
	}}
	if a.checkpoint != "" {
		f.Items = append(f.Items, report.Fact{Name: "checkpoint", Value: a.checkpoint})
	}
	if a.heldOut != nil {
		f.Items = append(f.Items, report.Fact{Name: "held-out data",
			Value: fmt.Sprintf("%s %v, %d pictures", a.heldOut.Name, a.heldOut.Split, a.heldOut.Len())})
	}
	seen := make(map[string]bool)
	for _, r := range a.numbers {
		m := r.Features
		if m == nil || seen[m.Network.String()] {
			continue
		}
		seen[m.Network.String()] = true
		note := "no weights"
		if m.Weights != "" {
			note = "SHA-256 of the weights " + m.Weights
		}
		f.Items = append(f.Items, report.Fact{Name: "features of " + m.Network.String(), Value: m.String(), Note: note})
	}
	f.Items = append(f.Items,
		report.Fact{Name: "pictures a set", Value: a.Pictures,
			Note: "at most, drawn at random; one noise draw each by the seed, the picture's number and the noise level"},
		report.Fact{Name: "seed", Value: int64(a.Metrics.Seed)})
	f.Items = append(append(f.Items, Where(a.rt)...), report.Fact{Name: "program", Value: a.Program})
	for _, note := range a.notes {
		f.Items = append(f.Items, report.Fact{Name: "note", Value: "", Note: note})
	}
	return f
}

func (a *assessment) again() report.Section {
	line := "ebm evaluate " + a.Run
	if a.Dir != RunFolder(a.Run) {
		line += " --out " + a.Dir
	}
	return report.Commands{ID: idAgain, Title: "Evaluate again", Items: []report.Command{
		{Line: line, Note: "these numbers; samples that are there are used again"},
		{Line: "ebm compare " + a.Dir + " OTHER…", Note: "beside other runs"},
	}}
}

// Losses returns the losses that a run's metrics hold, by step. The error wraps
// fs.ErrNotExist when there are no metrics.
func Losses(run string) (report.Series, error) {
	line := report.Series{Name: "each mean", Faint: true}
	records, err := metrics.ReadFile(filepath.Join(run, metrics.LinesFile))
	for _, r := range records {
		if loss, ok := r.Values["loss"]; ok {
			line.X, line.Y = append(line.X, float64(r.Step)), append(line.Y, loss)
		}
	}
	return line, err
}

// Smoothed returns a line in grey and its mean over one in so many parts of it.
func Smoothed(line report.Series, parts int) []report.Series {
	return []report.Series{line, {Name: "smoothed", X: line.X, Y: report.Smooth(line.Y, max(len(line.Y)/parts, 1))}}
}

// LossChart shows losses over the steps of a training.
func LossChart(title, note string, lines ...report.Series) report.Chart {
	return report.Chart{
		Title: title, Note: note, X: report.Axis{Label: "step"},
		Panels: []report.Panel{{Y: report.Axis{Label: "loss", Log: true}, Series: lines}},
	}
}
