package assess

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ebm"
	"ebm/cmd/internal/report"
	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/internal/metrics"
	"ebm/internal/picture"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
	"ebm/mdsm/train"
	"ebm/models/tensor"
	"ebm/runtime"
)

// Training keeps the report of a training while it goes on, and draws quick samples of
// an energy's. It changes no bit of the training.
type Training struct {
	Dir           string // the run's folder
	ValidateEvery int    // steps between measurements on what is held out, 0 for none
	SampleEvery   int    // measurements between grids of quick samples, 0 for none
	Runtime       *runtime.Runtime
	Log           func(line string)

	pending bool // a line of metrics was measured that the report does not have
	written time.Time
}

// GridsFolder is the folder of quick samples in a run's: step-00000500.png.
const GridsFolder = "grids"

const (
	reportEvery = 30 * time.Second // between reports where nothing is measured
	newestGrids = 6                // that a report shows
)

// Hook writes the report, and draws samples where they are due.
func (t *Training) Hook(ctx context.Context, u train.Update) error {
	if t.pending || time.Since(t.written) > reportEvery {
		if err := t.Write(); err != nil { // with the metrics of the step before
			return err
		}
	}
	if t.ValidateEvery == 0 || u.Step%t.ValidateEvery != 0 && !u.Last {
		return nil
	}
	t.pending = true
	if t.SampleEvery == 0 || u.Step/t.ValidateEvery%t.SampleEvery != 0 && !u.Last {
		return nil
	}
	// A chain of a model that has learnt little may leave the finite numbers, which is no
	// reason to end its training.
	if err := t.draw(ctx, u); ctx.Err() != nil {
		return ctx.Err()
	} else if err != nil {
		t.Log(fmt.Sprintf("step %d has no picture of samples: %v", u.Step, err))
	}
	return nil
}

// draw draws quick samples of the weights after an update.
func (t *Training) draw(ctx context.Context, u train.Update) error {
	m, err := ebm.ModelAt(t.Dir, u.Weights(), u.Step)
	if err != nil {
		return err
	}
	if shape := m.Shape(); len(shape) != 3 && (len(shape) != 1 || shape[0] != 2) {
		return nil // no picture shows them
	}
	set, err := quick(m)
	if err != nil {
		return err
	}
	models, err := m.Files()
	if err != nil {
		return err
	}
	sampler, err := langevin.New(t.Runtime, models.For(set))
	if err != nil {
		return err
	}
	defer sampler.Close()
	x, err := sampler.All(ctx, set)
	if err != nil {
		return err
	}
	drawn, err := pictureOf(ctx, m, x, sampler)
	if err != nil {
		return err
	}
	img, err := png.Decode(bytes.NewReader(drawn))
	if err != nil {
		return err
	}
	u.LogImage("samples", img)
	dir := filepath.Join(t.Dir, GridsFolder)
	if err := atomicfile.MkdirAll(dir); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, fmt.Sprintf("step-%08d.png", u.Step)), drawn)
}

// quick returns settings of few evaluations, the same at every step of a training: 32
// pictures by the general recipe of 35, or where its levels do not fit, and of points, a
// short annealed chain.
func quick(m *ebm.Model) (langevin.Settings, error) {
	set := langevin.Default(32)
	set.Schedule.Steps, set.StepSize = 100, m.Sigma0/2
	if len(m.Shape()) == 1 {
		set.Count, set.Schedule.Steps, set.Start.Mean = 500, 300, 0 // of standardised points
	}
	if !m.Annealed() {
		err := m.Suit(&set, 0, set.Schedule.Steps)
		return set, err
	}
	r, err := langevin.Fast(35)
	if err != nil || !r.Fits(m.SigmaMax, m.Sigma0) {
		return set, err
	}
	set.Start.Sigma = r.Start(m.SigmaMax).Sigma
	set.Updates, err = r.Updates(m.SigmaMax, m.Sigma0)
	return set, err
}

// pictureOf draws samples as a PNG file: a grid of pictures, or points over the contours
// of their energy.
func pictureOf(ctx context.Context, m *ebm.Model, x *tensor.Tensor, sampler *langevin.Sampler) ([]byte, error) {
	if len(m.Shape()) == 1 {
		x = samples.InUnits(x, m.Mean, m.Deviation)
		return Scatter(m, x, x, 240, func(x *tensor.Tensor) (*tensor.Tensor, error) {
			_, energy, err := sampler.Denoise(ctx, x)
			return energy, err
		})
	}
	if c := m.Crop(); c > 0 {
		var err error
		if x, err = picture.Crop(x, c, c); err != nil {
			return nil, err
		}
	}
	p, err := Grid("", "", 8, 2, 0, x)
	return p.Data, err
}

