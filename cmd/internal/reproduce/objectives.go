package reproduce

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"time"

	"ebm"
	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/report"
	"ebm/internal/atomicfile"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
	"ebm/mdsm/train"
	"ebm/models/tensor"
)

// objectivesName is that of the item whose result depends on the budget.
const objectivesName = "objectives"

// objectivesItem trains by every objective on digits, in equal time.
func objectivesItem(ctx context.Context, s *study) (outcome, error) {
	var o outcome
	err := s.compareDigits(ctx, &o)
	o.settings = map[string]any{"budget_seconds": s.Budget.Seconds(), "samples": s.n.Compared, "langevin_steps": s.n.ComparedSteps,
		"seed": s.Seed + 1}
	o.differ("the paper minimises its objective alone: what others give is here alone")
	return o, err
}

// pointsItem trains by every objective on points in the plane, whose density is known.
func pointsItem(ctx context.Context, s *study) (outcome, error) {
	var o outcome
	err := s.comparePoints(ctx, &o)
	o.settings = map[string]any{"updates": s.n.PointUpdates, "samples": s.n.Points, "langevin_steps": s.n.ComparedSteps, "seed": s.Seed + 1}
	o.differ("the paper has no points in the plane")
	return o, err
}

// comparePoints trains an energy of each set of points by each objective, and measures
// samples by their energy distance from the data.
func (s *study) comparePoints(ctx context.Context, o *outcome) error {
	table := report.Table{Title: "Points in the plane", Columns: []report.Column{{Name: "objective"}},
		Note: "Energy distance of samples from fresh points of the set, in standardised units, times 1000; the first row is that of other " +
			"fresh points. NaN says that the training, or a chain, left the finite numbers."}
	gallery := report.Gallery{Title: "Samples over the contours of the energy", Note: "None chosen."}
	names := dataset.PointSets()
	if s.Scale == Smoke {
		names = names[:1]
	}
	rows := [][]any{{"other points of the set"}}
	for _, objective := range train.Objectives() {
		rows = append(rows, []any{string(objective)})
	}
	for _, name := range names {
		table.Columns = append(table.Columns, report.Column{Name: name})
		for i, objective := range train.Objectives() {
			measured, others, drawn, err := s.measurePoints(ctx, name, objective)
			if loss, chain := new(*train.NonFiniteError), new(*langevin.DivergedError); errors.As(err, loss) || errors.As(err, chain) {
				o.differ("%s by %s: %v", name, objective, err)
				measured, err = math.NaN(), nil
			}
			if err != nil {
				return fmt.Errorf("%s by %s: %w", name, objective, err)
			}
			if i == 0 {
				rows[0] = append(rows[0], 1000*others)
			}
			rows[i+1] = append(rows[i+1], 1000*measured)
			s.Log(fmt.Sprintf("%s by %s: energy distance %.3g", name, objective, measured))
			row := Row{Name: fmt.Sprintf("energy distance of samples, %s by %s", name, objective), Ours: measured,
				Note: fmt.Sprintf("of %d samples, standardised", s.n.Points)}
			if objective == train.Posterior {
				row.Paper, row.Source = futureWork, "appendix A"
			}
			o.rows = append(o.rows, row)
			if drawn == nil {
				continue
			}
			p := report.Picture{Caption: fmt.Sprintf("%s-%s", name, objective), Data: drawn}
			p.Alt, p.File = "samples over the contours of the energy, "+p.Caption, p.Caption+".png"
			if err := atomicfile.WriteFile(filepath.Join(s.dir, p.File), p.Data); err != nil {
				return err
			}
			gallery.Pictures = append(gallery.Pictures, p)
		}
	}
	table.Rows = rows
	o.sections = append(o.sections, table, gallery)
	return nil
}

// futureWork is what the paper says of posterior weights.
const futureWork = "left for future work"

