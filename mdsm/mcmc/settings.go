package mcmc

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"ebm/internal/memory"
	"ebm/mdsm/hmc"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// Method is a way to make transitions.
type Method string

// The methods.
const (
	Langevin Method = "langevin" // eq. (8) of the paper, without correction: off by the size of its steps
	MALA     Method = "mala"     // one leapfrog step, and the decision of Metropolis
	HMC      Method = "hmc"      // several of them
)

// ParseMethod returns the method called name.
func ParseMethod(name string) (Method, error) {
	switch m := Method(name); m {
	case Langevin, MALA, HMC:
		return m, nil
	}
	return "", fmt.Errorf("unknown sampler %q, want langevin, mala or hmc", name)
}

// Settings say which chains are run, and how.
type Settings struct {
	Method   Method
	Leapfrog int     // leapfrog steps of a transition, those of the trajectory's model; 1 but for HMC
	StepSize float64 // ε; where chains adapt, the one that they begin with
	Target   float64 // acceptance that chains adapt to; 0 keeps ε as it is, as Langevin must

	Temperature float64   // T of the draws
	Anneal      []float64 // temperatures of the transitions before the warm-up
	Warmup      int       // transitions in which ε is adapted, at T
	Draws       int       // of each chain
	Thin        int       // transitions for each draw

	Start Start
	Raw   bool // leave out the denoising jump of every draw

	Seed  uint64
	First int // index of the first chain
	Count int // number of chains
	// Batch bounds the chains that are computed at once, see parallel.NewLayout.
	Batch int
}

// Start is where chains begin: at Mean + Sigma·n, or at From's points + Sigma·n.
type Start struct {
	Mean, Sigma float64
	From        *tensor.Tensor // [M …], float32: chain i begins at the point i mod M
}

// Default returns settings of a method for so many chains: 1,000 transitions of
// warm-up, 250 draws of each with no transition between them, at temperature 1.
func Default(m Method, chains int) Settings {
	s := Settings{
		Method: m, Leapfrog: 1, StepSize: 0.02, Temperature: 1, Warmup: 1000, Draws: 250, Thin: 1,
		Start: Start{Mean: 0.5, Sigma: 1}, Count: chains,
	}
	if m == HMC {
		s.Leapfrog = 10
	}
	if m != Langevin {
		s.Target = hmc.Target(s.Leapfrog)
	}
	return s
}

// Validate reports the first setting that cannot be.
func (s Settings) Validate() error {
	if _, err := ParseMethod(string(s.Method)); err != nil {
		return err
	}
	if err := cmp.Or(memory.Check("chains", s.Count, 1), memory.Check("batch", s.Batch, 8), memory.Check("draws", s.Draws, 4)); err != nil {
		return err
	}
	positive := func(v float64) bool { return v > 0 && v <= math.MaxFloat32 }
	switch {
	case s.Leapfrog < 1 || s.Method != HMC && s.Leapfrog != 1:
		return fmt.Errorf("%d leapfrog steps of %s, want one or more, and one but for hmc", s.Leapfrog, s.Method)
	case !positive(s.StepSize):
		return fmt.Errorf("step size %g, want a positive number", s.StepSize)
	case !(s.Target >= 0 && s.Target < 1) || s.Method == Langevin && s.Target != 0:
		return fmt.Errorf("target acceptance %g of %s, want a number between 0 and 1, and 0 for langevin", s.Target, s.Method)
	case !positive(s.Temperature) || slices.ContainsFunc(s.Anneal, func(t float64) bool { return !positive(t) }):
		return fmt.Errorf("temperature %g after %v, want positive numbers", s.Temperature, s.Anneal)
	case s.Warmup < 0 || s.Draws < 1 || s.Thin < 1:
		return fmt.Errorf("%d transitions of warm-up, %d draws of %d transitions each, want one draw or more", s.Warmup, s.Draws, s.Thin)
	case math.IsNaN(s.Start.Mean) || math.IsInf(s.Start.Mean, 0) || !(s.Start.Sigma >= 0) || math.IsInf(s.Start.Sigma, 0):
		return fmt.Errorf("start at %g with standard deviation %g, want finite numbers, and no negative deviation", s.Start.Mean, s.Start.Sigma)
	case s.Count < 1 || s.First < 0 || s.First > rng.MaxSamples-s.Count:
		return fmt.Errorf("%d chains from index %d, want one or more, with indices from 0 to below 2^48", s.Count, s.First)
	case s.Batch < 0:
		return fmt.Errorf("batch %d: it cannot be negative", s.Batch)
	}
	if n := float64(len(s.Anneal)+s.Warmup) + float64(s.Draws)*float64(s.Thin); n > math.MaxInt32 {
		return fmt.Errorf("chains of %g transitions, want at most %d", n, math.MaxInt32)
	}
	return nil
}

// Transitions returns the number of a chain's transitions.
func (s Settings) Transitions() int { return len(s.Anneal) + s.Warmup + s.Draws*s.Thin }

// temperature returns T of transition t.
func (s Settings) temperature(t int) float64 {
	if t < len(s.Anneal) {
		return s.Anneal[t]
	}
	return s.Temperature
}
