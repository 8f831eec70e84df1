package restore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"ebm/export/session"
	"ebm/mdsm"
	"ebm/mdsm/samples"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

const basisType = tensor.Float32

// Problem is what was measured, and how.
type Problem struct {
	Operator *Operator
	Measured *tensor.Tensor // y [P M], float32 or float64
	Sigma    float64        // σ_y, 0 for measurements without noise
}

// Check reports measurements that are not the operator's.
func (p Problem) Check() error {
	y := p.Measured
	if y.Rank() != 2 || !y.DType().IsFloat() || y.Shape()[0] == 0 || y.Shape()[1] != p.Operator.Rows {
		return fmt.Errorf("measurements are %v, want floats of shape P and %d", y, p.Operator.Rows)
	}
	for i, v := range y.Float64s() {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("measurement %d of picture %d is %g, want a finite number", i%p.Operator.Rows, i/p.Operator.Rows, v)
		}
	}
	if !(p.Sigma >= 0) || math.IsInf(p.Sigma, 0) {
		return fmt.Errorf("noise of the measurements %g, want a standard deviation from 0", p.Sigma)
	}
	return nil
}

// Measure returns the problem of pictures [P …] that are known: A x + σ_y n, with
// noise of the seed.
func Measure(a *Operator, pictures *tensor.Tensor, sigma float64, seed uint64) (Problem, error) {
	if !slices.Equal(pictures.Shape()[1:], a.shape) {
		return Problem{}, fmt.Errorf("pictures are %v, want shape N and %v", pictures, a.shape)
	}
	each, values := tensor.Volume(a.shape), pictures.Float64s()
	var y []float64
	noise := make([]float32, a.Rows)
	for i := range pictures.Shape()[0] {
		rng.New(seed).Normal(noise, rng.Measure, uint64(i), 0)
		for j, v := range a.Apply(values[i*each : (i+1)*each]) {
			y = append(y, v+sigma*float64(noise[j]))
		}
	}
	p := Problem{Operator: a, Measured: tensor.Of(y, pictures.Shape()[0], a.Rows), Sigma: sigma}
	return p, p.Check()
}

// Settings say which chains are run.
type Settings struct {
	Updates []mdsm.Update // one or more, see langevin.Recipe and langevin.Settings
	// Exact leaves out the jump and ends in the density of Constraint.Exact; updates
	// must be those of eq. (8).
	Exact bool
	// Mean and Spread say where components that are not measured begin.
	Mean, Spread float64
	Samples      int // of each picture
	Seed         uint64
	Batch        int // see langevin.Settings
	// Dir, when not empty, is a folder in which finished chains are kept, so that a
	// run that was stopped goes on and that several can share one.
	Dir string
	samples.Share
	// Log, when not nil, gets a line when something kept there is of no use.
	Log func(line string)
}

// Validate reports the first setting that cannot be.
func (s Settings) Validate() error {
	if len(s.Updates) == 0 || s.Samples < 1 {
		return fmt.Errorf("%d updates of %d samples, want one or more", len(s.Updates), s.Samples)
	}
	for _, u := range s.Updates {
		if s.Exact && !u.Plain() {
			return fmt.Errorf("an update %+v, want steps of eq. (8) for the exact density", u)
		}
	}
	if math.IsNaN(s.Mean) || math.IsInf(s.Mean, 0) || !(s.Spread >= 0) || math.IsInf(s.Spread, 0) {
		return fmt.Errorf("a start of %g ± %g, want a mean and a standard deviation from 0", s.Mean, s.Spread)
	}
	return nil
}

// Sampler runs chains. It may be used from several goroutines at once.
type Sampler struct {
	Progress progress.Progress // nil for none

	session *runtime.Session // of several steps in a run; nil with device
	device  *session.Models  // of chains that stay on a device, nil where they do not
	info    runtime.Info
	op      *Operator
	sigma0  float64
	hash    string
}

