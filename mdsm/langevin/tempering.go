package langevin

import (
	"context"
	"errors"
	"fmt"
	"math"

	"ebm/mdsm"
	"ebm/mdsm/samples"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// Tempering draws samples by parallel tempering (replica exchange): for each sample,
// chains at several temperatures go on side by side, and neighbours swap their places
// with the probability min(1, exp((1/T − 1/T')(E(x) − E(x')))), which leaves
// exp(−E/T) at every temperature invariant. A hot chain crosses between modes, and its
// places come down to the coldest, which is the sample. Source: Geyer, Markov chain
// Monte Carlo maximum likelihood (1991); Hukushima and Nemoto, J. Phys. Soc. Jpn. 65
// (1996).
type Tempering struct {
	Temperatures []float64 // T of the chains, rising; the first is that of the samples
	Every        int       // Langevin steps of each chain between swaps
	Rounds       int       // of steps and swaps
}

// TemperingName is what records and flags call it.
const TemperingName = "tempering"

// Ladder returns n temperatures from 1 to hot, each a constant multiple of the one
// before.
func Ladder(hot float64, n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = math.Pow(hot, fraction(i, n))
	}
	return list
}

func (t Tempering) validate() error {
	if len(t.Temperatures) < 2 {
		return fmt.Errorf("%d temperatures, want two or more for tempering", len(t.Temperatures))
	}
	for i, v := range t.Temperatures {
		if !(v > 0) || v > math.MaxFloat32 || i > 0 && v <= t.Temperatures[i-1] {
			return fmt.Errorf("temperatures %v, want positive numbers that rise", t.Temperatures)
		}
	}
	if t.Every < 1 || t.Rounds < 1 || t.round() > math.MaxInt32/t.Rounds {
		return fmt.Errorf("%d rounds of %d steps at each of %d temperatures, want one or more, and no more than %d steps in all", t.Rounds,
			t.Every, len(t.Temperatures), math.MaxInt32)
	}
	return nil
}

// round is the number of steps of all chains between swaps.
func (t Tempering) round() int { return t.Every * len(t.Temperatures) }

// updates are the steps of all chains in their order: in each round those of the
// coldest, then of the next.
func (t Tempering) updates(stepSize float64) []mdsm.Update {
	list := make([]mdsm.Update, 0, t.round()*t.Rounds)
	for range t.Rounds {
		for _, temperature := range t.Temperatures {
			for range t.Every {
				list = append(list, mdsm.Update{StepSize: stepSize, Temperature: temperature})
			}
		}
	}
	return list
}

// rung returns which chain makes step at.
func (t Tempering) rung(at int) int { return at / t.Every % len(t.Temperatures) }

// startLadder sets every chain of the group to where it begins, with noise of its own.
func (c *chain) startLadder() {
	if c.Tempering == nil {
		c.start(0)
		return
	}
	c.ladder = make([]*tensor.Tensor, len(c.Tempering.Temperatures))
	for r := len(c.ladder) - 1; r >= 0; r-- {
		c.start(r)
		c.ladder[r] = c.x
	}
}

// turn, after so many steps, keeps the chain that made the last of them and takes the
// one that makes the next; at the end of a round neighbours swap, and it is the coldest.
func (c *chain) turn(ctx context.Context, done int) error {
	t := c.Tempering
	if t == nil {
		return nil
	}
	c.ladder[t.rung(done-1)] = c.x
	if done%t.round() == 0 {
		if err := c.swap(ctx, done/t.round()-1); err != nil {
			return err
		}
	}
	c.x = c.ladder[t.rung(done)]
	return nil
}

// swap swaps places between neighbours, the even and the odd pairs by turns.
func (c *chain) swap(ctx context.Context, round int) error {
	energies := make([][]float32, len(c.ladder))
	for r, x := range c.ladder {
		_, e, err := c.stepper.Denoise(ctx, x, nil)
		if err != nil {
			return fmt.Errorf("energies of samples %d to %d: %w", c.index(c.lo), c.index(c.hi)-1, err)
		}
		if e == nil {
			return errors.New("the model has no energy, want one for swaps of tempering")
		}
		energies[r] = tensor.Data[float32](e)
	}
	each := tensor.Volume(c.plan.shape)
	for r := round % 2; r+1 < len(c.ladder); r += 2 {
		cold, hot := tensor.Data[float32](c.ladder[r]), tensor.Data[float32](c.ladder[r+1])
		for place := c.lo; place < c.hi; place++ {
			row := place - c.base
			u := float64(c.source.Uint64(rng.Swap, uint64(c.index(place)), uint32(round*len(c.ladder)+r))>>11) / (1 << 53)
			accepted := math.Log(u) < swapLog(c.Tempering.Temperatures[r], c.Tempering.Temperatures[r+1], energies[r][row], energies[r+1][row])
			if accepted {
				for i := row * each; i < (row+1)*each; i++ {
					cold[i], hot[i] = hot[i], cold[i]
				}
			}
			if c.seen != nil && place < c.lo+c.seen.n {
				c.seen.swaps[r].Tried++
				if accepted {
					c.seen.swaps[r].Accepted++
				}
			}
		}
	}
	return nil
}

// swapLog is the logarithm of the ratio by which a swap is accepted: that of the joint
// density exp(−E(x)/T − E(x')/T') after it and before.
func swapLog(cold, hot float64, atCold, atHot float32) float64 {
	return (1/cold - 1/hot) * (float64(atCold) - float64(atHot))
}

// newSwaps returns the counts of all neighbours, nil without tempering.
func (s Settings) newSwaps() []samples.Swap {
	if s.Tempering == nil {
		return nil
	}
	list := make([]samples.Swap, len(s.Tempering.Temperatures)-1)
	for r := range list {
		list[r].Cold, list[r].Hot = s.Tempering.Temperatures[r], s.Tempering.Temperatures[r+1]
	}
	return list
}

// ladderArrays adds the chains at all temperatures to a state, and the counts of swaps.
func (c *chain) ladderArrays(a map[string]*tensor.Tensor) {
	if c.Tempering == nil {
		return
	}
	a["ladder"] = tensor.Concat(c.ladder...)
	if c.seen != nil {
		var counts []int64
		for _, s := range c.seen.swaps {
			counts = append(counts, int64(s.Tried), int64(s.Accepted))
		}
		a["swaps"] = tensor.Of(counts, len(c.seen.swaps), 2)
	}
}

// recallLadder takes the chains of a state over, and reports whether it has them.
func (c *chain) recallLadder(a map[string]*tensor.Tensor) bool {
	if c.Tempering == nil {
		return true
	}
	all := append([]int{c.rows * len(c.ladder)}, c.plan.shape...)
	if !alike(a["ladder"], all...) {
		return false
	}
	if c.seen != nil {
		counts := a["swaps"]
		if counts == nil || counts.DType() != tensor.Int64 || counts.Len() != 2*len(c.ladder)-2 {
			return false
		}
		for r := range c.seen.swaps {
			c.seen.swaps[r].Tried = int(tensor.Data[int64](counts)[2*r])
			c.seen.swaps[r].Accepted = int(tensor.Data[int64](counts)[2*r+1])
		}
	}
	for r := range c.ladder {
		c.ladder[r] = a["ladder"].Rows(r*c.rows, (r+1)*c.rows)
	}
	return true
}
