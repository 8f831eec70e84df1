package ais

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"ebm/mdsm/hmc"
	"ebm/mdsm/samples"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// Indices of chains, by what they are for: the random numbers of one kind are
// never those of another.
const (
	firstReverse = 1 << 44
	firstPilot   = 1 << 45
	maxChains    = 1 << 44
)

// Estimator runs chains along the path of its settings.
type Estimator struct {
	// Progress, when not nil, shows how far the chains are.
	Progress progress.Progress
	// Dir, when not empty, is the folder in which states are kept, so that a
	// run that was stopped goes on; it is made if it is not there.
	Dir string
	// Share says which of the chains are run, of each direction. With a part, Measure
	// returns samples.ErrPart.
	Share samples.Share
	// SaveEvery is how often the state of a group is kept; 0 is 15 seconds.
	SaveEvery time.Duration
	// Log, when not nil, gets a line for what a person should know, such as a
	// damaged state.
	Log func(line string)

	log    func(line string) // Log, for several groups at once
	kernel *hmc.Kernel
	layout parallel.Layout
	set    Settings
	source rng.Source
	ladder []hmc.Potential // of each distribution, in the graph's precision
	steps  []float64       // h for each distribution, nil before they are found
}

// New returns the estimator of a kernel whose models have the reference and the
// leapfrog steps of the settings.
func New(k *hmc.Kernel, s Settings) (*Estimator, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	e := &Estimator{kernel: k, layout: k.Layout(0), set: s, source: rng.New(s.Seed)}
	for _, beta := range s.Ladder() {
		// What the graph's transitions leave invariant has weights in float32.
		e.ladder = append(e.ladder, hmc.Potential{Energy: float64(float32(beta / s.Temperature)), Reference: float64(float32(1 - beta))})
	}
	return e, nil
}

// Key returns the hash of the settings, the model and what computes, which kept states
// have in their names.
func (e *Estimator) Key() string { return e.set.key(e.kernel.Hash(), e.kernel.Engine(), e.layout.Size) }

// LogZ0 returns the log normaliser of the reference, in nats.
func (e *Estimator) LogZ0() float64 { return e.set.Reference.LogZ(e.layout.Each()) }

// Weights are the results of chains, in the order of the chains.
type Weights struct {
	Log        []float64 // log w, in nats
	Energy     []float64 // E(x) at the chain's end at β = 1: where reverse chains begin, forward ones end
	Acceptance float64   // mean probability of acceptance
}

// DivergedError says that a chain left the finite numbers.
type DivergedError struct {
	Chain        int
	Distribution int // of M
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("chain %d has an energy that is not finite at distribution %d", e.Chain, e.Distribution)
}

// Forward runs so many chains from the reference to the model.
func (e *Estimator) Forward(ctx context.Context, chains int) (Weights, error) {
	if chains < 1 || chains > maxChains {
		return Weights{}, fmt.Errorf("%d chains, want one or more", chains)
	}
	return e.run(ctx, forward, chains, func(chain int, dst []float32) {
		e.source.Normal(dst, rng.SampleStart, uint64(chain), 0)
		mean, sigma := float32(e.set.Reference.Mean), float32(e.set.Reference.Sigma)
		for i, n := range dst {
			dst[i] = mean + float32(sigma*n)
		}
	})
}

// Reverse runs a chain from each of the points [N …], float32, to the
// reference. The result bounds log Z from above, in expectation, only when the
// points are exact draws of the model.
func (e *Estimator) Reverse(ctx context.Context, points *tensor.Tensor) (Weights, error) {
	if points.DType() != tensor.Float32 || points.Rank() != len(e.layout.Shape)+1 || !slices.Equal(points.Shape()[1:], e.layout.Shape) {
		return Weights{}, fmt.Errorf("points are %v, the model wants float32 of shape N and %v", points, e.layout.Shape)
	}
	each, values := e.layout.Each(), tensor.Data[float32](points)
	return e.run(ctx, reverse, points.Shape()[0], func(chain int, dst []float32) {
		copy(dst, values[chain*each:])
	})
}

// direction is that of chains along the path.
type direction string

const (
	forward direction = "forward"
	reverse direction = "reverse"
)

// index returns the first index of the direction's chains.
func (d direction) index() uint64 {
	if d == reverse {
		return firstReverse
	}
	return 0
}

// run runs chains that begin where start says.
func (e *Estimator) run(ctx context.Context, d direction, chains int, start func(chain int, dst []float32)) (Weights, error) {
	if err := e.prepare(ctx); err != nil {
		return Weights{}, err
	}
	size := e.layout.Size
	begin, end := e.groups(chains)
	stage := progress.Begin(e.Progress, "ais "+string(d), e.work(chains), stepUnit)
	defer stage.Done()
	var w Weights
	var missing []int
	work := func(ctx context.Context, i int) (*chainGroup, error) {
		g := begin + i
		c := &chainGroup{Estimator: e, direction: d, group: g, used: min(chains-g*size, size)}
		return c, c.run(ctx, start, stage)
	}
	deliver := func(_ int, c *chainGroup) error {
		if c.done < e.set.Distributions {
			missing = append(missing, c.group)
			return nil
		}
		w.Log = append(w.Log, c.logW[:c.used]...)
		for _, v := range tensor.Data[float32](c.atModel)[:c.used] {
			w.Energy = append(w.Energy, float64(v))
		}
		w.Acceptance += c.accepted / float64(chains) / float64(max(e.set.Distributions-1, 1))
		return nil
	}
	if err := parallel.Ordered(ctx, e.layout.Workers, end-begin, work, deliver); err != nil {
		return w, err
	}
	return w, samples.Missing(e.Dir, string(d)+" chains", missing, size, chains)
}