// measurePoints returns the energy distances, from fresh points of a set, of samples by an
// objective and of other points, and a picture of the samples.
func (s *study) measurePoints(ctx context.Context, name string, objective train.Objective) (measured, others float64, drawn []byte,
	err error) {
	m, err := s.pointsModel(ctx, name, objective)
	if err != nil {
		return 0, 0, nil, err
	}
	reference, err := s.freshPoints(name, 1, m.Meta)
	if err != nil {
		return 0, 0, nil, err
	}
	other, err := s.freshPoints(name, 2, m.Meta)
	if err != nil {
		return 0, 0, nil, err
	}
	x, drawn, err := s.drawPoints(ctx, m, reference)
	if err != nil {
		return 0, 0, nil, err
	}
	return energyDistance(x, reference), energyDistance(reference, other), drawn, nil
}

// pointsModel returns the model of a training on points, which is made, or goes on, if it
// is not at its end.
func (s *study) pointsModel(ctx context.Context, name string, objective train.Objective) (*ebm.Model, error) {
	set := train.Points(2).Choose(objective)
	set.Data.Name, set.Steps, set.Batch = name, s.n.PointUpdates, 128
	if objective == train.Posterior {
		set.Posterior.Neighbours = 2000
	}
	set.Output.CheckpointEvery, set.Output.KeepCheckpoints = train.Interval(max(set.Steps/4, 1)), 1
	x, err := dataset.DrawPoints(name, set.Data.Points, set.Seed)
	if err != nil {
		return nil, err
	}
	set.Data.Mean, set.Data.Deviation = dataset.Standardise(x)
	data, err := dataset.Rows(x)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.Dir, "runs", name+"-"+string(objective))
	if newest, err := train.Newest(dir); err != nil || newest.Step < set.Steps {
		s.Log(fmt.Sprintf("training %s by %s: %s, %d steps", name, objective, set.NetworkName(), set.Steps))
		set = set.ShardsFor(s.rt.Info())
		if _, err := train.Train(ctx, s.rt, set, data, train.Options{Dir: dir, Resume: true, Progress: s.Progress}); err != nil {
			return nil, err
		}
	}
	return ebm.Load(dir)
}

// freshPoints draws points that no training sees, standardised as a model's.
func (s *study) freshPoints(name string, seed uint64, m ebm.Meta) (*tensor.Tensor, error) {
	x, err := dataset.DrawPoints(name, s.n.Points, 1000+seed)
	if err == nil {
		dataset.ToStandard(x, m.Mean, m.Deviation)
	}
	return x, err
}

// drawPoints draws samples of a model of points: by its own sampler, or annealed down to
// T = 1 and with a jump. drawn shows them over the contours of
// the energy, around other points.
func (s *study) drawPoints(ctx context.Context, m *ebm.Model, around *tensor.Tensor) (x *tensor.Tensor, drawn []byte, err error) {
	set := langevin.Default(s.n.Points)
	set.Start.Mean, set.StepSize, set.Schedule.Steps, set.Seed = 0, m.Sigma0/2, s.n.ComparedSteps, s.Seed+1
	if m.Annealed() {
		set.Updates, err = set.Schedule.Above(1, set.StepSize)
	} else {
		err = m.Suit(&set, 0, 0)
	}
	if err != nil {
		return nil, nil, err
	}
	files, err := m.Files()
	if err != nil {
		return nil, nil, err
	}
	sampler, err := langevin.New(s.rt, files.For(set))
	if err != nil {
		return nil, nil, err
	}
	defer sampler.Close()
	sampler.Progress = s.Progress
	if x, err = sampler.All(ctx, set); err != nil {
		return nil, nil, err
	}
	units := func(x *tensor.Tensor) *tensor.Tensor { return samples.InUnits(x, m.Mean, m.Deviation) }
	drawn, err = assess.Scatter(m, units(x), units(around), 240, func(x *tensor.Tensor) (*tensor.Tensor, error) {
		_, energy, err := sampler.Denoise(ctx, x)
		return energy, err
	})
	return x, drawn, err
}

