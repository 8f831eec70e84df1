package reproduce

import (
	"fmt"

	"ebm/mdsm/train"
)

// Scale says how much work the items are.
type Scale string

// The scales.
const (
	Smoke Scale = "smoke" // about a minute: every part works, and no number means anything
	Small Scale = "small" // the shipped models and short trainings, within an hour of two cores
	Paper Scale = "paper" // the paper's settings: days of a GPU
)

// ParseScale returns the scale called name.
func ParseScale(name string) (Scale, error) {
	switch s := Scale(name); s {
	case Smoke, Small, Paper:
		return s, nil
	}
	return "", fmt.Errorf("unknown scale %q, want %s, %s or %s", name, Smoke, Small, Paper)
}

// numbers are what a scale changes.
type numbers struct {
	// Samples of a model that are shown, scored and stacked, and their Langevin
	// steps; below the paper's scale one pool of them serves all items.
	Grid, Scored, Stacks, Steps int
	// Pictures of each set whose energies are measured, and the noise levels.
	Pictures, Levels int
	// Neighbours of each of so many samples.
	NeighbourRows, Neighbours int
	// Pictures with hidden parts, and completions of each.
	Hidden, Completions int
	// Chains of annealed importance sampling each way, their distributions and
	// leapfrog steps.
	Chains, Distributions, Leapfrog int
	// Samples of each training that is compared, and the steps of those at a
	// single noise level.
	Compared, ComparedSteps, SingleSteps int
	// Updates that are timed of our objective and of maximum likelihood.
	Timed, TimedLikelihood int
	// Updates of trainings on points in the plane, and samples of each; the scale says
	// them in a result's key.
	PointUpdates, Points int `json:"-"`
}

func (s Scale) numbers() numbers {
	switch s {
	case Smoke:
		return numbers{
			Grid: 4, Scored: 4, Stacks: 8, Steps: 20, Pictures: 8, Levels: 3, NeighbourRows: 2, Neighbours: 3,
			Hidden: 2, Completions: 2, Chains: 2, Distributions: 5, Leapfrog: 2, Compared: 4, ComparedSteps: 10, SingleSteps: 10,
			Timed: 2, TimedLikelihood: 2, PointUpdates: 4, Points: 50,
		}
	case Small:
		return numbers{
			Grid: 64, Scored: 128, Stacks: 8000, Steps: 600, Pictures: 500, Levels: 10, NeighbourRows: 8, Neighbours: 10,
			Hidden: 8, Completions: 4, Chains: 16, Distributions: 300, Leapfrog: 5, Compared: 64, ComparedSteps: 900, SingleSteps: 1000,
			Timed: 20, TimedLikelihood: 6, PointUpdates: 1000, Points: 1000,
		}
	}
	return numbers{
		Grid: 64, Scored: 50_000, Stacks: 8000, Steps: 2700, Pictures: 10_000, Levels: 24, NeighbourRows: 8, Neighbours: 10,
		Hidden: 16, Completions: 8, Chains: 64, Distributions: 10_000, Leapfrog: 10, Compared: 64, ComparedSteps: 2700, SingleSteps: 1000,
		Timed: 50, TimedLikelihood: 20, PointUpdates: 20_000, Points: 4000,
	}
}

// settings returns those of a training that an item compares: a preset's at
// the paper's scale, and below it the same with a small network of 16×16
// pictures, small batches (each position has a noise level of its own) at a
// larger learning rate, and averaged weights.
func (s Scale) settings(preset string) (train.Settings, error) {
	set, err := train.Preset(preset)
	if err != nil || s == Paper {
		return set, err
	}
	set.Data.Size, set.Shards = 16, 1
	set.Net.Name, set.Net.Dim, set.Batch, set.Steps = "res6", 16, 64, 600
	set.Optimiser.LearningRate = train.LearningRate{Schedule: train.Cosine, Initial: 1e-3, Final: 1e-6}
	set.Optimiser.EMA = 0.99
	if s == Smoke {
		set.Net.Dim, set.Batch, set.Steps = 4, 4, 4
	}
	set.Output.CheckpointEvery, set.Output.KeepCheckpoints = train.Interval(max(set.Steps/4, 1)), 1
	return set, nil
}
