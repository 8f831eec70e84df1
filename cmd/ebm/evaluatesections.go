package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"

	"ebm/cmd/internal/report"
	"ebm/internal/metrics"
	"ebm/internal/picture"
)

func (e *evaluation) noiseSection() ([]report.Section, error) {
	if len(e.levels) == 0 {
		return nil, nil
	}
	energy := report.Panel{Y: report.Axis{Label: "energy", Unit: "nats", Log: true}}
	left := report.Panel{Y: report.Axis{Label: "noise left", Unit: "share", Log: true}}
	table := report.Table{Title: titleNoise + ", in numbers", Columns: []report.Column{{Name: "σ"}}}
	for i, of := range e.levels {
		s := report.Series{Name: of.name, Note: fmt.Sprintf("%d pictures", of.pictures)}
		share := report.Series{Name: of.name, Note: s.Note}
		for k, l := range of.list {
			s.X, s.Y = append(s.X, l.Sigma), append(s.Y, l.Energy)
			s.Low, s.High = append(s.Low, l.Energy-l.EnergyDeviation), append(s.High, l.Energy+l.EnergyDeviation)
			energy.Y.Log = energy.Y.Log && l.Energy > l.EnergyDeviation
			share.Y = append(share.Y, l.Left)
			if i == 0 {
				table.Rows = append(table.Rows, []any{l.Sigma})
			}
			table.Rows[k] = append(table.Rows[k], l.Energy, l.EnergyDeviation, l.Left, l.Loss)
		}
		share.X = s.X
		energy.Series, left.Series = append(energy.Series, s), append(left.Series, share)
		for _, column := range []string{"energy", "deviation", "noise left", "loss"} {
			table.Columns = append(table.Columns, report.Column{Name: of.name + ": " + column})
		}
	}
	panels := []report.Panel{energy, left}
	if !e.model.HasEnergy() {
		panels = panels[1:]
	}
	return []report.Section{
		report.Chart{
			Title: titleNoise,
			Note:  "E(x + σ·n), its mean with one deviation on each side. It should rise with σ, about as its square where the noise is large. Below, the part of the squared noise that the jump x̃ − σ₀²∇E(x̃) leaves: 0 is a perfect score, 1 is no denoising at all.",
			X:     report.Axis{Label: "noise level σ", Log: true}, Panels: panels,
			Marks: []report.Mark{{At: e.source.Objective.Sigma0, Label: "σ₀"}},
		},
		table,
	}, nil
}

func (e *evaluation) neighboursSection() ([]report.Section, error) {
	if len(e.near) == 0 {
		return nil, nil
	}
	g := report.Gallery{
		Title: titleNeighbours,
		Note:  fmt.Sprintf("The first samples in the first column, and the nearest of %d pictures of %s to the right of each, nearest first. A sample that repeats a training picture would look like its neighbour.", e.near[0].of, e.training.Name),
	}
	table := report.Table{
		Title:   titleNeighbours + ", in numbers",
		Note:    "The median distance from a sample to its nearest training picture, and from a held-out picture to its. Samples that were copies would be much nearer than held-out pictures are.",
		Columns: []report.Column{{Name: "space"}, {Name: "samples"}, {Name: "their median"}, {Name: "median of held-out pictures"}, {Name: "exact copies"}},
	}
	for _, n := range e.near {
		data, err := gridPNG(picture.Grid{Columns: n.columns, Padding: 1, Scale: 2, Background: 96, Apart: 1}, n.shown)
		if err != nil {
			return nil, err
		}
		g.Pictures = append(g.Pictures, report.Picture{Caption: "nearest in " + n.space, Alt: "samples and their nearest training pictures in " + n.space, Width: 380, Data: data})
		row := []any{n.space, len(n.samples.Index), n.samples.Median(), nil, n.samples.Copies}
		if n.heldOut != nil {
			row[3] = n.heldOut.Median()
		}
		table.Rows = append(table.Rows, row)
	}
	return []report.Section{g, table}, nil
}

func (e *evaluation) selectionSection() ([]report.Section, error) {
	s := e.selection
	if s == nil {
		return nil, nil
	}
	line := report.Series{Name: "distance", Note: fmt.Sprintf("least %.4g", s.Distance)}
	table := report.Table{Title: titleSelection + ", in numbers", Columns: []report.Column{{Name: "checkpoint"}, {Name: "Fréchet distance"}, {Name: "best"}}}
	for _, c := range s.Candidates {
		line.X, line.Y = append(line.X, float64(c.Step)), append(line.Y, c.Distance)
		best := ""
		if c.Name == s.Best {
			best = "★"
		}
		table.Rows = append(table.Rows, []any{c.Name, c.Distance, best})
	}
	return []report.Section{
		report.Chart{
			Title: titleSelection,
			Note: fmt.Sprintf("Fréchet distance of %d samples of each checkpoint to %d training pictures (%s; %d Langevin steps, seed %d). The best one is marked in checkpoints/best.json and exported into model/; --checkpoint best takes it. %s",
				s.Samples, s.Reference, s.Features, s.Steps, s.Seed, strings.Join(s.Warnings, "; ")),
			X: report.Axis{Label: "training step"}, Panels: []report.Panel{{Y: report.Axis{Label: "Fréchet distance"}, Series: []report.Series{line}}},
			Marks: []report.Mark{{At: float64(s.Step), Label: "best"}},
		},
		table,
	}, nil
}