// New loads the files of [NewFiles] for the same operator and σ₀.
func New(rt *runtime.Runtime, f Files, a *Operator, sigma0 float64) (*Sampler, error) {
	if !(sigma0 > 0) {
		return nil, fmt.Errorf("sigma0 %g, want a positive noise level", sigma0)
	}
	s := &Sampler{info: rt.Info(), op: a, sigma0: sigma0, hash: hash(f.Chain)}
	if f.Fixed != nil && s.info.Provider != runtime.CPU && !s.info.Precision.Half() {
		s.device = session.NewModels(rt, f.Fixed)
		return s, nil
	}
	var x runtime.ValueInfo
	var err error
	inputs := []string{"x", "memory", "measured", "noise", "updates", "parts"}
	s.session, x, err = parallel.Load(rt, f.Chain, runtime.SessionOptions{Threads: parallel.Threads(s.info)}, inputs,
		[]string{"x_next", "memory_next"})
	if err != nil {
		return nil, err
	}
	if _, err := parallel.Shape(x, a.shape); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close frees the models.
func (s *Sampler) Close() error {
	err := s.device.Close()
	if s.session != nil {
		err = errors.Join(err, s.session.Close())
	}
	return err
}

// Run returns samples [P·Samples …] of x, those of a picture one after another.
// Sample i is the same in any batch. A chain whose numbers do not stay finite is an
// error. After a part of them it is samples.ErrPart.
func (s *Sampler) Run(ctx context.Context, p Problem, set Settings) (*tensor.Tensor, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := set.Validate(); err != nil {
		return nil, err
	}
	r := s.plan(p, set)
	group, all := r.layout.Size, p.Measured.Shape()[0]*set.Samples
	out := tensor.New(tensor.Float32, append([]int{all}, s.op.shape...)...)
	begin, end := set.Part.Range((all + group - 1) / group)
	mine := max(min(end*group, all)-begin*group, 0)
	stage := progress.Begin(s.Progress, "restore", int64(mine)*int64(len(r.updates)), "steps")
	defer stage.Done()
	var missing []int
	work := func(ctx context.Context, i int) (*tensor.Tensor, error) {
		first := (begin + i) * group
		return r.group(ctx, first, min(all-first, group), stage)
	}
	deliver := func(i int, x *tensor.Tensor) error {
		if x == nil {
			missing = append(missing, begin+i)
			return nil
		}
		copy(tensor.Data[float32](out)[(begin+i)*group*r.layout.Each():], tensor.Data[float32](x))
		return nil
	}
	if err := parallel.Ordered(ctx, r.layout.Workers, end-begin, work, deliver); err != nil {
		return out, err
	}
	if !set.Part.Whole() {
		return nil, samples.ErrPart
	}
	return out, samples.Missing(set.Dir, "samples", missing, group, all)
}

// Key returns the hash of all that the samples follow from.
func (s *Sampler) Key(p Problem, set Settings) string { return s.plan(p, set).key }

// run is what all groups share.
type run struct {
	*Sampler
	Settings
	layout   parallel.Layout
	updates  []mdsm.Update
	rows     []float32 // of all updates
	parts    []float32
	tau      []float64
	measured [][]float64 // ȳ of each picture
	first    float64     // the noise level that chains begin with
	key      string      // of all that the chains follow from
	source   rng.Source
}

func (s *Sampler) plan(p Problem, set Settings) *run {
	r := &run{
		Sampler: s, Settings: set, layout: parallel.NewLayout(s.info, s.op.shape, 0, set.Batch),
		updates: slices.Clone(set.Updates), tau: s.op.Noise(p.Sigma), first: set.Spread, source: rng.New(set.Seed),
	}
	r.Log = progress.Lines(set.Log)
	if !set.Exact {
		r.updates = append(r.updates, mdsm.Jump(s.sigma0))
	}
	c := Constraint{Tau: r.tau, Sigma0: s.sigma0}
	for i, u := range r.updates {
		r.rows = append(r.rows, u.Row(s.sigma0)...)
		if set.Exact {
			r.parts = append(r.parts, c.Exact(u)...)
			continue
		}
		after := 0.0
		if i+1 < len(set.Updates) {
			after = s.level(set.Updates[i+1])
		} else if i+1 < len(r.updates) {
			after = s.level(u) // the jump begins where the last update left off
		}
		r.parts = append(r.parts, c.Annealed(u, s.level(u), after)...)
	}
	if !set.Exact {
		r.first = s.level(r.updates[0])
	}
	y, rows := p.Measured.Float64s(), s.op.Rows
	for i := range p.Measured.Shape()[0] {
		r.measured = append(r.measured, s.op.Measured(y[i*rows:(i+1)*rows]))
	}
	r.key = samples.HashOf(
		tensor.Of([]byte(s.hash+s.info.Engine()), len(s.hash)+len(s.info.Engine())), tensor.Of(r.rows, len(r.rows)),
		tensor.Of(r.parts, len(r.parts)),
		p.Measured, tensor.Of([]float64{set.Mean, set.Spread, float64(set.Samples), float64(r.layout.Size)}, 4),
		tensor.Of([]int64{int64(set.Seed)}, 1))
	return r
}

// level returns the noise level of x in an update.
func (s *Sampler) level(u mdsm.Update) float64 {
	if u.Level != 0 {
		return u.Level
	}
	return s.sigma0 * math.Sqrt(u.Temperature)
}

// group returns what the chains from first on, used of them, come to, nil where it is
// to be joined and missing.
func (r *run) group(ctx context.Context, first, used int, stage progress.Stage) (*tensor.Tensor, error) {
	kept := samples.Results{Share: r.Share, Log: r.Log}
	if r.Dir != "" {
		kept.Dir = filepath.Join(r.Dir, r.key[:16])
	}
	x, found, err := kept.Rows(first, append([]int{used}, r.op.shape...), func() (*tensor.Tensor, error) {
		return r.chains(ctx, first, used, stage)
	})
	if found {
		stage.Skip(int64(used) * int64(len(r.updates)))
	}
	return x, err
}

// start returns where chains begin, and ȳ [Size R] of each: measured components at
// their measurement with the first level's noise, all others at the mean.
func (r *run) start(first, used int) (x, measured *tensor.Tensor) {
	x, measured = r.layout.New(), tensor.New(tensor.Float32, r.layout.Size, r.op.Rank())
	each, rank := r.layout.Each(), r.op.Rank()
	noise := make([]float32, each)
	for place := range used {
		sample := first + place
		y := r.measured[sample/r.Samples]
		r.source.Normal(noise, rng.SampleStart, uint64(sample), 0)
		point := make([]float64, each)
		for i, n := range noise {
			point[i] = r.Mean + r.Spread*float64(n)
		}
		off := r.op.Components(point)
		n := r.op.Components(tensor.Of(noise, each).Float64s())
		for j := range off {
			if r.tau[j] > r.first { // it says less than where chains begin
				off[j] = 0
				continue
			}
			off[j] = y[j] + math.Sqrt(max(r.first*r.first-r.tau[j]*r.tau[j], 0))*n[j] - off[j]
		}
		for i, v := range r.op.Compose(off) {
			tensor.Data[float32](x)[place*each+i] = float32(point[i] + v)
		}
		for j, v := range y {
			tensor.Data[float32](measured)[place*rank+j] = float32(v)
		}
	}
	return x, measured
}
