package langevin

import (
	"context"
	"errors"
	"slices"

	"ebm/mdsm"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// Write draws the samples of the settings into a folder, see samples.Folder.
// Samples must be pictures [C H W] with one channel or three.
func (s *Sampler) Write(ctx context.Context, set Settings, f samples.Folder) (samples.Written, error) {
	if set.Fill != nil {
		return samples.Written{}, errors.New("a folder of samples is not for pictures that are filled in")
	}
	p, err := s.plan(set)
	if err != nil {
		return samples.Written{}, err
	}
	job := samples.Job{
		Record: s.record(p), Shape: s.shape, Watch: p.Watch, Steps: len(p.updates),
		Stage: func(groups []int, done int) progress.Stage { return s.stage(p, groups, done) },
		Run: func(ctx context.Context, groups []int, stage progress.Stage, states samples.States, deliver func(samples.Batch) error) error {
			return s.run(ctx, p, groups, stage, states, func(b *batch) error {
				return deliver(samples.Batch{First: b.first, X: b.x, Process: p.process(b)})
			})
		},
	}
	return f.Write(ctx, job, s.Progress)
}

// record describes the samples of a plan.
func (s *Sampler) record(p *plan) samples.Record {
	r := samples.Record{
		Schedule: string(p.Schedule.Cooling), Steps: p.Schedule.Steps, Hot: p.Schedule.Hot, Cool: p.Schedule.Cool,
		StepSize: p.StepSize, StartMean: p.Start.Mean, StartSigma: p.Start.Sigma, Jump: !p.Raw,
		Seed: p.Seed, First: p.First, Count: p.Count, Model: s.hash, Group: p.size,
		Engine: s.info.Engine(), Choices: s.info.Choices,
	}
	if n := len(p.Updates); n > 0 {
		r.Schedule, r.Steps, r.Hot, r.Cool = "given", n, p.Updates[0].Temperature, p.Updates[n-1].Temperature
		r.Anneal = samples.HashOf(p.table())
	}
	if p.Tempering != nil {
		r.Sampler = TemperingName
	}
	if p.Start.From != nil {
		r.StartFrom = samples.HashOf(p.Start.From)
	}
	return r
}

// table returns what the chains follow from: step sizes and temperatures, or all
// coefficients of chains with a memory.
func (p *plan) table() *tensor.Tensor {
	if p.remember {
		return mdsm.Rows(p.updates, 0)
	}
	var sizes, temperatures []float32
	for _, u := range p.updates {
		sizes, temperatures = append(sizes, float32(u.StepSize)), append(temperatures, float32(u.Temperature))
	}
	return tensor.Of(slices.Concat(sizes, temperatures), 2, len(p.updates))
}
