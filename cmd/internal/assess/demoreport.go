package assess

import (
	"fmt"
	"path/filepath"
	"time"

	"ebm/cmd/internal/report"
	"ebm/evaluate/sets"
	"ebm/internal/files"
	"ebm/internal/picture"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

// report writes report.html and report.json.
func (d *demo) report() error {
	doc := &report.Document{
		Title:   "MNIST by an energy-based model",
		Summary: d.summary(),
		Created: time.Now(),
	}
	grid, err := d.grid()
	if err != nil {
		return err
	}
	snapshots, err := d.snapshots()
	if err != nil {
		return err
	}
	loss, err := d.loss()
	if err != nil {
		return err
	}
	beside, err := d.beside()
	if err != nil {
		return err
	}
	doc.Sections = append(append(append(append(doc.Sections, grid), d.numbers()...), beside...), snapshots,
		ProcessChart(d.process), d.shippedLoss(), loss,
		d.checks(), d.provenance(), d.filesWritten(), report.Timings{Title: "Time taken", Items: d.took}, d.again())
	return doc.Write(d.Dir)
}

// numbers are some of those that an assessment of the run finds, and stand where
// it would put them.
func (d *demo) numbers() []report.Section {
	modes := ModeNumbers(d.modes, d.features)
	if d.distance == nil {
		return []report.Section{modes}
	}
	v := sets.Value{
		Quantity: sets.FrechetDistance, Value: d.distance.Distance, Warnings: d.distance.Warnings, Samples: d.Count, Reference: d.data.Len(),
	}
	v.Name(d.features.Network)
	items := MetricsOf(&sets.Result{Features: &d.features, Metrics: []sets.Value{v}}, fmt.Sprintf("%s %v", d.data.Name, d.data.Split))
	return []report.Section{Numbers(items), modes}
}

func (d *demo) summary() string {
	return fmt.Sprintf("%d samples of an energy network (%v), drawn by annealed Langevin dynamics in %d steps with ε = %g and one "+
		"denoising jump. "+
		"The network's weights were shipped with the program after %.1f hours of training and trained %d steps further in this run. "+
		"Energy, score and training step were exported as plain ONNX; the exported score was checked against float64 finite differences.",
		d.Count, d.model.Network, len(d.process.Temperature), d.process.StepSize, d.card.Hours, d.result.Made)
}

func (d *demo) grid() (report.Section, error) {
	data, err := files.ReadFile(filepath.Join(d.samplesDir(), samples.GridFile))
	if err != nil {
		return nil, err
	}
	return report.Gallery{
		ID: idSamples, Title: "Samples", Note: "All samples of this run, none chosen: the first one of seed 1 is at the top left.",
		Pictures: []report.Picture{{Alt: "a grid of sampled digits", Width: 560, File: filepath.Join("samples", samples.GridFile), Data: data}},
	}, nil
}

// beside shows the samples of few evaluations, and both samplers side by side.
func (d *demo) beside() ([]report.Section, error) {
	fast := d.drawn[1]
	data, err := files.ReadFile(fast.Path)
	if err != nil {
		return nil, err
	}
	table := report.Table{
		Title: "The paper's schedule beside few evaluations",
		Note:  "The Fréchet distance is that of so few samples, which bias it upward, both alike; docs/sampling.md has it of many.",
		Columns: []report.Column{{Name: "sampler"}, {Name: "evaluations of a sample"}, {Name: "seconds"}, {Name: "digits covered"},
			{Name: "share that the classifier is sure of"}, {Name: "Fréchet distance"}},
	}
	for _, one := range d.drawn {
		row := []any{one.Sampler, one.Evaluations, one.Seconds, one.Covered, one.Confident, nil}
		if one.Frechet != nil {
			row[5] = *one.Frechet
		}
		table.Rows = append(table.Rows, row)
	}
	return []report.Section{table, report.Gallery{
		Title: fmt.Sprintf("Samples of %d evaluations", fast.Evaluations), Note: "As many samples by ebm sample --fast, none chosen.",
		Pictures: []report.Picture{{Alt: "a grid of digits sampled in few evaluations", Width: 560,
			File: filepath.Join("samples-fast", samples.GridFile), Data: data}},
	}}, nil
}

// snapshots shows the first chains along the way, as they are and after a
// denoising jump.
func (d *demo) snapshots() (report.Section, error) {
	g := report.Gallery{
		Title: "From noise to digits",
		Note:  "The first chains after some of the steps: above as they are, below after one denoising jump from there.",
	}
	crop := d.model.Shape()[2] - 2*d.model.Pad
	for _, s := range d.process.Snapshots {
		n := min(s.X.Shape()[0], 8)
		rows, err := picture.Crop(tensor.Concat(s.X.Rows(0, n), s.Denoised.Rows(0, n)), crop, crop)
		if err != nil {
			return nil, err
		}
		temperature := 0.0
		if s.Step < len(d.process.Temperature) {
			temperature = d.process.Temperature[s.Step]
		}
		p, err := Grid(fmt.Sprintf("step %d, T = %.3g", s.Step, temperature), fmt.Sprintf("chains after step %d", s.Step), n, 2, 0, rows)
		if err != nil {
			return nil, err
		}
		p.Width = 260
		g.Pictures = append(g.Pictures, p)
	}
	return g, nil
}

func (d *demo) shippedLoss() report.Section {
	line := report.Series{Name: "loss"}
	for _, p := range d.card.Loss {
		line.X, line.Y = append(line.X, p[0]), append(line.Y, p[1])
	}
	return LossChart("Loss while the shipped weights were trained",
		fmt.Sprintf("Before this run: %d steps of batches of %d on %s, which ended on %s.", d.card.Steps, d.card.Batch,
			d.card.Machine, d.card.Date), line)
}

func (d *demo) loss() (report.Section, error) {
	line, err := Losses(d.Dir)
	note := fmt.Sprintf("Means over %d steps of batches of %d. The learning rate is small, so that the noise of the batches hides any "+
		"progress: "+
		"what this run shows is that the step works on this machine.", d.settings.Output.LogEvery, d.settings.Batch)
	chart := LossChart("Loss in this run", note, line, report.Series{Name: "smoothed", X: line.X, Y: report.Smooth(line.Y, 5)})
	chart.Panels[0].Y.Log = false
	return chart, err
}

func (d *demo) checks() report.Section {
	s := report.Checks{
		Title: "What was checked",
		Note: fmt.Sprintf("On %s. Errors are the largest difference over the largest magnitude of the reference. The whole certificate is in "+
			"model/certificate.json.",
			d.score.Inputs),
	}
	for _, c := range d.score.Checks {
		s.Items = append(s.Items, report.Check{
			Name: c.Name, Measured: c.Worst(), Limit: c.Tolerance, How: c.Subject + ", against " + c.Reference,
		})
	}
	return s
}

func (d *demo) provenance() report.Section {
	return report.Facts{
		Title: "What was trained when",
		Items: append([]report.Fact{
			{Name: "shipped weights", Value: demoModel, Note: d.card.About},
			{Name: "trained by", Value: d.card.Command, Note: "before this run, on " + d.card.Machine},
			{Name: "for", Value: d.card.Hours, Unit: "hours", Note: fmt.Sprintf("%d steps, ended %s", d.card.Steps, d.card.Date)},
			{Name: "in this run", Value: d.result.Made, Unit: "steps",
				Note: fmt.Sprintf("%.0f s, learning rate %g falling to %g", d.result.Seconds, d.settings.Optimiser.LearningRate.Initial,
					d.settings.Optimiser.LearningRate.Final)},
			{Name: "network", Value: fmt.Sprint(d.model.Network)},
			{Name: "weights after this run", Value: d.model.Hash, Note: "SHA-256"},
			{Name: "noise levels", Value: fmt.Sprintf("%g … %g, %s", d.settings.Noise.Min, d.settings.Noise.Max, d.settings.Noise.Spacing)},
			{Name: "σ₀", Value: d.model.Sigma0},
		}, Where(d.rt)...),
	}
}

func (d *demo) filesWritten() report.Section {
	t := report.Table{
		Title:   "Exported ONNX",
		Note:    "Standard opset 17, dynamic batch; no part of this project is needed to run them.",
		Columns: []report.Column{{Name: "kind"}, {Name: "file"}, {Name: "size", Unit: "bytes"}},
	}
	for _, f := range d.files {
		t.Rows = append(t.Rows, []any{string(f.Kind), filepath.Join("model", filepath.Base(f.Path)), f.Bytes})
	}
	return t
}

func (d *demo) again() report.Section {
	return report.Commands{
		Title: "Go on from here",
		Items: []report.Command{
			{Line: fmt.Sprintf("ebm sample --run %s --count 1000 --out more", d.Dir), Note: "more samples of these weights"},
			{Line: fmt.Sprintf("ebm evaluate %s", d.Dir), Note: "every measure of this run, added to this page"},
			{Line: fmt.Sprintf("ebm verify --run %s", d.Dir), Note: "the checks alone"},
			{Line: fmt.Sprintf("ebm inspect %s", filepath.Join(d.Dir, "model", "train.onnx")), Note: "the training step in words"},
			{Line: d.card.Command, Note: "the shipped weights from the beginning"},
		},
	}
}