// Write writes the report of the training as far as it is.
func (t *Training) Write() error {
	doc, err := t.document()
	if err != nil {
		return err
	}
	t.pending, t.written = false, time.Now()
	return doc.Write(t.Dir)
}

// document is the report: how far the training is, its newest grids, its losses and its
// settings.
func (t *Training) document() (*report.Document, error) {
	o, err := train.ReadOutline(t.Dir)
	if err != nil {
		return nil, err
	}
	records, err := metrics.ReadFile(filepath.Join(t.Dir, metrics.LinesFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	doc := &report.Document{Title: "Training of " + filepath.Base(t.Dir), Created: time.Now(),
		Sections: []report.Section{progressFacts(o, records)}}
	grids, err := t.grids()
	if err != nil {
		return nil, err
	}
	if len(grids.Pictures) > 0 {
		doc.Sections = append(doc.Sections, grids)
	}
	if chart, ok := trainingChart(records); ok {
		doc.Sections = append(doc.Sections, chart)
	}
	doc.Sections = append(doc.Sections, settingsFacts(idSettings, "Settings of the run", o.Values)...)
	return doc, nil
}

// progressFacts say how far a training is, by the last of each number.
func progressFacts(o train.Outline, records []metrics.Record) report.Facts {
	last := map[string]float64{}
	step := int64(0)
	for _, r := range records {
		maps.Copy(last, r.Values)
		step = r.Step
	}
	f := report.Facts{ID: idProgress, Title: "Progress", Items: []report.Fact{
		{Name: "step", Value: step, Note: fmt.Sprintf("of %d", o.Steps)}, {Name: "network", Value: o.Model}, {Name: "data", Value: o.Data},
	}}
	for _, one := range []struct{ key, name string }{
		{"loss", "loss"}, {train.HeldOutLoss, "held-out loss"}, {"validation_accuracy", "held-out accuracy"}, {"validation_r2", "held-out R²"},
		{"steps_per_second", "steps a second"},
	} {
		if v, ok := last[one.key]; ok {
			f.Items = append(f.Items, report.Fact{Name: one.name, Value: v})
		}
	}
	if speed := last["steps_per_second"]; speed > 0 && step < int64(o.Steps) {
		left := time.Duration(float64(int64(o.Steps)-step) / speed * float64(time.Second))
		f.Items = append(f.Items, report.Fact{Name: "time left", Value: left.Round(time.Second).String(), Note: "if it goes on as fast"})
	}
	return f
}

// grids returns the newest quick samples.
func (t *Training) grids() (report.Gallery, error) {
	g := report.Gallery{ID: idGrids, Title: "Quick samples", Note: "Of the weights at that step, averaged where the run averages: the same " +
		"seed and few evaluations every time, so that they show how training goes, not how good samples can be. The newest first."}
	entries, err := os.ReadDir(filepath.Join(t.Dir, GridsFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return g, nil
	}
	for _, e := range slices.Backward(entries) {
		var step int
		if _, err := fmt.Sscanf(e.Name(), "step-%d.png", &step); err != nil || atomicfile.IsTemporary(e.Name()) {
			continue
		}
		b, readErr := files.ReadFile(filepath.Join(t.Dir, GridsFolder, e.Name()))
		if err = cmp.Or(err, readErr); err != nil {
			return g, err
		}
		g.Pictures = append(g.Pictures, report.Picture{Caption: fmt.Sprintf("step %d", step), Alt: fmt.Sprintf("samples after step %d", step),
			Width: 300, File: GridsFolder + "/" + e.Name(), Data: b})
		if len(g.Pictures) == newestGrids {
			break
		}
	}
	return g, err
}

// trainingChart shows the losses of a training over its steps, and those at each noise
// level; ok is false where there are none.
func trainingChart(records []metrics.Record) (chart report.Chart, ok bool) {
	line := report.Curve("each mean", "loss", records)
	if len(line.X) == 0 {
		return chart, false
	}
	line.Faint = true
	chart = LossChart("Training", "Loss of the training batches, means over the steps between two lines of metrics; and on held-out data, "+
		"where that is measured.", Smoothed(line, 100)...)
	chart.ID = idTraining
	if held := report.Curve("held out", train.HeldOutLoss, records); len(held.X) > 0 {
		chart.Panels[0].Series = append(chart.Panels[0].Series, held)
	}
	if levels, ok := report.Levels(records); ok {
		chart.Panels = append(chart.Panels, levels)
	}
	return chart, true
}

// settingsFacts is a section of the settings that have a value, none where none has.
func settingsFacts(id, title string, values map[string]string) []report.Section {
	f := report.Facts{ID: id, Title: title}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name] != "" {
			f.Items = append(f.Items, report.Fact{Name: name, Value: values[name]})
		}
	}
	if len(f.Items) == 0 {
		return nil
	}
	return []report.Section{f}
}
