package ebm

import (
	"context"
	"fmt"

	"ebm/mdsm"
	"ebm/mdsm/langevin"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// Sampling says what Engine.Sample draws, and how. The zero value of each field
// but Count is the paper's.
type Sampling struct {
	Count int    // number of samples
	First int    // index of the first
	Seed  uint64 // sample i of one seed is the same in any batch

	// Schedule is that of the temperatures, langevin.Paper if it is zero. Steps,
	// when it is not 0, takes the place of its number of steps, 2700, which keeps
	// its proportions.
	Schedule langevin.Schedule
	Steps    int
	StepSize float64 // ε in units of x, 0.02
	// Temperatures, when there are any, are T of each step in place of the schedule.
	Temperatures []float64
	// Recipe, when it is not nil, is a sampler of few evaluations in place of all
	// these, see Model.Recipe. Chains then begin with noise of its own level.
	Recipe *langevin.Recipe
	// Updates, when there are any, are the steps in place of all these.
	Updates []mdsm.Update
	// Tempering, when it is not nil, has chains at several temperatures swap places, with
	// steps of StepSize, in place of all these; see langevin.Ladder.
	Tempering *langevin.Tempering

	// Chains begin with noise of standard deviation StartSigma around Start, points
	// [M …], float32: sample i at the point i mod M. Without points they begin around
	// 0.5, and where StartSigma is 0 then, with 1.
	Start      *tensor.Tensor
	StartSigma float64
	Raw        bool // leave out the denoising jump at the end

	Batch    int               // bounds the samples computed at once; 0 is as many as the threads take
	Progress progress.Progress // nil shows nothing
}

// settings returns what package langevin is told of a model.
func (s Sampling) settings(m *Model) (langevin.Settings, error) {
	set := langevin.Default(s.Count)
	set.First, set.Seed, set.Raw, set.Batch, set.Updates = s.First, s.Seed, s.Raw, s.Batch, s.Updates
	set.Tempering = s.Tempering
	if s.Schedule != (langevin.Schedule{}) {
		set.Schedule = s.Schedule
	}
	if s.Steps != 0 {
		set.Schedule.Steps = s.Steps
	}
	if s.StepSize != 0 {
		set.StepSize = s.StepSize
	}
	if len(s.Updates) == 0 && len(s.Temperatures) > 0 {
		set.Updates = langevin.At(set.StepSize, s.Temperatures)
	}
	if s.Schedule == (langevin.Schedule{}) && len(set.Updates) == 0 && s.Recipe == nil {
		if err := m.Suit(&set, 0, s.Steps); err != nil {
			return set, fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	if s.Recipe != nil {
		if err := m.denoises(); err != nil {
			return set, err
		}
		var err error
		if set.Updates, err = s.Recipe.Updates(m.SigmaMax, m.Sigma0); err != nil {
			return set, fmt.Errorf("%s: %w", m.Name, err)
		}
		set.Start = s.Recipe.Start(m.SigmaMax)
	}
	switch {
	case s.Start != nil:
		set.Start = langevin.Start{From: s.Start, Sigma: s.StartSigma}
	case s.StartSigma != 0:
		set.Start.Sigma = s.StartSigma
	}
	return set, nil
}

// Sample draws samples by annealed Langevin dynamics (eq. 8) and one denoising
// jump (eq. 9), as float32 pictures [Count C H W] with values around [0, 1]. There
// is no jump where the model does not say its σ₀. Models that are not annealed
// ([Meta.Suit]) take the samplers of their own, if s has neither a schedule nor steps.
func (e *Engine) Sample(ctx context.Context, s Sampling) (*tensor.Tensor, error) {
	files, err := e.Model.Files()
	if err != nil {
		return nil, err
	}
	set, err := s.settings(e.Model)
	if err != nil {
		return nil, err
	}
	set.Raw = set.Raw || e.Model.Sigma0 == 0
	return e.draw(ctx, files, set, s.Progress)
}

// Fill fills in hidden values of float32 pictures [M C H W], several times each,
// and returns completions [M·completions C H W], those of a picture one after
// another. hidden is 1 where a value is hidden and 0 where it is given, float32 of
// the pictures' shape or, one mask for all, [1 C H W]; see langevin.ReadMask. Hidden
// values move as in Sample, while given ones have noise of σ₀√T (section 4 of the
// paper). Count and First of s are not used.
func (e *Engine) Fill(ctx context.Context, pictures, hidden *tensor.Tensor, completions int, s Sampling) (*tensor.Tensor, error) {
	m := e.Model
	files, err := langevin.NewFillFiles(m.Network, m.Weights, m.Sigma0)
	if err != nil {
		return nil, err
	}
	set, err := s.settings(m)
	if err != nil {
		return nil, err
	}
	set.Fill = &langevin.Fill{Pictures: pictures, Hidden: hidden, Completions: completions}
	set.First, set.Count = 0, set.Fill.Count()
	return e.draw(ctx, files, set, s.Progress)
}

func (e *Engine) draw(ctx context.Context, files langevin.Files, set langevin.Settings, show progress.Progress) (*tensor.Tensor, error) {
	sampler, err := langevin.New(e.rt, files.For(set))
	if err != nil {
		return nil, err
	}
	defer sampler.Close()
	sampler.Progress = show
	return sampler.All(ctx, set)
}
