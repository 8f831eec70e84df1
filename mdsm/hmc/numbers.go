package hmc

import (
	"ebm/export/session"
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

	momentum          *session.Noise
	uniform, stepSize *tensor.Tensor
}

// Numbers returns the numbers of a group whose place 0 has the chain first, for so many
// trajectories. Places outside [lo, hi) are not in use: their step size stays 0, so that
// they rest.
func (k *Kernel) Numbers(l parallel.Layout, source rng.Source, first uint64, lo, hi, trajectories int) *Numbers {
	momentum := k.device.Noise(session.Draws{Source: source, Purpose: rng.Momentum, Shape: append([]int{l.Size}, l.Shape...),
		First: first, Lo: lo, Hi: hi, Steps: trajectories}, momentumInput())
	return &Numbers{momentum: momentum, uniform: tensor.New(tensor.Float32, l.Size), stepSize: tensor.New(tensor.Float32, l.Size)}
}

// Draw draws the numbers of trajectory t; h has the wanted step size of the chain at
// each place.
func (n *Numbers) Draw(t int, h func(place int) float64) {
	uniform, sizes, d := tensor.Data[float32](n.uniform), tensor.Data[float32](n.stepSize), n.momentum.Draws
	n.momentum.Step(t)
	var u [2]float32
	for place := d.Lo; place < d.Hi; place++ {
		d.Source.Uniform(u[:], rng.Accept, d.First+uint64(place), uint32(t))
		if uniform[place] = u[0]; n.Always {
			uniform[place] = -1 // below any probability
		}
		sizes[place] = float32(h(place) * (1 + n.Jitter*(2*float64(u[1])-1)))
	}
}
