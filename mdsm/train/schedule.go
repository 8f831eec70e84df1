package train

import (
	"fmt"
	"math"
	"slices"
)

// Schedule names how the learning rate falls over a run.
type Schedule string

// The schedules. The paper's code anneals by Cosine; Steps is its other one.
const (
	Constant Schedule = "constant"
	Cosine   Schedule = "cosine" // from the first rate to the final one
	Steps    Schedule = "steps"  // a tenth of it after each sixth of the run
)

// LearningRate holds a schedule and its ends.
type LearningRate struct {
	Schedule Schedule `toml:"schedule"`
	Initial  float64  `toml:"initial"`
	Final    float64  `toml:"final"` // the end of Cosine
}

// Schedules returns all schedules, the default first.
func Schedules() []Schedule { return []Schedule{Cosine, Steps, Constant} }

// Validate reports rates that cannot be.
func (l LearningRate) Validate() error {
	if !slices.Contains(Schedules(), l.Schedule) {
		return fmt.Errorf("schedule %q of the learning rate, want one of %v", l.Schedule, Schedules())
	}
	if !(l.Initial > 0) || math.IsInf(l.Initial, 0) || !(l.Final >= 0) || l.Final > l.Initial {
		return fmt.Errorf("learning rate %g falling to %g, want a positive rate and a final one no larger", l.Initial, l.Final)
	}
	return nil
}

// At returns the rate of step t = 1 … total.
func (l LearningRate) At(t, total int) float64 {
	done := float64(t-1) / math.Max(float64(total), 1)
	switch l.Schedule {
	case Cosine:
		return l.Final + (l.Initial-l.Final)*(1+math.Cos(math.Pi*math.Min(done, 1)))/2
	case Steps:
		return l.Initial * math.Pow(0.1, math.Floor(6*done))
	}
	return l.Initial
}
