package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"time"

	"ebm/cmd/internal/report"
	"ebm/internal/metrics"
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
	for _, section := range []func() (report.Section, error){
		d.grid, d.snapshots, d.chain, d.shippedLoss, d.loss, d.checks, d.provenance, d.filesWritten, d.timings, d.again,
	} {
		s, err := section()
		if err != nil {
			return err
		}
		doc.Sections = append(doc.Sections, s)
	}
	doc.Sections = slices.Insert(doc.Sections, 1, d.numbers()...)
	return doc.Write(d.out)
}

// numbers are some of those that an evaluation of the run finds, and stand where
// it would put them.
func (d *demo) numbers() []report.Section {
	var sections []report.Section
	if f := d.distance; f != nil {
		sections = append(sections, report.Metrics{Title: titleNumbers, Note: noteNumbers, Items: []report.Metric{{
			Key: "classifier_frechet", Name: "Fréchet distance in " + d.features.Network.Label(), Value: f.Distance, Deviation: math.NaN(), Better: "lower",
			Warnings: f.Warnings, Features: d.features.String(),
			Samples: d.count, Reference: d.data.Len(), Against: fmt.Sprintf("%s %v", d.data.Name, d.data.Split),
		}}})
	}
	return append(sections, modeNumbers(d.modes, d.features))
}

func (d *demo) summary() string {
	return fmt.Sprintf("%d samples of an energy network (%v), drawn by annealed Langevin dynamics in %d steps with ε = %g and one denoising jump. "+
		"The network's weights were shipped with the program after %.1f hours of training and trained %d steps further in this run. "+
		"Energy, score and training step were exported as plain ONNX; the exported score was checked against float64 finite differences.",
		d.count, d.model.Network, len(d.process.Temperature), d.process.StepSize, d.card.Hours, d.result.Made)
}

func (d *demo) grid() (report.Section, error) {
	data, err := os.ReadFile(filepath.Join(d.samplesDir(), samples.GridFile))
	if err != nil {
		return nil, err
	}
	return report.Gallery{
		Title: "Samples", Note: "All samples of this run, none chosen: the first one of seed 1 is at the top left.",
		Pictures: []report.Picture{{Alt: "a grid of sampled digits", Width: 560, File: filepath.Join("samples", samples.GridFile), Data: data}},
	}, nil
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
		data, err := pair(s.X, s.Denoised, crop)
		if err != nil {
			return nil, err
		}
		temperature := 0.0
		if s.Step < len(d.process.Temperature) {
			temperature = d.process.Temperature[s.Step]
		}
		g.Pictures = append(g.Pictures, report.Picture{
			Caption: fmt.Sprintf("step %d, T = %.3g", s.Step, temperature),
			Alt:     fmt.Sprintf("chains after step %d", s.Step), Width: 260, Data: data,
		})
	}
	return g, nil
}

// pair draws the first chains in a row, and their denoised state below.
func pair(x, denoised *tensor.Tensor, crop int) ([]byte, error) {
	n := min(x.Shape()[0], 8)
	all, err := picture.Crop(tensor.Concat(x.Rows(0, n), denoised.Rows(0, n)), crop, crop)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = picture.Grid{Columns: n, Padding: 1, Scale: 2, Background: 96}.WritePNG(&b, all)
	return b.Bytes(), err
}

func (d *demo) chain() (report.Section, error) {
	steps := make([]float64, len(d.process.Temperature))
	for i := range steps {
		steps[i] = float64(i)
	}
	low, high := make([]float64, len(steps)), make([]float64, len(steps))
	for i := range steps {
		for c, e := range d.process.Energy {
			v := float64(e[i])
			if c == 0 || v < low[i] {
				low[i] = v
			}
			if c == 0 || v > high[i] {
				high[i] = v
			}
		}
	}
	return report.Chart{
		Title: "Energy and temperature along the chain",
		Note: fmt.Sprintf("Mean energy of %d chains, and its range over them. In the paper's figure A7B it follows the temperature, "+
			"which says that the chain stays close to equilibrium.", d.process.Chains),
		X: report.Axis{Label: "Langevin step"},
		Panels: []report.Panel{
			{Y: report.Axis{Label: "energy", Unit: "nats"}, Series: []report.Series{{Name: "mean energy", X: steps, Y: d.process.MeanEnergy(), Low: low, High: high}}},
			{Y: report.Axis{Label: "temperature"}, Series: []report.Series{{Name: "temperature", X: steps, Y: d.process.Temperature}}},
		},
	}, nil
}

func (d *demo) shippedLoss() (report.Section, error) {
	x, y := make([]float64, len(d.card.Loss)), make([]float64, len(d.card.Loss))
	for i, p := range d.card.Loss {
		x[i], y[i] = p[0], p[1]
	}
	return report.Chart{
		Title: "Loss while the shipped weights were trained",
		Note:  fmt.Sprintf("Before this run: %d steps of batches of %d on %s, which ended on %s.", d.card.Steps, d.card.Batch, d.card.Machine, d.card.Date),
		X:     report.Axis{Label: "step"},
		Panels: []report.Panel{
			{Y: report.Axis{Label: "loss", Log: true}, Series: []report.Series{{Name: "loss", X: x, Y: y}}},
		},
	}, nil
}

