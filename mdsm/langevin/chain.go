package langevin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ebm/export/session"
	"ebm/mdsm"
	"ebm/mdsm/samples"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// plan is what all groups of a run share.
type plan struct {
	Settings
	updates  []mdsm.Update
	remember bool  // chains have a memory
	parts    int   // in which a group's steps are made side by side
	size     int   // samples in a group; sample i is in group i/size
	shape    []int // of one x
	source   rng.Source
}

func (s *Sampler) plan(set Settings) (*plan, error) {
	if err := set.Validate(); err != nil {
		return nil, err
	}
	if !s.jumps && (!set.Raw || set.Watch.Chains > 0 && len(set.Watch.Snapshots) > 0) {
		return nil, errNoDenoise
	}
	if err := set.fits(s.shape); err != nil {
		return nil, err
	}
	updates, err := set.updates()
	if err != nil {
		return nil, err
	}
	p := &plan{Settings: set, updates: updates, size: s.layout(set.Batch).Size, shape: s.shape, source: rng.New(set.Seed)}
	p.StepSize = updates[0].StepSize
	p.remember = set.remembers(updates)
	if set.Tempering != nil {
		if s.device != nil {
			return nil, errors.New("tempering on a device, want --provider cpu")
		}
		p.Updates = updates
	}
	p.Watch.Chains = min(p.Watch.Chains, p.Count)
	if p.StepsPerRun == 0 {
		// Bounds the noise to 16 MB for each group in progress.
		p.StepsPerRun = min(max((1<<22)/(p.size*tensor.Volume(p.shape)), 1), 50)
	}
	return p, nil
}

// end returns the index after the last sample.
func (p *plan) end() int { return p.First + p.Count }

// groups lists the groups that have wanted samples.
func (p *plan) groups() []int { return p.groupsOf(p.First, p.end()) }

// groupsOf lists the groups of the samples from first to before end.
func (p *plan) groupsOf(first, end int) []int {
	var list []int
	for g := first / p.size; g*p.size < end; g++ {
		list = append(list, g)
	}
	return list
}

// span returns the part of a group between two samples, as places in it.
func (p *plan) span(group, first, end int) (lo, hi int) {
	return samples.Span(p.size, group, first, end)
}

// batch is a group's wanted samples.
type batch struct {
	first int            // index of the first
	x     *tensor.Tensor // [n …]
	seen  *seen          // of the first samples of the run, or nil
}

// chain computes one group from its start, or from where its state is, to its
// samples.
func (s *Sampler) chain(ctx context.Context, p *plan, group int, stage progress.Stage, states samples.States) (*batch, error) {
	lo, hi := p.span(group, p.First, p.end())
	c := &chain{Sampler: s, plan: p, number: group, lo: lo, hi: hi, base: 0, rows: p.size}
	if s.free {
		c.base, c.rows = lo, hi-lo
	}
	if _, watched := p.span(group, p.First, p.First+p.Watch.Chains); watched > lo {
		c.seen = &seen{n: watched - lo, swaps: p.newSwaps()}
	}
	c.startLadder()
	kept := states.Of(group)
	done, err := c.resume(kept)
	if err != nil {
		return nil, err
	}
	if s.device != nil {
		if c.on, err = place(s.device, c.state, s.sigma0, c.device.Noise(c.draws(rng.SampleNoise), noiseInput())); err != nil {
			return nil, fmt.Errorf("samples %d to %d: %w", c.index(lo), c.index(hi)-1, err)
		}
		defer c.on.Close()
	}
	stage.Add(int64(done * (hi - lo)))
	step := func(at int) (n int, err error) {
		if err := c.look(ctx, at); err != nil {
			return 0, err
		}
		n = c.until(at)
		if err := c.steps(ctx, at, n); err != nil {
			return 0, err
		}
		if err := c.turn(ctx, at+n); err != nil {
			return 0, err
		}
		stage.Add(int64(n * (hi - lo)))
		return n, nil
	}
	save := func(done int) error {
		if err := c.fetch(done); err != nil {
			return err
		}
		return kept.Write(c.arrays(done))
	}
	if err := states.Keep(ctx, done, len(p.updates), step, save); err != nil {
		return nil, err
	}
	if err := c.look(ctx, len(p.updates)); err != nil {
		return nil, err
	}
	if !p.Raw {
		clean, _, err := c.jump(ctx)
		if err != nil {
			return nil, fmt.Errorf("denoising jump of samples %d to %d: %w", c.index(lo), c.index(hi)-1, err)
		}
		if err := c.check(clean, len(p.updates)); err != nil {
			return nil, err
		}
		c.x = clean
	} else if err := c.fetch(len(p.updates)); err != nil {
		return nil, err
	}
	return &batch{first: c.index(lo), x: c.places(c.x, hi), seen: c.seen}, nil
}

