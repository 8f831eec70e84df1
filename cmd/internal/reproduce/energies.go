package reproduce

import (
	"context"
	"fmt"
	"math"

	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/report"
	"ebm/evaluate/probe"
	"ebm/mdsm/dataset"
)

// noiseItem follows the energy over the noise level of pictures.
func noiseItem(ctx context.Context, s *study) (outcome, error) {
	var o outcome
	m, err := s.subject(ctx, "mnist")
	if err != nil {
		return o, err
	}
	model, err := s.open(m)
	if err != nil {
		return o, err
	}
	test, err := s.set(ctx, m.data, dataset.Test, m.size())
	if err != nil {
		return o, err
	}
	sigmas, err := m.Levels(s.n.Levels)
	if err != nil {
		return o, err
	}
	s.differFrom(&o, m, "mnist", paperMNISTNet)
	list, err := model.Levels(ctx, probe.Choose(test, s.n.Pictures, s.Seed+1), sigmas, s.Progress)
	if err != nil {
		return o, err
	}
	rising := true
	for i, l := range list {
		rising = rising && (i == 0 || l.Energy > list[i-1].Energy)
	}
	n := min(s.n.Pictures, test.Len())
	o.settings = map[string]any{"pictures": n, "sigmas": sigmas, "seed": s.Seed + 1}
	o.rows = []Row{
		{Name: "exponent of energy against noise level", Paper: 2, Source: "appendix D: expected to scale quadratically", Ours: exponent(list),
			Note: "of E(σ) − E(least σ) over the upper half of the levels"},
		{Name: "energy rises from level to level", Paper: "yes", Source: "section 2", Ours: truth(rising), Note: "1 for yes"},
	}
	chart, table := assess.NoiseSections([]assess.LevelsOf{{Name: "test pictures", Pictures: n, List: list}}, m.Sigma0)
	o.sections = []report.Section{chart, table}
	return o, nil
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// exponent fits a power of σ to the energy above that of the least noise, over
// the upper half of the levels.
func exponent(list []probe.Level) float64 {
	var x, y []float64
	for _, l := range list[len(list)/2:] {
		if e := l.Energy - list[0].Energy; e > 0 {
			x, y = append(x, math.Log(l.Sigma)), append(y, math.Log(e))
		}
	}
	_, power := line(x, y)
	return power
}

// outliersItem compares energies of three sets.
func outliersItem(ctx context.Context, s *study) (outcome, error) {
	o := outcome{settings: map[string]any{"pictures": s.n.Pictures, "seed": s.Seed + 1}}
	items, err := Find("outliers")
	if err != nil {
		return o, err
	}
	list, err := s.subjects(ctx, items[0].models(s.Scale)...)
	if err != nil {
		return o, err
	}
	for _, m := range list {
		if err := s.outliers(ctx, m, &o); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (s *study) outliers(ctx context.Context, m *subject, o *outcome) error {
	model, err := s.open(m)
	if err != nil {
		return err
	}
	training, err := s.set(ctx, m.data, dataset.Train, m.size())
	if err != nil {
		return err
	}
	test, err := s.set(ctx, m.data, dataset.Test, m.size())
	if err != nil {
		return err
	}
	other, name, err := s.other(ctx, m, test)
	if err != nil {
		return err
	}
	s.differFrom(o, m, "cifar10", paperColourNet)
	if name != "svhn" {
		o.differ("the other set is %s in place of SVHN", name)
	}
	sigmas, err := m.Levels(max(s.n.Levels/3, 2))
	if err != nil {
		return err
	}
	choose := func(set *dataset.Set) probe.Pictures { return probe.Choose(set, s.n.Pictures, s.Seed+1) }
	statistics, err := model.Outliers(ctx, []probe.Population{
		{Name: m.data + " train", Role: probe.Training, Pictures: choose(training)},
		{Name: m.data + " test", Role: probe.HeldOut, Pictures: choose(test)},
		{Name: name, Role: probe.Other, Pictures: choose(other)},
	}, probe.OutlierOptions{Sigmas: sigmas, Progress: s.Progress})
	if err != nil {
		return err
	}
	o.settings["loss_sigmas_"+m.name] = sigmas
	for _, statistic := range statistics {
		for _, p := range statistic.Populations {
			if p.Separation != nil {
				o.rows = append(o.rows, outlierRow(m.data, statistic.Kind, p))
			}
		}
		o.sections = append(o.sections, assess.OutlierChart("Model of "+m.data+", "+statistic.Name, statistic))
	}
	return nil
}

// outlierRow says on which side of the held-out pictures a set lies.
func outlierRow(data string, by probe.StatisticKind, g probe.PopulationValues) Row {
	isEnergy := by == probe.ByEnergy
	kind := "energy"
	if !isEnergy {
		kind = "denoising loss"
	}
	row := Row{
		Name: fmt.Sprintf("model of %s: AUROC of the %s for %s", data, kind, g.Name), Ours: g.Separation.AUROC, Error: g.Separation.Error,
		Note: "0.5 is no separation; below it the set has the lower values",
	}
	switch {
	case g.Role == probe.Training && isEnergy:
		row.Paper, row.Source = "as test pictures: no overfitting", "figure A7A"
	case isEnergy:
		row.Paper, row.Source = "below 0.5 for SVHN and a model of CIFAR-10", "figure A7A"
	case g.Role == probe.Other:
		row.Paper, row.Source = "similar to the energy", "section 4"
	}
	return row
}

// other is a set that a model was not trained on: SVHN for CIFAR-10, clothes for
// digits and the other way round, and where that is not there the test pictures
// with black and white exchanged.
func (s *study) other(ctx context.Context, m *subject, test *dataset.Set) (*dataset.Set, string, error) {
	name := assess.OtherData(m.data)
	if name != "" {
		set, err := s.set(ctx, name, dataset.Test, m.size())
		if err == nil && set.Channels == test.Channels {
			return set, name, nil
		}
		if ctx.Err() != nil || s.Scale == Paper && err != nil {
			return nil, "", err
		}
		s.Log(fmt.Sprintf("no %s: negatives of %s in its place (%v)", name, m.data, err))
	}
	set := *test
	set.Pixels = make([]uint8, len(test.Pixels))
	for i, v := range test.Pixels {
		set.Pixels[i] = 255 - v
	}
	return &set, "negatives of " + m.data, nil
}