func (d *demo) loss() (report.Section, error) {
	records, err := metrics.ReadFile(filepath.Join(d.out, metrics.LinesFile))
	if err != nil {
		return nil, err
	}
	var x, y []float64
	for _, r := range records {
		x, y = append(x, float64(r.Step)), append(y, r.Values["loss"])
	}
	return report.Chart{
		Title: "Loss in this run",
		Note: fmt.Sprintf("Means over %d steps of batches of %d. The learning rate is small, so that the noise of the batches hides any progress: "+
			"what this run shows is that the step works on this machine.", d.settings.Output.LogEvery, d.settings.Batch),
		X: report.Axis{Label: "step"},
		Panels: []report.Panel{
			{Y: report.Axis{Label: "loss"}, Series: []report.Series{{Name: "each mean", X: x, Y: y, Faint: true}, {Name: "smoothed", X: x, Y: report.Smooth(y, 5)}}},
		},
	}, nil
}

func (d *demo) checks() (report.Section, error) {
	s := report.Checks{
		Title: "What was checked",
		Note: fmt.Sprintf("On %s. Errors are the largest difference over the largest magnitude of the reference. The whole certificate is in model/certificate.json.",
			d.score.Inputs),
	}
	for _, c := range d.score.Checks {
		s.Items = append(s.Items, report.Check{
			Name: c.Name, Measured: c.Worst(), Limit: c.Tolerance, How: c.Subject + ", against " + c.Reference,
		})
	}
	return s, nil
}

func (d *demo) provenance() (report.Section, error) {
	info := d.rt.Info()
	return report.Facts{
		Title: "What was trained when",
		Items: []report.Fact{
			{Name: "shipped weights", Value: demoModel, Note: d.card.About},
			{Name: "trained by", Value: d.card.Command, Note: "before this run, on " + d.card.Machine},
			{Name: "for", Value: d.card.Hours, Unit: "hours", Note: fmt.Sprintf("%d steps, ended %s", d.card.Steps, d.card.Date)},
			{Name: "in this run", Value: d.result.Made, Unit: "steps", Note: fmt.Sprintf("%.0f s, learning rate %g falling to %g", d.result.Seconds, d.settings.Optimiser.LearningRate.Initial, d.settings.Optimiser.LearningRate.Final)},
			{Name: "network", Value: fmt.Sprint(d.model.Network)},
			{Name: "weights after this run", Value: d.model.Hash, Note: "SHA-256"},
			{Name: "noise levels", Value: fmt.Sprintf("%g … %g, %s", d.settings.Noise.Min, d.settings.Noise.Max, d.settings.Noise.Spacing)},
			{Name: "σ₀", Value: d.model.Sigma0},
			{Name: "ONNX Runtime", Value: info.Version, Note: fmt.Sprintf("%s, %d threads", info.Provider, info.Threads)},
			{Name: "machine", Value: fmt.Sprintf("%s/%s, %d processors, %s", goruntime.GOOS, goruntime.GOARCH, goruntime.NumCPU(), goruntime.Version())},
		},
	}, nil
}

func (d *demo) filesWritten() (report.Section, error) {
	t := report.Table{
		Title:   "Exported ONNX",
		Note:    "Standard opset 17, dynamic batch; no part of this project is needed to run them.",
		Columns: []report.Column{{Name: "kind"}, {Name: "file"}, {Name: "size", Unit: "bytes"}},
	}
	for _, f := range d.files {
		name, err := filepath.Rel(d.out, f.Path)
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, []any{string(f.Kind), name, f.Bytes})
	}
	return t, nil
}

func (d *demo) timings() (report.Section, error) {
	t := report.Timings{Title: "Time taken"}
	for _, part := range d.took {
		t.Items = append(t.Items, report.Timing{Name: part.name, Took: part.took})
	}
	return t, nil
}

func (d *demo) again() (report.Section, error) {
	return report.Commands{
		Title: "Go on from here",
		Items: []report.Command{
			{Line: fmt.Sprintf("ebm sample --run %s --count 1000 --out more", d.out), Note: "more samples of these weights"},
			{Line: fmt.Sprintf("ebm evaluate %s", d.out), Note: "every measure of this run, added to this page"},
			{Line: fmt.Sprintf("ebm verify --run %s", d.out), Note: "the checks alone"},
			{Line: fmt.Sprintf("ebm inspect %s", filepath.Join(d.out, "model", "train.onnx")), Note: "the training step in words"},
			{Line: d.card.Command, Note: "the shipped weights from the beginning"},
		},
	}, nil
}
