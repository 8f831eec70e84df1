package reproduce

import (
	"context"
	"fmt"
	"path/filepath"

	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/report"
	"ebm/evaluate/probe"
	"ebm/internal/picture"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/train"
	"ebm/models/energy"
)

// variant is a training that an item compares with others.
type variant struct {
	run    string // its folder in runs/
	label  string
	preset string
	change func(*train.Settings)
}

// plain is the training that others are changes of. At the paper's scale it is
// the model of MNIST itself.
func (s *study) plain(label string) variant {
	if s.Scale == Paper {
		return variant{run: "mnist", label: label, preset: "mnist"}
	}
	return variant{run: "short", label: label, preset: "mnist"}
}

// variantName keeps the short trainings apart from the paper's.
func (s *study) variantName(name string) string {
	if s.Scale == Paper {
		return "mnist-" + name
	}
	return "short-" + name
}

// train makes the models of variants.
func (s *study) train(ctx context.Context, list []variant) ([]*subject, error) {
	var models []*subject
	for _, v := range list {
		set, err := s.Scale.settings(v.preset)
		if err != nil {
			return nil, err
		}
		if v.change != nil {
			v.change(&set)
		}
		m, err := s.trained(ctx, v.run, set)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.run, err)
		}
		models = append(models, m)
	}
	return models, nil
}

// differShort says what short trainings are.
func (s *study) differShort(o *outcome) {
	if set, err := s.Scale.settings("mnist"); err == nil && s.Scale != Paper {
		o.differ("trainings: %v, %d updates of %d at a learning rate of %g with averaged weights, in place of %s", set.Network(), set.Steps,
			set.Batch, set.Optimiser.LearningRate.Initial, paperMNISTNet)
	}
}

// losses shows the loss of trainings while they went on.
func (s *study) losses(list []variant) (report.Section, error) {
	var lines []report.Series
	for _, v := range list {
		line, err := assess.Losses(filepath.Join(s.Dir, "runs", v.run))
		if err != nil {
			return nil, err
		}
		line = assess.Smoothed(line, 50)[1]
		line.Name = v.label
		lines = append(lines, line)
	}
	return assess.LossChart("Loss while training", "", lines...), nil
}

// compare trains two variants, measures them by one loss over the same
// noise levels on held-out pictures, and shows samples of both.
func (s *study) compare(ctx context.Context, list []variant) (outcome, []float64, error) {
	var o outcome
	models, err := s.train(ctx, list)
	if err != nil {
		return o, nil, err
	}
	s.differShort(&o)
	sigmas, err := mdsm.Geometric.Levels(0.1, 3, s.n.Levels)
	if err != nil {
		return o, nil, err
	}
	chart := report.Chart{Title: "Loss of held-out pictures by noise level",
		Note: "The objective at each level, whatever the levels of the training: less is better.",
		X:    report.Axis{Label: "noise level σ", Log: true}, Panels: []report.Panel{{Y: report.Axis{Label: "loss", Log: true}}}}
	gallery := report.Gallery{Title: "Samples", Note: "Annealed Langevin dynamics and a denoising jump; none chosen."}
	var means []float64
	for i, m := range models {
		model, err := s.open(m)
		if err != nil {
			return o, nil, err
		}
		test, err := s.set(ctx, m.data, dataset.Test, m.size())
		if err != nil {
			return o, nil, err
		}
		levels, err := model.Levels(ctx, probe.Choose(test, s.n.Pictures, s.Seed+1), sigmas, s.Progress)
		if err != nil {
			return o, nil, err
		}
		line, mean := report.Series{Name: list[i].label}, 0.0
		for _, l := range levels {
			line.X, line.Y = append(line.X, l.Sigma), append(line.Y, l.Loss)
			mean += l.Loss / float64(len(levels))
		}
		chart.Panels[0].Series = append(chart.Panels[0].Series, line)
		means = append(means, mean)
		drawn, err := s.draw(ctx, m, s.n.Compared, s.n.ComparedSteps, nil)
		if err != nil {
			return o, nil, err
		}
		p, err := s.grid(m, list[i].run, list[i].label, drawn)
		if err != nil {
			return o, nil, err
		}
		gallery.Pictures = append(gallery.Pictures, p)
		distance, err := s.distance(ctx, m, drawn.pictures)
		if err != nil {
			return o, nil, err
		}
		o.rows = append(o.rows, s.distanceRow(list[i].label, distance),
			Row{Name: "mean loss of held-out pictures, " + list[i].label, Ours: mean,
				Note: fmt.Sprintf("over %d geometric noise levels from 0.1 to 3", len(levels))})
	}
	training, err := s.losses(list)
	if err != nil {
		return o, nil, err
	}
	o.settings = map[string]any{"pictures": s.n.Pictures, "sigmas": sigmas, "samples": s.n.Compared,
		"langevin_steps": s.n.ComparedSteps, "seed": s.Seed + 1}
	o.sections = []report.Section{gallery, chart, training}
	return o, means, nil
}

