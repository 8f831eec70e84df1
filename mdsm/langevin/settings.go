package langevin

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"ebm/internal/memory"
	"ebm/mdsm"
	"ebm/mdsm/samples"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// Settings say which samples are drawn, and how. [Default] has the paper's.
type Settings struct {
	Schedule Schedule
	// Updates, when there are any, are the steps, in place of the schedule and of
	// StepSize: a sampler of few evaluations, see Recipe, or temperatures of one's own.
	Updates []mdsm.Update

	// Tempering, when it is not nil, are chains at several temperatures that swap places,
	// in place of the schedule and of Updates.
	Tempering *Tempering

	StepSize float64 // ε, in units of x; 0.015 to 0.05 is reasonable
	Start    Start
	Fill     *Fill // pictures with hidden pixels, nil for none
	Raw      bool  // leave out the denoising jump at the end

	Seed  uint64
	First int // index of the first sample
	Count int // number of samples

	// Batch bounds the samples that are computed at once; 0 is as many as the
	// threads take. On a device it is the number of samples in a run of the model,
	// 128 when it is 0, and samples depend on it in their last bits.
	Batch int
	// StepsPerRun is the number of steps in a run of the model; 0 chooses. It
	// changes nothing but memory and time.
	StepsPerRun int

	Watch samples.Watch
}

// Start is where chains begin: at Mean + Sigma·n, or From's points + Sigma·n.
type Start struct {
	Mean, Sigma float64
	// From, when not nil, are points [M …], float32: sample i begins at the
	// point i mod M.
	From *tensor.Tensor
}

// Default returns the settings of the paper, for count samples.
func Default(count int) Settings {
	return Settings{Schedule: Paper(), StepSize: 0.02, Start: Start{Mean: 0.5, Sigma: 1}, Count: count}
}

// Validate reports the first setting that cannot be.
func (s Settings) Validate() error {
	// Before anything is as long as they say.
	if err := cmp.Or(memory.Check("samples", s.Count, 1), memory.Check("steps", s.Schedule.Steps, 8),
		memory.Check("batch", s.Batch, 8)); err != nil {
		return err
	}
	if s.Tempering != nil && (len(s.Updates) > 0 || s.Fill != nil) {
		return errors.New("tempering with updates or hidden pixels, want it without")
	}
	updates, err := s.updates()
	if err != nil {
		return err
	}
	steps := len(updates)
	for _, u := range updates {
		if !(u.StepSize > 0) || u.StepSize > math.MaxFloat32 {
			return fmt.Errorf("step size %g, want a positive number", u.StepSize)
		}
		if !(u.Temperature >= 0) || u.Temperature > math.MaxFloat32 {
			return fmt.Errorf("temperature %g, want a number from 0", u.Temperature)
		}
		if bad := slices.IndexFunc(u.Row(0), func(v float32) bool { return v != v || math.IsInf(float64(v), 0) }); bad >= 0 {
			return fmt.Errorf("update %+v, want finite coefficients", u)
		}
	}
	if math.IsNaN(s.Start.Mean) || math.IsInf(s.Start.Mean, 0) || !(s.Start.Sigma >= 0) || math.IsInf(s.Start.Sigma, 0) {
		return fmt.Errorf("start at %g with standard deviation %g, want finite numbers, and no negative deviation", s.Start.Mean, s.Start.Sigma)
	}
	if s.Count < 1 || s.First < 0 || s.First > rng.MaxSamples-s.Count {
		return fmt.Errorf("%d samples from index %d, want one or more, with indices from 0 to below 2^48", s.Count, s.First)
	}
	if s.Batch < 0 {
		return fmt.Errorf("batch %d, want a number from 0", s.Batch)
	}
	if s.StepsPerRun < 0 {
		return fmt.Errorf("%d steps in a run of the model, want a number from 0", s.StepsPerRun)
	}
	if s.Watch.Chains < 0 {
		return fmt.Errorf("%d chains to watch, want none or more", s.Watch.Chains)
	}
	for i, at := range s.Watch.Snapshots {
		if at < 0 || at > steps || i > 0 && at <= s.Watch.Snapshots[i-1] {
			return fmt.Errorf("snapshots at steps %v, want ascending numbers from 0 to %d", s.Watch.Snapshots, steps)
		}
		if s.Tempering != nil && at%s.Tempering.round() != 0 {
			return fmt.Errorf("snapshot at step %d, want the end of a round of tempering, a multiple of %d", at, s.Tempering.round())
		}
	}
	return nil
}

// updates returns the step size and temperature of each step.
func (s Settings) updates() ([]mdsm.Update, error) {
	if s.Tempering != nil {
		if err := s.Tempering.validate(); err != nil {
			return nil, err
		}
		return s.Tempering.updates(s.StepSize), nil
	}
	if len(s.Updates) > 0 {
		return s.Updates, nil
	}
	temperatures, err := s.Schedule.Temperatures()
	if err != nil {
		return nil, err
	}
	return At(s.StepSize, temperatures), nil
}

// At returns updates of one step size at temperatures.
func At(stepSize float64, temperatures []float64) []mdsm.Update {
	list := make([]mdsm.Update, len(temperatures))
	for i, t := range temperatures {
		list[i] = mdsm.Update{StepSize: stepSize, Temperature: t}
	}
	return list
}

// Snapshots returns about n steps, evenly spaced from 0 to steps, for
// Watch.Snapshots.
func Snapshots(n, steps int) []int {
	var at []int
	for i := range n {
		at = append(at, int(math.Round(float64(steps)*fraction(i, n))))
	}
	return slices.Compact(at)
}
