package langevin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ebm/export/session"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// Sampler runs chains, and denoises pictures, through a pair of models. It may
// be used from several goroutines at once.
type Sampler struct {
	// Progress, when not nil, shows what Sample, Write and Merge do.
	Progress progress.Progress

	stepper Stepper
	device  *session.Models // of chains that stay on a device, nil where they do not
	shape   []int           // of one x
	fixed   int             // the batch that the models are fixed to, 0 for none
	info    runtime.Info
	hash    string
	jumps   bool // there is a model of the denoising jump
	free    bool // a chain's bits do not depend on the batch
	sigma0  float64
}

// New loads the models. They must take float32 x with a shape that is fixed
// but for the batch.
func New(rt *runtime.Runtime, m Files) (*Sampler, error) {
	s := &Sampler{info: rt.Info(), hash: m.Hash(), jumps: m.Denoise != nil || m.DenoiseHidden != nil || m.Score != nil && m.Sigma0 > 0}
	s.sigma0 = m.Sigma0
	s.free = m.AnyBatch && s.info.Provider == runtime.CPU
	if p := s.info.Precision; p.Half() && (m.Fixed == nil || s.info.Provider == runtime.CPU) {
		return nil, fmt.Errorf("--precision %s, want fp32 or tf32: chains have others on devices alone, of models with weights", p)
	}
	if m.Fixed != nil && s.info.Provider != runtime.CPU {
		s.device = session.NewModels(rt, m.Fixed)
		m.Sampler, m.Inpaint, m.Updates, m.Fast, m.Memory = nil, nil, nil, nil, false // jumps of other pictures are all that is left
	}
	stepper, x, err := load(rt, m, parallel.Threads(s.info))
	if err != nil {
		return nil, err
	}
	if s.shape, err = parallel.Shape(x, m.Shape); err != nil {
		stepper.Close()
		return nil, err
	}
	s.stepper, s.fixed = stepper, max(x.Shape[0], 0)
	return s, nil
}

// Close frees the models.
func (s *Sampler) Close() error { return errors.Join(s.device.Close(), s.stepper.Close()) }

// Shape returns the shape of one sample.
func (s *Sampler) Shape() []int { return slices.Clone(s.shape) }

// layout returns how samples are cut into groups.
func (s *Sampler) layout(batch int) parallel.Layout {
	return parallel.NewLayout(s.info, s.shape, s.fixed, batch)
}

// Sample draws the samples of the settings and gives them to sink in order, in
// tensors [n …] of a few samples each with the index of the first. An error of
// sink ends the run. The result is nil unless Watch asks for it.
//
// A chain whose numbers do not stay finite is a *DivergedError.
func (s *Sampler) Sample(ctx context.Context, set Settings, sink func(first int, x *tensor.Tensor) error) (*samples.Process, error) {
	p, err := s.plan(set)
	if err != nil {
		return nil, err
	}
	var seen []*samples.Process
	wanted := p.groups()
	stage := s.stage(p, wanted, 0)
	defer stage.Done()
	err = s.run(ctx, p, wanted, stage, samples.States{}, func(b *batch) error {
		if r := p.process(b); r != nil {
			seen = append(seen, r)
		}
		return sink(b.first, b.x)
	})
	if err != nil {
		return nil, err
	}
	return samples.JoinProcesses(seen), nil
}

// All draws the samples of the settings and returns them as one [Count …].
func (s *Sampler) All(ctx context.Context, set Settings) (*tensor.Tensor, error) {
	var values []float32
	_, err := s.Sample(ctx, set, func(_ int, x *tensor.Tensor) error {
		values = append(values, tensor.Data[float32](x)...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return tensor.Of(values, append([]int{set.Count}, s.shape...)...), nil
}

// stage begins the progress of groups, beside which some samples are done. It
// counts the steps of all chains, since a chain may take minutes.
func (s *Sampler) stage(p *plan, wanted []int, done int) progress.Stage {
	rows := done
	for _, g := range wanted {
		lo, hi := p.span(g, p.First, p.end())
		rows += hi - lo
	}
	steps := int64(len(p.updates))
	stage := progress.Begin(s.Progress, "sample", int64(rows)*steps, "steps")
	stage.Skip(int64(done) * steps)
	return stage
}

// run computes groups and delivers them in order.
func (s *Sampler) run(ctx context.Context, p *plan, wanted []int, stage progress.Stage, states samples.States,
	deliver func(*batch) error) error {
	if s.free && len(wanted) > 0 {
		p.parts = max(s.layout(p.Batch).Workers/len(wanted), 1)
	}
	work := func(ctx context.Context, i int) (*batch, error) { return s.chain(ctx, p, wanted[i], stage, states) }
	return parallel.Ordered(ctx, s.layout(p.Batch).Workers, len(wanted), work, func(_ int, b *batch) error { return deliver(b) })
}

// Denoise returns x − σ₀²∇E(x) (eq. 9) for float32 pictures or points x [N …],
// whose noise should be near σ₀, and the energies [N] of x, nil when the model
// has none. A picture's result does not depend on the others.
func (s *Sampler) Denoise(ctx context.Context, x *tensor.Tensor) (clean, energy *tensor.Tensor, err error) {
	if x.DType() != tensor.Float32 || x.Rank() != len(s.shape)+1 || !slices.Equal(x.Shape()[1:], s.shape) {
		return nil, nil, fmt.Errorf("denoise: x is %v, the model wants float32 of shape N and %v", x, s.shape)
	}
	n, layout := x.Shape()[0], s.layout(0)
	each, group := layout.Each(), layout.Size
	clean = tensor.New(tensor.Float32, x.Shape()...)
	energies := make([]float32, 0, n)
	stage := progress.Begin(s.Progress, "denoise", int64(n), "pictures")
	defer stage.Done()

	type result struct{ clean, energy *tensor.Tensor }
	work := func(ctx context.Context, i int) (result, error) {
		in := layout.New()
		copy(tensor.Data[float32](in), tensor.Data[float32](x)[i*group*each:])
		out, e, err := s.stepper.Denoise(ctx, in, nil)
		return result{out, e}, err
	}
	deliver := func(i int, r result) error {
		rows := min(group, n-i*group)
		out := tensor.Data[float32](r.clean)[:rows*each]
		if bad := parallel.NotFinite(out); bad >= 0 {
			return fmt.Errorf("denoise: picture %d does not stay finite", i*group+bad/each)
		}
		copy(tensor.Data[float32](clean)[i*group*each:], out)
		if r.energy != nil {
			energies = append(energies, tensor.Data[float32](r.energy)[:rows]...)
		}
		stage.Add(int64(rows))
		return nil
	}
	if err := parallel.Ordered(ctx, layout.Workers, (n+group-1)/group, work, deliver); err != nil {
		return nil, nil, err
	}
	if len(energies) == n {
		energy = tensor.Of(energies, n)
	}
	return clean, energy, nil
}

// DivergedError says that a chain left the finite numbers.
type DivergedError struct {
	Sample   int // its index
	Step     int // it happened in or shortly before this step
	StepSize float64
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("sample %d is not finite after %d steps of size %g; try a smaller step size", e.Sample, e.Step, e.StepSize)
}
