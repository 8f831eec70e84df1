package probe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"ebm/evaluate"
	"ebm/runtime/progress"
)

// Role says what a set of pictures is to a model.
type Role string

// The roles. Outliers are told from the held-out pictures.
const (
	Training Role = "training"
	HeldOut  Role = "held out"
	Other    Role = "other"
)

// Population is a set of pictures with a role.
type Population struct {
	Name string // for people, such as "mnist test"
	Role Role
	Pictures
}

// OutlierOptions are the settings of [Model.Outliers].
type OutlierOptions struct {
	// Sigmas are the noise levels whose losses are added up to one score; nil
	// leaves that score out.
	Sigmas   []float64
	Bins     int               // of the histograms; 0 means 48
	Progress progress.Progress // nil shows nothing
}

// StatisticKind names a number that tells outliers.
type StatisticKind string

// The kinds.
const (
	ByEnergy StatisticKind = "energy" // E(x + σ₀·n)
	ByLoss   StatisticKind = "loss"   // the denoising loss over some noise levels
)

// Statistic is one way of telling outliers, over all populations. Outliers are
// expected to have the higher values.
type Statistic struct {
	Kind        StatisticKind
	Name        string // for people
	Unit        string
	Populations []PopulationValues
	Histogram   evaluate.Histogram // its sets are the populations
}

// HeldOut returns the values of the held-out population.
func (s Statistic) HeldOut() PopulationValues {
	return s.Populations[slices.IndexFunc(s.Populations, func(p PopulationValues) bool { return p.Role == HeldOut })]
}

// PopulationValues are the values of one population.
type PopulationValues struct {
	Name            string
	Role            Role
	Values          []float64 // in the order of the pictures
	Mean, Deviation float64
	Median          float64 // of two middle values the smaller; a few pictures may have energies far out
	// Separation tells the population from the held-out one, with a high value
	// counted as an outlier: an AUROC below 0.5 says that the population has the
	// lower values. It is nil for the held-out population itself.
	Separation *evaluate.Separation
}

// Outliers measures how well the model tells other pictures from those it was
// trained for, by the energy at x + σ₀·n (the paper's section 4.4 and figure
// A7) and by the denoising loss, with one noise draw a picture at each level.
// One population must be held out. A model without an energy has only the loss.
//
// The paper's finding is that the energy of an easier set may be lower than
// that of the training data, so no side is taken for granted.
func (m *Model) Outliers(ctx context.Context, list []Population, o OutlierOptions) ([]Statistic, error) {
	held := -1
	for i, g := range list {
		if g.Role != HeldOut {
			continue
		}
		if held >= 0 {
			return nil, fmt.Errorf("%s and %s are both held out, want one such population", list[held].Name, g.Name)
		}
		held = i
	}
	if held < 0 {
		return nil, errors.New("no population is held out, want the one that others are told from")
	}
	if !m.hasEnergy && len(o.Sigmas) == 0 {
		return nil, errors.New("the model has no energy and no noise levels are given for the loss, want one of them")
	}
	if o.Bins == 0 {
		o.Bins = 48
	}
	total := 0
	for _, g := range list {
		levels := len(o.Sigmas)
		if m.hasEnergy {
			levels++
		}
		total += len(g.Index) * levels
	}
	stage := progress.Begin(o.Progress, "outliers", int64(total), "pictures")
	defer stage.Done()

	energy := Statistic{Kind: ByEnergy, Name: fmt.Sprintf("energy at x + σ₀·n, σ₀ = %g", m.objective.Sigma0), Unit: "nats"}
	loss := Statistic{Kind: ByLoss, Name: fmt.Sprintf("denoising loss over %d noise levels", len(o.Sigmas))}
	for _, g := range list {
		if m.hasEnergy {
			r, err := m.Read(ctx, g.Pictures, m.objective.Sigma0, drawOutliers, stage)
			if err != nil {
				return nil, err
			}
			energy.Populations = append(energy.Populations, PopulationValues{Name: g.Name, Role: g.Role, Values: r.Energy})
		}
		sum := make([]float64, len(g.Index))
		for k, sigma := range o.Sigmas {
			r, err := m.Read(ctx, g.Pictures, sigma, drawOutliers+1+uint32(k), stage)
			if err != nil {
				return nil, err
			}
			for i, v := range r.Loss {
				sum[i] += v / float64(len(o.Sigmas))
			}
		}
		loss.Populations = append(loss.Populations, PopulationValues{Name: g.Name, Role: g.Role, Values: sum})
	}
	var scores []Statistic
	if m.hasEnergy {
		scores = append(scores, energy)
	}
	if len(o.Sigmas) > 0 {
		scores = append(scores, loss)
	}
	for i := range scores {
		if err := scores[i].compare(held, o.Bins); err != nil {
			return nil, err
		}
	}
	return scores, nil
}

// Noise draws of the measures; a level has one of its own.
const (
	drawOutliers = 0
	drawLevels   = 1 << 16
)

// compare fills in what follows from the values.
func (s *Statistic) compare(held, bins int) error {
	var sets [][]float64
	for i := range s.Populations {
		g := &s.Populations[i]
		sets = append(sets, g.Values)
		g.Mean, g.Deviation = meanAndDeviation(g.Values)
		g.Median = median(g.Values)
		if i == held {
			continue
		}
		separation, err := evaluate.Separate(s.Populations[held].Values, g.Values)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", s.Name, g.Name, err)
		}
		g.Separation = &separation
	}
	low, high := evaluate.HistogramRange(sets...)
	var err error
	s.Histogram, err = evaluate.NewHistogram(low, high, bins, sets...)
	return err
}

// median returns the middle value, of two the smaller; NaN without any.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	return slices.Sorted(slices.Values(v))[(len(v)-1)/2]
}

// meanAndDeviation returns the mean and the standard deviation, divided by N.
func meanAndDeviation(v []float64) (mean, deviation float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		deviation += (x - mean) * (x - mean) / float64(len(v))
	}
	return mean, math.Sqrt(deviation)
}