// groups returns which groups of so many chains of a direction the share has.
func (e *Estimator) groups(chains int) (begin, end int) {
	return e.Share.Part.Range((chains + e.layout.Size - 1) / e.layout.Size)
}

// stepUnit is the unit of work.
const stepUnit = "steps"

// work returns the steps of all chains of the share.
func (e *Estimator) work(chains int) int64 {
	begin, end := e.groups(chains)
	return int64(max(min(end*e.layout.Size, chains)-begin*e.layout.Size, 0)) * int64(e.set.Distributions)
}

// chainGroup is a group of chains on its way.
type chainGroup struct {
	*Estimator
	direction direction
	group     int
	used      int // places in use, from 0

	done     int       // steps of β that are made
	state    hmc.State // as it was kept
	chains   *hmc.Chains
	logW     []float64 // [Size]
	atModel  *tensor.Tensor
	accepted float64 // sum of acceptance probabilities
}

// first returns the index of the chain at place 0.
func (c *chainGroup) first() uint64 {
	return c.direction.index() + uint64(c.group)*uint64(c.layout.Size)
}

func (c *chainGroup) run(ctx context.Context, start func(chain int, dst []float32), stage progress.Stage) error {
	x := c.layout.New()
	each := c.layout.Each()
	for place := range c.used {
		start(c.group*c.layout.Size+place, tensor.Data[float32](x)[place*each:(place+1)*each])
	}
	store := c.store(x)
	resumed, err := store.load(c)
	if err != nil || c.Share.Join {
		return err
	}
	stage.Skip(int64(c.done) * int64(c.used))
	if c.done == c.set.Distributions {
		return nil
	}
	numbers := c.kernel.Numbers(c.layout, c.source, c.first(), 0, c.used, c.set.Distributions)
	numbers.Jitter = hmc.Jitter(c.set.Leapfrog)
	if resumed {
		c.chains, err = c.kernel.Resume(c.state, numbers)
	} else {
		c.chains, err = c.kernel.Start(ctx, x, numbers)
	}
	if err != nil {
		return err
	}
	defer c.chains.Close()
	if !resumed {
		c.logW = make([]float64, c.layout.Size)
		if err := c.keepEnergy(); err != nil {
			return err
		}
	}
	save := func() (err error) {
		if c.state, err = c.chains.State(); err != nil {
			return err
		}
		return store.save(c)
	}
	saved := time.Now()
	for c.done < c.set.Distributions {
		if err := c.step(ctx, numbers); err != nil {
			// What is finished is kept, also when the run was stopped.
			if ctx.Err() != nil && !errors.As(err, new(*DivergedError)) {
				return errors.Join(err, save())
			}
			return err
		}
		stage.Add(int64(c.used))
		if c.done < c.set.Distributions && time.Since(saved) >= c.saveEvery() {
			if err := save(); err != nil {
				return err
			}
			saved = time.Now()
		}
	}
	if c.direction == forward {
		if err := c.keepEnergy(); err != nil {
			return err
		}
	}
	return store.save(c)
}

// keepEnergy takes the energies as they are for those at β = 1.
func (c *chainGroup) keepEnergy() error {
	energy, err := c.chains.Fetch("energy")
	c.atModel = energy.Clone()
	return err
}

func (c *chainGroup) saveEvery() time.Duration {
	if c.SaveEvery == 0 {
		return 15 * time.Second
	}
	return c.SaveEvery
}

// step takes the weight of the next step of β and, but after the last, makes a
// transition at the distribution that it leads to.
func (c *chainGroup) step(ctx context.Context, numbers *hmc.Numbers) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := c.set.Distributions
	k := c.done + 1 // the step from distribution k−1 to k
	to := k
	if c.direction == reverse {
		k = m - c.done // from k to k−1
		to = k - 1
	}
	before, after := c.ladder[k-1], c.ladder[k]
	e, err := c.chains.Fetch("energy")
	if err != nil {
		return err
	}
	r, err := c.chains.Fetch("reference")
	if err != nil {
		return err
	}
	energy, reference := tensor.Data[float32](e), tensor.Data[float32](r)
	next := slices.Clone(c.logW)
	for i := range c.used {
		next[i] += (before.Energy-after.Energy)*float64(energy[i]) + (before.Reference-after.Reference)*float64(reference[i])
		if math.IsNaN(next[i]) || math.IsInf(next[i], 0) {
			return &DivergedError{Chain: c.group*c.layout.Size + i, Distribution: k}
		}
	}
	if c.done+1 < m {
		numbers.Draw(to, func(int) float64 { return c.steps[to] })
		outcome, err := c.chains.Move(ctx, c.ladder[to])
		if err != nil {
			return fmt.Errorf("%s chains %d to %d, distribution %d: %w", c.direction, c.group*c.layout.Size, c.group*c.layout.Size+c.used-1, to, err)
		}
		for _, p := range outcome.Probability[:c.used] {
			c.accepted += float64(p)
		}
	}
	c.logW = next
	c.done++
	return nil
}
