package hmc

import (
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime/parallel"
)

// Jitter returns how much the step size of a trajectory of so many leapfrog steps
// may differ from the wanted one, as a part of it. One step has nothing to close
// on and no jitter.
func Jitter(steps int) float64 {
	if steps == 1 {
		return 0
	}
	return 0.5
}

// Numbers are what the trajectories of a group take at random, and their step
// sizes.
type Numbers struct {
	// Jitter is that of step sizes, 0 for none; see the function of this name.
	Jitter float64
	// Always takes the end of every trajectory, which leaves out the correction of
	// Metropolis: with one leapfrog step it is Langevin dynamics, eq. (8).
	Always bool

	momentum, uniform, stepSize *tensor.Tensor

	source rng.Source
	each   int
	first  uint64 // index of the chain at place 0
	lo, hi int    // the places in use
}

// NewNumbers returns the numbers of a group whose place 0 has the chain first.
// Places outside [lo, hi) are not in use: their momentum and step size stay 0, so
// that they rest.
func NewNumbers(l parallel.Layout, source rng.Source, first uint64, lo, hi int) *Numbers {
	return &Numbers{
		momentum: l.New(), uniform: tensor.New(tensor.Float32, l.Size), stepSize: tensor.New(tensor.Float32, l.Size),
		source: source, each: l.Each(), first: first, lo: lo, hi: hi,
	}
}

// Draw draws the numbers of trajectory t; h has the wanted step size of the chain at
// each place.
func (n *Numbers) Draw(t int, h func(place int) float64) {
	momentum, uniform, sizes := tensor.Data[float32](n.momentum), tensor.Data[float32](n.uniform), tensor.Data[float32](n.stepSize)
	var u [2]float32
	for place := n.lo; place < n.hi; place++ {
		chain := n.first + uint64(place)
		n.source.Normal(momentum[place*n.each:(place+1)*n.each], rng.Momentum, chain, uint32(t))
		n.source.Uniform(u[:], rng.Accept, chain, uint32(t))
		if uniform[place] = u[0]; n.Always {
			uniform[place] = -1 // below any probability
		}
		sizes[place] = float32(h(place) * (1 + n.Jitter*(2*float64(u[1])-1)))
	}
}