// trainingSection shows the loss of the run.
func (e *evaluation) trainingSection() ([]report.Section, error) {
	if e.settings == nil {
		return nil, nil
	}
	records, err := metrics.ReadFile(filepath.Join(runFolder(e.name), metrics.LinesFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(records) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var x, y []float64
	for _, r := range records {
		if loss, ok := r.Values["loss"]; ok {
			x, y = append(x, float64(r.Step)), append(y, loss)
		}
	}
	return []report.Section{report.Chart{
		Title: titleTraining, Note: fmt.Sprintf("Loss of the training batches, means over %d steps.", e.settings.Output.LogEvery),
		X: report.Axis{Label: "step"},
		Panels: []report.Panel{{Y: report.Axis{Label: "loss", Log: true}, Series: []report.Series{
			{Name: "each mean", X: x, Y: y, Faint: true}, {Name: "smoothed", X: x, Y: report.Smooth(y, max(len(y)/100, 1))},
		}}},
	}}, nil
}

func (e *evaluation) settingsSection() ([]report.Section, error) {
	values := e.about
	if e.settings != nil {
		values = e.settings.Values()
	}
	f := report.Facts{Title: titleSettings}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name] != "" {
			f.Items = append(f.Items, report.Fact{Name: name, Value: values[name]})
		}
	}
	if len(f.Items) == 0 {
		return nil, nil
	}
	return []report.Section{f}, nil
}

func (e *evaluation) conditionsSection() ([]report.Section, error) {
	info := e.rt.Info()
	f := report.Facts{Title: titleConditions, Items: []report.Fact{
		{Name: factWeights, Value: e.weights, Note: "SHA-256 of the energy's parameters"},
		{Name: "training data", Value: fmt.Sprintf("%s, %d pictures", e.training.Name, e.training.Len()), Note: "SHA-256 " + e.training.Hash()},
	}}
	if e.checkpoint != "" {
		f.Items = append(f.Items, report.Fact{Name: "checkpoint", Value: e.checkpoint})
	}
	if e.heldOut != nil {
		f.Items = append(f.Items, report.Fact{Name: "held-out data", Value: fmt.Sprintf("%s %v, %d pictures", e.heldOut.Name, e.heldOut.Split, e.heldOut.Len())})
	}
	f.Items = append(f.Items, e.conditions...)
	f.Items = append(f.Items,
		report.Fact{Name: "pictures a set", Value: e.run.pictures, Note: "at most, drawn at random; one noise draw each by the seed, the picture's number and the noise level"},
		report.Fact{Name: "seed", Value: int64(e.seed)},
		report.Fact{Name: "ONNX Runtime", Value: info.Version, Note: fmt.Sprintf("%s, %d threads", info.Provider, info.Threads)},
		report.Fact{Name: "machine", Value: fmt.Sprintf("%s/%s, %d processors, %s", goruntime.GOOS, goruntime.GOARCH, goruntime.NumCPU(), goruntime.Version())},
		report.Fact{Name: "program", Value: "ebm " + version()},
	)
	for _, note := range e.notes {
		f.Items = append(f.Items, report.Fact{Name: "note", Value: "", Note: note})
	}
	return []report.Section{f}, nil
}

func (e *evaluation) timings() ([]report.Section, error) {
	t := report.Timings{Title: titleTimings}
	for _, part := range e.took {
		t.Items = append(t.Items, report.Timing{Name: part.name, Took: part.took})
	}
	return []report.Section{t}, nil
}

func (e *evaluation) again() ([]report.Section, error) {
	line := "ebm evaluate " + e.name
	if e.run.out != "" {
		line += " --out " + e.run.out
	}
	return []report.Section{report.Commands{Title: titleAgain, Items: []report.Command{
		{Line: line, Note: "these numbers; samples that are there are used again"},
		{Line: "ebm compare " + e.dir + " OTHER…", Note: "beside other runs"},
	}}}, nil
}

// print says the numbers on standard output.
func (e *evaluation) print() error {
	if e.asJSON {
		return e.printJSON(map[string]any{
			"run": e.name, "report": filepath.Join(e.dir, report.HTMLFile), "samples": e.samples.Shape()[0],
			"weights_sha256": e.weights, "metrics": e.found, "selection": e.selection, "notes": e.notes,
		})
	}
	for _, w := range warningsOf(e.found) {
		e.log("warning: " + w)
	}
	for _, m := range e.found {
		spread := ""
		if !math.IsNaN(m.Deviation) {
			spread = fmt.Sprintf(" ± %.3g", m.Deviation)
		}
		e.printf("%-44s %.5g%s\n", m.Key, m.Value, spread)
	}
	if e.selection != nil {
		e.printf("%-44s %s\n", "best checkpoint", e.selection.Best)
	}
	e.printf("%-44s %s\n", "report", filepath.Join(e.dir, report.HTMLFile))
	return nil
}

// warningsOf returns the warnings of metrics, each once.
func warningsOf(list []report.Metric) []string {
	var all []string
	for _, m := range list {
		for _, w := range m.Warnings {
			if !slices.Contains(all, w) {
				all = append(all, w)
			}
		}
	}
	return all
}