// chain is a group in progress. The places from lo to before hi are wanted. Of the
// rows places from base that are computed, others stay at the origin without noise.
type chain struct {
	*Sampler
	*plan
	number     int // of the group
	lo, hi     int
	base, rows int
	state                       // [rows …]
	ladder     []*tensor.Tensor // of tempering, the chains [rows …] at all temperatures; x is one of them
	seen       *seen
	on         *resident // where the chains are between fetches, nil for the host
}

// fetch brings the chains to the host after so many steps.
func (c *chain) fetch(steps int) error {
	if c.on == nil {
		return nil
	}
	at, err := c.on.fetch()
	if err != nil {
		return fmt.Errorf("samples %d to %d: %w", c.index(c.lo), c.index(c.hi)-1, err)
	}
	c.x, c.memory = at.x, at.memory
	return c.check(c.x, steps)
}

// jump makes the denoising jump of eq. (9).
func (c *chain) jump(ctx context.Context) (clean, energy *tensor.Tensor, err error) {
	if c.on != nil {
		return c.on.jump(ctx, c.hidden != nil)
	}
	return c.stepper.Denoise(ctx, c.x, c.hidden)
}

// index returns the index of the sample at a place of the group.
func (c *chain) index(place int) int { return c.number*c.size + place }

// places copies the wanted places before end.
func (c *chain) places(x *tensor.Tensor, end int) *tensor.Tensor {
	each := tensor.Volume(c.plan.shape)
	return tensor.Of(slices.Clone(tensor.Data[float32](x)[(c.lo-c.base)*each:(end-c.base)*each]),
		append([]int{end - c.lo}, c.plan.shape...)...)
}

// draws says what the wanted places take at random.
func (c *chain) draws(purpose rng.Purpose) session.Draws {
	return session.Draws{Source: c.source, Purpose: purpose, Shape: append([]int{c.rows}, c.plan.shape...), First: uint64(c.index(c.base)),
		Lo: c.lo - c.base, Hi: c.hi - c.base, Steps: len(c.updates)}
}

// start sets x to where chains begin, at the mean or at given points, with noise.
// Where pictures are filled in, only hidden pixels begin there: the others are as
// given. noise numbers the noise.
func (c *chain) start(noise int) {
	size := append([]int{c.rows}, c.plan.shape...)
	c.x = tensor.New(tensor.Float32, size...)
	if c.remember {
		c.memory = tensor.New(tensor.Float32, size...)
	}
	values, each := tensor.Data[float32](c.x), tensor.Volume(c.plan.shape)
	c.draws(rng.SampleStart).Normal(values, noise)
	mean, sigma := float32(c.Start.Mean), float32(c.Start.Sigma)
	for place := c.lo; place < c.hi; place++ {
		point := c.Start.point(c.index(place))
		for i := range each {
			at := mean
			if point != nil {
				at = point[i]
			}
			v := &values[(place-c.base)*each+i]
			*v = at + float32(sigma**v)
		}
	}
	if c.Fill == nil {
		return
	}
	c.hidden = tensor.New(tensor.Float32, size...)
	mask := tensor.Data[float32](c.hidden)
	for place := c.lo; place < c.hi; place++ {
		picture, hidden := c.Fill.of(c.index(place))
		for i := range each {
			at := (place-c.base)*each + i
			if mask[at] = hidden[i]; hidden[i] == 0 {
				values[at] = picture[i]
			}
		}
	}
}

// until returns the number of steps from step at that the next run makes: up to
// StepsPerRun of one size, and not beyond a snapshot.
func (c *chain) until(at int) int {
	if c.on != nil {
		return 1 // so that a chain that is stopped is where its last step left it
	}
	end := min(at+c.StepsPerRun, len(c.updates))
	if t := c.Tempering; t != nil {
		end = min(end, at-at%t.Every+t.Every)
	}
	for k, u := range c.updates[at:end] {
		if !c.remember && u.StepSize != c.updates[at].StepSize {
			end = at + k
			break
		}
	}
	if c.seen != nil {
		for _, s := range c.Watch.Snapshots {
			if s > at {
				end = min(end, s)
				break
			}
		}
	}
	return end - at
}

