package langevin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"ebm/internal/progress"
	"ebm/models/tensor"
	"ebm/runtime"
)

// Sampler runs chains, and denoises pictures, through a pair of models. It may
// be used from several goroutines at once.
type Sampler struct {
	// Progress, when not nil, shows what Sample, Write and Merge do.
	Progress *progress.Progress

	stepper Stepper
	shape   []int // of one x
	fixed   int   // the batch that the models are fixed to, 0 for none
	info    runtime.Info
	hash    string
	jumps   bool // there is a model of the denoising jump
}

// New loads the models. They must take float32 x with a shape that is fixed
// but for the batch.
func New(rt *runtime.Runtime, m Models) (*Sampler, error) {
	s := &Sampler{info: rt.Info(), hash: m.Hash(), jumps: m.Denoise != nil || m.Score != nil && m.Sigma0 > 0}
	threads := 0
	if s.onCPU() {
		threads = 1 // a group of samples each
	}
	stepper, x, err := load(rt, m, threads)
	if err != nil {
		return nil, err
	}
	if s.shape, err = fixedShape(x, m.Shape); err != nil {
		stepper.Close()
		return nil, err
	}
	s.stepper, s.fixed = stepper, max(x.Shape[0], 0)
	return s, nil
}

// fixedShape returns the shape of one x, where the model or wanted has it.
func fixedShape(x runtime.ValueInfo, wanted []int) ([]int, error) {
	shape := slices.Clone(x.Shape[1:])
	if wanted == nil {
		wanted = shape
	}
	if len(wanted) != len(shape) {
		return nil, fmt.Errorf("the model's x is %v, which %v does not fit", x, wanted)
	}
	for i, d := range wanted {
		if shape[i] < 0 {
			shape[i] = d
		}
		if shape[i] != d {
			return nil, fmt.Errorf("the model's x is %v, which %v does not fit", x, wanted)
		}
		if d < 1 {
			return nil, fmt.Errorf("the model's x is %v: all but its batch must be fixed, or given", x)
		}
	}
	return shape, nil
}

// Close frees the models.
func (s *Sampler) Close() error { return s.stepper.Close() }

// Shape returns the shape of one sample.
func (s *Sampler) Shape() []int { return slices.Clone(s.shape) }

func (s *Sampler) onCPU() bool { return s.info.Provider == runtime.CPU }

// group returns the number of samples that go through the models together.
// On the CPU it follows from the model: so many that the cost of calling a kernel
// does not show, and no more, since the last group is padded. Larger ones
// were not faster.
func (s *Sampler) group(batch int) int {
	switch {
	case s.fixed > 0:
		return s.fixed
	case s.onCPU():
		return min(max(4096/tensor.Volume(s.shape), 8), 256)
	case batch > 0:
		return batch
	}
	return 128
}

// workers returns how many groups are computed at once. With CUDA one prepares
// its noise while the other computes.
func (s *Sampler) workers(batch int) int {
	if !s.onCPU() {
		return 2
	}
	n := max(s.info.Threads, 1)
	if batch > 0 {
		group := s.group(batch)
		n = min(n, (batch+group-1)/group)
	}
	return n
}

// Sample draws the samples of the settings and gives them to sink in order, in
// tensors [n …] of a few samples each with the index of the first. An error of
// sink ends the run. The result is nil unless Watch asks for it.
//
// A chain whose numbers do not stay finite is a *DivergedError.
func (s *Sampler) Sample(ctx context.Context, set Settings, sink func(first int, x *tensor.Tensor) error) (*Process, error) {
	p, err := s.plan(set)
	if err != nil {
		return nil, err
	}
	var seen []*Process
	groups := p.groups()
	stage := s.stage(p, groups, 0)
	defer stage.Done()
	err = s.run(ctx, p, groups, stage, func(b *batch) error {
		if r := p.process(b); r != nil {
			seen = append(seen, r)
		}
		return sink(b.first, b.x)
	})
	if err != nil {
		return nil, err
	}
	return joinProcesses(seen), nil
}

// stage begins the progress of groups, beside which some samples are done. It
// counts the steps of all chains, since a chain may take minutes.
func (s *Sampler) stage(p *plan, groups []int, done int) *progress.Stage {
	rows := done
	for _, g := range groups {
		lo, hi := p.span(g, p.First, p.end())
		rows += hi - lo
	}
	steps := int64(len(p.temperature))
	stage := s.Progress.Stage("sample", int64(rows)*steps, "steps")
	stage.Skip(int64(done) * steps)
	return stage
}

// run computes groups and delivers them in order.
func (s *Sampler) run(ctx context.Context, p *plan, groups []int, stage *progress.Stage, deliver func(*batch) error) error {
	work := func(ctx context.Context, i int) (*batch, error) { return s.chain(ctx, p, groups[i], stage) }
	return ordered(ctx, s.workers(p.Batch), len(groups), work, func(_ int, b *batch) error { return deliver(b) })
}

// Denoise returns x − σ₀²∇E(x) (eq. 9) for float32 pictures or points x [N …],
// whose noise should be near σ₀, and the energies [N] of x, nil when the model
// has none. A picture's result does not depend on the others.
func (s *Sampler) Denoise(ctx context.Context, x *tensor.Tensor) (clean, energy *tensor.Tensor, err error) {
	if x.DType() != tensor.Float32 || x.Rank() != len(s.shape)+1 || !slices.Equal(x.Shape()[1:], s.shape) {
		return nil, nil, fmt.Errorf("denoise: x is %v, the model wants float32 of shape N and %v", x, s.shape)
	}
	n, each, group := x.Shape()[0], tensor.Volume(s.shape), s.group(0)
	clean = tensor.New(tensor.Float32, x.Shape()...)
	energies := make([]float32, 0, n)
	stage := s.Progress.Stage("denoise", int64(n), "pictures")
	defer stage.Done()

	type result struct{ clean, energy *tensor.Tensor }
	work := func(ctx context.Context, i int) (result, error) {
		in := tensor.New(tensor.Float32, append([]int{group}, s.shape...)...)
		copy(tensor.Data[float32](in), tensor.Data[float32](x)[i*group*each:])
		out, e, err := s.stepper.Denoise(ctx, in)
		return result{out, e}, err
	}
	deliver := func(i int, r result) error {
		rows := min(group, n-i*group)
		out := tensor.Data[float32](r.clean)[:rows*each]
		if bad := notFinite(out); bad >= 0 {
			return fmt.Errorf("denoise: picture %d does not stay finite", i*group+bad/each)
		}
		copy(tensor.Data[float32](clean)[i*group*each:], out)
		if r.energy != nil {
			energies = append(energies, tensor.Data[float32](r.energy)[:rows]...)
		}
		stage.Add(int64(rows))
		return nil
	}
	if err := ordered(ctx, s.workers(0), (n+group-1)/group, work, deliver); err != nil {
		return nil, nil, err
	}
	if len(energies) == n {
		energy = tensor.Of(energies, n)
	}
	return clean, energy, nil
}

// notFinite returns the index of the first value that is infinite or not a
// number, or −1.
func notFinite(values []float32) int {
	return slices.IndexFunc(values, func(v float32) bool { return math.Float32bits(v)&0x7f800000 == 0x7f800000 })
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

// ended returns the context's error in place of errors that came of it.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}