// grid shows the samples of a variant.
func (s *study) grid(m *subject, file, caption string, drawn drawing) (report.Picture, error) {
	shown, err := picture.Crop(assess.First(drawn.pictures, 32), m.size()-2*m.Pad, m.size()-2*m.Pad)
	if err != nil {
		return report.Picture{}, err
	}
	return s.picture(file+".png", caption, 8, 0, shown)
}

// spacingItem compares linear and geometric noise levels.
func spacingItem(ctx context.Context, s *study) (outcome, error) {
	o, loss, err := s.compare(ctx, []variant{
		s.plain("geometric levels"),
		{s.variantName("linear-levels"), "linear levels", "mnist", func(set *train.Settings) { set.Noise.Spacing = mdsm.Linear }},
	})
	if err != nil {
		return o, err
	}
	o.rows = append(o.rows, Row{Name: "loss with linear levels over that with geometric ones", Paper: "both work, linear somewhat more robust",
		Source: "section 4", Ours: loss[1] / loss[0]})
	return o, nil
}

// headsItem compares the heads of the network.
func headsItem(ctx context.Context, s *study) (outcome, error) {
	o, loss, err := s.compare(ctx, []variant{
		s.plain("quadratic head"),
		{s.variantName("linear-head"), "linear head", "mnist", func(set *train.Settings) { set.Net.Head = energy.LinearSum }},
	})
	if err != nil {
		return o, err
	}
	o.rows = append(o.rows, Row{Name: "loss with a linear head over that with the quadratic one",
		Paper: "the quadratic head is significantly better", Source: "appendix D", Ours: loss[1] / loss[0],
		Note: "above 1: the quadratic head is better"})
	return o, nil
}

// singleSigmas are the noise levels of figure A1.
func singleSigmas() []float64 { return []float64{0.3, 0.6, 1} }

// singleStep is ε over σ₀, as in the paper's 0.02 for 0.1. With 0.02 for every σ₀, chains
// of σ₀ = 1 would need 5,000 steps to leave where they begin.
const singleStep = 0.2

// singleNoiseItem trains at one noise level each, σ₀ being that level, and
// samples at temperature 1 from noise of it, beside the paper's method.
func singleNoiseItem(ctx context.Context, s *study) (outcome, error) {
	var o outcome
	var list []variant
	for _, sigma := range singleSigmas() {
		list = append(list, variant{
			s.variantName(fmt.Sprintf("sigma-%g", sigma)), fmt.Sprintf("σ = %g alone", sigma), "single-noise",
			func(set *train.Settings) { set.Noise.Sigma0, set.Noise.Min, set.Noise.Max = sigma, sigma, sigma },
		})
	}
	list = append(list, s.plain("noise 0.1…3"))
	models, err := s.train(ctx, list)
	if err != nil {
		return o, err
	}
	s.differShort(&o)
	gallery := report.Gallery{Title: "Samples", Note: "Of one noise level: Langevin steps at temperature 1 from noise of that level around " +
		"0, and a denoising jump by it. Of many: the paper's annealing."}
	for i, m := range models {
		drawn, err := s.compared(ctx, m, i)
		if err != nil {
			return o, err
		}
		p, err := s.grid(m, list[i].run, list[i].label, drawn)
		if err != nil {
			return o, err
		}
		gallery.Pictures = append(gallery.Pictures, p)
		distance, err := s.distance(ctx, m, drawn.pictures)
		if err != nil {
			return o, err
		}
		row := s.distanceRow(list[i].label, distance)
		row.Paper, row.Source = "shown; larger noise gives more consistent shapes", "figure A1"
		o.rows = append(o.rows, row)
	}
	o.settings = map[string]any{"sigmas": singleSigmas(), "samples": s.n.Compared, "langevin_steps": s.n.SingleSteps,
		"annealed_steps": s.n.ComparedSteps, "step_size_over_sigma": singleStep, "annealed_step_size": 0.02, "seed": s.Seed + 1}
	o.sections = []report.Section{gallery}
	return o, nil
}

// compared draws samples of the single noise level numbered i, or of the
// training at many, which comes after them.
func (s *study) compared(ctx context.Context, m *subject, i int) (drawing, error) {
	if i == len(singleSigmas()) {
		return s.draw(ctx, m, s.n.Compared, s.n.ComparedSteps, nil)
	}
	return s.draw(ctx, m, s.n.Compared, s.n.SingleSteps, func(set *langevin.Settings) {
		set.Schedule.Cooling, set.Schedule.Cool = langevin.Constant, 1
		set.Start = langevin.Start{Mean: 0, Sigma: singleSigmas()[i]}
		set.StepSize = singleStep * singleSigmas()[i]
	})
}

// distanceRow is the distance of a variant's samples.
func (s *study) distanceRow(label string, distance float64) Row {
	return Row{
		Name: "Fréchet distance in features of the classifier, " + label, Ours: distance,
		Note: fmt.Sprintf("of %d samples, which is few: it compares with the others here alone", s.n.Compared),
	}
}