// steps makes n steps from step at.
func (c *chain) steps(ctx context.Context, at, n int) error {
	if c.on != nil {
		return c.stepOnDevice(ctx, at)
	}
	noise := tensor.New(tensor.Float32, append([]int{n}, c.x.Shape()...)...)
	for k := range n {
		c.draws(rng.SampleNoise).Normal(tensor.Data[float32](noise)[k*c.x.Len():], at+k)
	}
	next, energy, err := c.side(ctx, noise, c.updates[at:at+n])
	if err != nil {
		return fmt.Errorf("samples %d to %d, steps %d to %d: %w", c.index(c.lo), c.index(c.hi)-1, at, at+n-1, err)
	}
	c.state = next
	if energy != nil {
		if err := c.record(tensor.Data[float32](energy), at, n); err != nil {
			return err
		}
	}
	return c.check(c.x, at+n)
}

// looksEvery is the number of steps on a device after which the energies, where they are
// not watched, come to the host: they say whether x is still finite.
const looksEvery = 50

// stepOnDevice makes step at.
func (c *chain) stepOnDevice(ctx context.Context, at int) error {
	if err := c.on.step(ctx, at, c.updates[at]); err != nil {
		return fmt.Errorf("samples %d to %d, step %d: %w", c.index(c.lo), c.index(c.hi)-1, at, err)
	}
	if c.seen == nil && (at+1)%looksEvery != 0 {
		return nil
	}
	energy, err := c.on.energies()
	if err != nil {
		return err
	}
	return c.record(energy, at, 1)
}

// side makes updates of the group's chains, in parts side by side where there are more
// threads than groups.
func (c *chain) side(ctx context.Context, noise *tensor.Tensor, updates []mdsm.Update) (state, *tensor.Tensor, error) {
	parts := min(c.parts, c.rows)
	if parts < 2 {
		return c.stepper.Steps(ctx, c.state, noise, updates)
	}
	type result struct {
		state
		energy *tensor.Tensor
	}
	var done []result
	work := func(ctx context.Context, i int) (r result, err error) {
		lo, hi := i*c.rows/parts, (i+1)*c.rows/parts
		r.state, r.energy, err = c.stepper.Steps(ctx, c.state.slice(lo, hi), columns(noise, lo, hi), updates)
		return r, err
	}
	if err := parallel.Ordered(ctx, parts, parts, work, func(_ int, r result) error { done = append(done, r); return nil }); err != nil {
		return c.state, nil, err
	}
	next := c.state
	var x, memory []*tensor.Tensor
	for _, r := range done {
		x, memory = append(x, r.x), append(memory, r.memory)
	}
	next.x = tensor.Concat(x...)
	if next.memory != nil {
		next.memory = tensor.Concat(memory...)
	}
	if done[0].energy == nil {
		return next, nil, nil
	}
	energy := make([]float32, 0, len(updates)*c.rows)
	for k := range updates {
		for _, r := range done {
			energy = append(energy, tensor.Data[float32](r.energy.Rows(k, k+1))...)
		}
	}
	return next, tensor.Of(energy, len(updates), c.rows), nil
}

// columns copies the chains from lo to before hi of noise [K N …].
func columns(noise *tensor.Tensor, lo, hi int) *tensor.Tensor {
	shape := slices.Clone(noise.Shape())
	steps, all := shape[0], noise.Len()/shape[0]
	each := all / shape[1]
	shape[1] = hi - lo
	values := make([]float32, 0, tensor.Volume(shape))
	for k := range steps {
		values = append(values, tensor.Data[float32](noise)[k*all+lo*each:k*all+hi*each]...)
	}
	return tensor.Of(values, shape...)
}

// check reports a wanted place that is not finite.
func (c *chain) check(x *tensor.Tensor, step int) error {
	each := tensor.Volume(c.plan.shape)
	bad := parallel.NotFinite(tensor.Data[float32](x)[(c.lo-c.base)*each : (c.hi-c.base)*each])
	if bad < 0 {
		return nil
	}
	return &DivergedError{Sample: c.index(c.lo + bad/each), Step: step, StepSize: c.StepSize}
}
