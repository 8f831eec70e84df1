package langevin

import (
	"context"
	"fmt"
	"math"
	"slices"

	"ebm/mdsm/samples"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime/parallel"
)

// seen is what was recorded of a batch's first chains.
type seen struct {
	n         int
	energy    [][]float32 // of each step, [n]; none when the model has no energy
	snapshots []snapshot
	swaps     []samples.Swap // of each neighbours, none without tempering
}

// snapshot is a batch of chains after some steps, and its denoising jump.
type snapshot struct {
	x, clean *tensor.Tensor
	accepted []float32 // see samples.Snapshot, nil where it is not known
}

// record keeps the energies [n rows] of the watched chains in n steps from
// step at.
func (c *chain) record(energy []float32, at, n int) error {
	for k := range n {
		row := energy[k*c.rows+c.lo-c.base : k*c.rows+c.hi-c.base]
		if bad := parallel.NotFinite(row); bad >= 0 {
			return &DivergedError{Sample: c.index(c.lo + bad), Step: at + k, StepSize: c.StepSize}
		}
		if c.seen != nil {
			c.seen.energy = append(c.seen.energy, slices.Clone(row[:c.seen.n]))
		}
	}
	return nil
}

// look takes a snapshot if one is wanted after so many steps, and not there yet.
func (c *chain) look(ctx context.Context, steps int) error {
	if c.seen == nil {
		return nil
	}
	if i := slices.Index(c.Watch.Snapshots, steps); i < len(c.seen.snapshots) {
		return nil // none, or taken before the run was stopped
	}
	if err := c.fetch(steps); err != nil {
		return err
	}
	end := c.lo + c.seen.n
	taken := snapshot{x: c.places(c.x, end)}
	clean, energy, err := c.jump(ctx)
	if err != nil {
		return fmt.Errorf("snapshot after %d steps: %w", steps, err)
	}
	taken.clean = c.places(clean, end)
	if energy != nil && c.hidden == nil && c.sigma0 > 0 && steps < len(c.updates) && c.updates[steps].Plain() &&
		c.updates[steps].Temperature > 0 {
		if taken.accepted, err = c.acceptance(ctx, steps, clean, energy); err != nil {
			return fmt.Errorf("acceptance of step %d: %w", steps, err)
		}
	}
	c.seen.snapshots = append(c.seen.snapshots, taken)
	return nil
}

// acceptance returns with which probability a step of eq. (8) from x would be accepted
// with the correction of Metropolis, for the watched chains. clean and energy are those
// of x; one evaluation at the end of the step gives them there. With
// s = (D − x)/σ₀² the drift to the mean of the proposal is ε²/2σ₀² (D − x).
func (c *chain) acceptance(ctx context.Context, at int, clean, energy *tensor.Tensor) ([]float32, error) {
	u, each := c.updates[at], tensor.Volume(c.plan.shape)
	share := u.StepSize * u.StepSize / (2 * c.sigma0 * c.sigma0)
	kick := u.StepSize * math.Sqrt(u.Temperature)
	noise := make([]float32, c.x.Len())
	c.draws(rng.SampleNoise).Normal(noise, at)
	next := c.x.Clone()
	x, d, y := tensor.Data[float32](c.x), tensor.Data[float32](clean), tensor.Data[float32](next)
	for i := range y {
		y[i] += float32(share*float64(d[i]-x[i]) + kick*float64(noise[i]))
	}
	there, after, err := c.stepper.Denoise(ctx, next, nil)
	if err != nil {
		return nil, err
	}
	back, before := tensor.Data[float32](there), tensor.Data[float32](energy)
	list := make([]float32, c.seen.n)
	for k := range list {
		row := c.lo - c.base + k
		change := (float64(tensor.Data[float32](after)[row]) - float64(before[row])) / u.Temperature
		for i := row * each; i < (row+1)*each; i++ {
			forth := float64(noise[i])
			reverse := (float64(x[i]) - float64(y[i]) - share*float64(back[i]-y[i])) / kick
			change += (reverse*reverse - forth*forth) / 2
		}
		list[k] = float32(math.Exp(min(-change, 0)))
	}
	return list, nil
}

// process returns what was seen of a batch, nil when nothing was.
func (p *plan) process(b *batch) *samples.Process {
	if b.seen == nil {
		return nil
	}
	r := &samples.Process{First: b.first, Chains: b.seen.n, StepSize: p.StepSize, Swaps: b.seen.swaps}
	for _, u := range p.updates {
		r.Temperature = append(r.Temperature, float64(float32(u.Temperature)))
	}
	if len(b.seen.energy) > 0 {
		for chain := range r.Chains {
			energies := make([]float32, len(b.seen.energy))
			for k, row := range b.seen.energy {
				energies[k] = row[chain]
			}
			r.Energy = append(r.Energy, energies)
		}
	}
	for i, taken := range b.seen.snapshots {
		r.Snapshots = append(r.Snapshots, samples.Snapshot{Step: p.Watch.Snapshots[i], X: taken.x, Denoised: taken.clean,
			Acceptance: taken.accepted})
	}
	return r
}