// energyDistance is 2E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖ of points in the plane, without the
// pairs of a point with itself (Székely and Rizzo, "Energy statistics", 2013): 0 for equal
// densities, and around it for few points.
func energyDistance(x, y *tensor.Tensor) float64 {
	mean := func(a, b []float32, same bool) float64 {
		sum, n := 0.0, 0
		for i := 0; i < len(a); i += 2 {
			for j := 0; j < len(b); j += 2 {
				if !same || i != j {
					sum += math.Hypot(float64(a[i]-b[j]), float64(a[i+1]-b[j+1]))
					n++
				}
			}
		}
		return sum / float64(n)
	}
	a, b := tensor.Data[float32](x), tensor.Data[float32](y)
	return 2*mean(a, b, false) - mean(a, a, true) - mean(b, b, true)
}

// compareDigits trains on digits by every objective for as long, and measures samples.
func (s *study) compareDigits(ctx context.Context, o *outcome) error {
	gallery := report.Gallery{Title: "Digits", Note: "By the sampler of each objective; none chosen."}
	table := report.Table{Title: "Digits", Columns: []report.Column{{Name: "objective"}, {Name: "updates"}, {Name: "distance"}},
		Note: "Fréchet distance in features of the classifier."}
	for _, objective := range train.Objectives() {
		v := variant{run: s.variantName(string(objective)), label: string(objective)}
		set, err := s.digits(ctx, v.run, objective)
		if err != nil {
			return fmt.Errorf("%s: %w", v.run, err)
		}
		m, err := s.trained(ctx, v.run, set)
		var diverged *train.NonFiniteError
		if errors.As(err, &diverged) {
			o.differ("%s: its loss was not finite after %d updates", objective, diverged.Step)
			table.Rows = append(table.Rows, []any{v.label, diverged.Step, math.NaN()})
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", v.run, err)
		}
		drawn, err := s.draw(ctx, m, s.n.Compared, s.n.ComparedSteps, nil)
		if err != nil {
			return err
		}
		p, err := s.grid(m, v.run, v.label, drawn)
		if err != nil {
			return err
		}
		gallery.Pictures = append(gallery.Pictures, p)
		distance, err := s.distance(ctx, m, drawn.pictures)
		if err != nil {
			return err
		}
		row := s.distanceRow(v.label, distance)
		if objective == train.Posterior {
			row.Paper, row.Source = futureWork, "appendix A"
		}
		o.rows, table.Rows = append(o.rows, row), append(table.Rows, []any{v.label, set.Steps, distance})
	}
	s.differShort(o)
	o.sections = append(o.sections, table, gallery)
	return nil
}

// digits returns the settings of a training by an objective, with the updates that fit
// into the budget, or those of the run where it has begun.
func (s *study) digits(ctx context.Context, run string, objective train.Objective) (train.Settings, error) {
	set, err := s.Scale.settings("mnist")
	if err != nil {
		return set, err
	}
	set = set.Choose(objective)
	if s.Scale == Smoke {
		set.Chains.Steps = min(set.Chains.Steps, 2)
	}
	had, err := train.ReadSettings(filepath.Join(s.Dir, "runs", run))
	if err == nil {
		set.Steps, set.Output.CheckpointEvery = had.Steps, had.Output.CheckpointEvery
		return set, nil
	}
	if !errors.Is(err, fs.ErrNotExist) || s.Budget == 0 {
		return set, ignoreMissing(err)
	}
	data, err := s.set(ctx, set.Data.Name, dataset.Train, set.Data.Size)
	if err != nil {
		return set, err
	}
	problem, err := train.NewProblem(set, data, nil)
	if err != nil {
		return set, err
	}
	if set.Steps, err = train.StepsWithin(ctx, s.rt, problem, s.Budget, s.Clock); err != nil {
		return set, err
	}
	set.Output.CheckpointEvery = train.Interval(max(set.Steps/4, 1))
	return set, nil
}

// ignoreMissing returns no error for a file that is not there.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// budget is the time that each objective has on digits at a scale, where nothing says
// another; 0 is the scale's number of updates.
func (s Scale) budget() time.Duration {
	switch s {
	case Smoke:
		return 0
	case Small:
		return time.Minute
	}
	return 30 * time.Minute
}
