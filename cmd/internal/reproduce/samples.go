package reproduce

import (
	"context"
	"fmt"

	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/report"
	"ebm/internal/picture"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

// differFrom says in which way a model is not the paper's.
func (s *study) differFrom(o *outcome, m *subject, data, network string) {
	if m.data != data {
		o.differ("data: %s in place of %s", m.data, data)
	}
	if got := m.net.String(); s.Scale != Paper || s.Model != "" {
		o.differ("model: %s (%s, %s updates) in place of the paper's %s", m.name, got, m.About["step"], network)
	}
}

func (s *study) differSteps(o *outcome, r samples.Record) {
	if r.Steps != langevin.Paper().Steps {
		o.differ("sampling: %d Langevin steps in place of %d, in the same proportions", r.Steps, langevin.Paper().Steps)
	}
}

// sampling are the settings of samples.
func sampling(r samples.Record) map[string]any {
	return map[string]any{
		"samples": r.Count, "langevin_steps": r.Steps, "schedule": r.Schedule, "hot": r.Hot, "cool": r.Cool,
		"step_size": r.StepSize, "start_mean": r.StartMean, "start_sigma": r.StartSigma, "denoising_jump": r.Jump, "seed": r.Seed,
	}
}

const paperMNISTNet, paperColourNet = "Res12 of 64 channels, 100,000 updates", "Res18 of 128 channels, 300,000 updates"

// networkOf says which network the paper has for a data set.
func networkOf(data string) string {
	if data == "cifar10" || data == "celeba" {
		return paperColourNet
	}
	return paperMNISTNet
}

// samplesItem shows samples of every model.
func samplesItem(ctx context.Context, s *study) (outcome, error) {
	var o outcome
	list, err := s.subjects(ctx, "mnist", "fashion-mnist", "celeba", "cifar10")
	if err != nil {
		return o, err
	}
	g := report.Gallery{Title: "Samples", Note: "The first ones, none chosen."}
	for _, m := range list {
		drawn, err := s.pool(ctx, m, s.n.Grid)
		if err != nil {
			return o, err
		}
		shown, err := picture.Crop(assess.First(drawn.pictures, s.n.Grid), m.size()-2*m.Pad, m.size()-2*m.Pad)
		if err != nil {
			return o, err
		}
		p, err := s.picture("samples-"+m.name+".png", fmt.Sprintf("%s: %d samples of %s", m.data, shown.Shape()[0], m.name), 16, 0, shown)
		if err != nil {
			return o, err
		}
		g.Pictures = append(g.Pictures, p)
		o.settings = sampling(drawn.record)
		s.differFrom(&o, m, m.data, networkOf(m.data))
		if len(o.rows) == 0 {
			s.differSteps(&o, drawn.record)
		}
		o.rows = append(o.rows, Row{Name: "samples of " + m.data, Paper: "shown", Source: "figures 2, A4 to A6", Ours: float64(shown.Shape()[0]),
			Note: "see the picture"})
	}
	if s.Scale != Paper && s.Model == "" {
		o.differ("CIFAR-10 and CelebA: no model of them is shipped")
	}
	o.sections = []report.Section{g}
	return o, nil
}

// processItem shows how samples come about.
func processItem(ctx context.Context, s *study) (outcome, error) {
	var o outcome
	m, err := s.subject(ctx, "cifar10")
	if err != nil {
		return o, err
	}
	drawn, err := s.pool(ctx, m, s.n.Grid)
	if err != nil {
		return o, err
	}
	o.settings = sampling(drawn.record)
	s.differFrom(&o, m, "cifar10", paperColourNet)
	s.differSteps(&o, drawn.record)
	rows, columns := columnsOfProcess(drawn.process, 4)
	if rows, err = picture.Crop(rows, m.size()-2*m.Pad, m.size()-2*m.Pad); err != nil {
		return o, err
	}
	p, err := s.picture("process.png", "from left to right: chains along the way, each above its denoised form", columns, 0, rows)
	if err != nil {
		return o, err
	}
	o.sections = append(o.sections, report.Gallery{Title: "The sampling process", Pictures: []report.Picture{p}})
	mean := drawn.process.MeanEnergy()
	o.sections = append(o.sections, assess.ProcessChart(drawn.process))
	// The first steps, at the first temperature, are on the way to it.
	from := len(mean) * 500 / 2700
	at, slope := line(drawn.process.Temperature[from:], mean[from:])
	const paper, source = "energy proportional to temperature", "figure A7B"
	o.rows = append(o.rows, Row{
		Name: "b of the mean energy a + b·T while the temperature falls, over D/2", Paper: paper, Source: source,
		Ours: slope / (float64(tensor.Volume(m.Shape())) / 2), Note: "1 where the energy is a quadratic form of all D values, by equipartition",
	}, Row{
		Name: "a, the mean energy that is left at T = 0, over that at T = 100", Paper: paper, Source: source,
		Ours: at / (at + 100*slope), Note: "0 for proportional",
	})
	return o, nil
}

// line returns a and b of the least squares fit a + b·x to y, NaN without two points.
func line(x, y []float64) (a, b float64) {
	n := float64(len(x))
	var mx, my, xx, xy float64
	for i := range x {
		mx, my = mx+x[i]/n, my+y[i]/n
	}
	for i := range x {
		xx += (x[i] - mx) * (x[i] - mx)
		xy += (x[i] - mx) * (y[i] - my)
	}
	b = xy / xx
	return my - b*mx, b
}

// inpaintingMasks are the parts that are hidden.
func inpaintingMasks() []string { return []string{"bottom", "centre"} }

// greyValue is shown where a pixel is hidden.
const greyValue = 0.5

// rowsOfFill lays out each picture, what is given of it, and its completions.
func rowsOfFill(f *langevin.Fill, filled *tensor.Tensor) *tensor.Tensor {
	masked := f.Masked(greyValue)
	var rows []*tensor.Tensor
	for i := range f.Pictures.Shape()[0] {
		rows = append(rows, f.Pictures.Rows(i, i+1), masked.Rows(i, i+1), filled.Rows(i*f.Completions, (i+1)*f.Completions))
	}
	return tensor.Concat(rows...)
}
