package mcmc

import (
	"errors"
	"slices"

	"ebm/mdsm/hmc"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

// arrays returns a group after so many transitions, from which it goes on to the
// same bits: the chains, their adapters [places 4] and step sizes [places], and
// the draws and counts so far.
func (g *group) arrays(at hmc.State, done int) map[string]*tensor.Tensor {
	n := g.hi - g.lo
	adapters := make([]float64, 0, 4*len(g.adapter))
	for i := range g.adapter {
		state := g.adapter[i].State()
		adapters = append(adapters, state[:]...)
	}
	var energies []float64
	divergent := make([]int64, n)
	for i, d := range g.out.Divergent {
		divergent[i] = int64(d)
		energies = append(energies, g.out.Energy[i][:g.drawn(done)]...)
	}
	return map[string]*tensor.Tensor{
		"position": tensor.Of([]int64{int64(done), int64(g.lo), int64(g.hi)}, 3),
		"x":        at.X, "energy": at.Energy, "reference": at.Reference, "score": at.Score,
		"adapters": tensor.Of(adapters, len(g.adapter), 4), "size": tensor.Of(slices.Clone(g.size), len(g.size)),
		"draws": g.out.X, "draw_energy": tensor.Of(energies, len(energies)),
		"step_size":  tensor.Of(slices.Clone(g.out.StepSize), n),
		"acceptance": tensor.Of(slices.Clone(g.out.Acceptance), n), "divergent": tensor.Of(divergent, n),
	}
}

// resume goes on with a state, if there is one of these chains, and returns the
// transitions that are done. begin was called.
func (g *group) resume(state samples.State, numbers *hmc.Numbers) (done int, err error) {
	a, err := state.Read()
	if a == nil || err != nil {
		return 0, err
	}
	begun, err := g.chains.State()
	if err != nil {
		return 0, err
	}
	now := g.arrays(begun, 0)
	p := a["position"]
	sound := like(p, now["position"])
	var position []int64
	if sound {
		position = tensor.Data[int64](p)
		if position[1] != int64(g.lo) || position[2] != int64(g.hi) {
			return 0, nil // other places are wanted
		}
	}
	n := g.hi - g.lo
	for name, t := range now {
		if name != "draw_energy" {
			sound = sound && like(a[name], t)
		}
	}
	if sound {
		done = int(position[0])
		e := a["draw_energy"]
		sound = done >= 0 && done <= g.Transitions() && e != nil && e.DType() == tensor.Float64 && e.Len() == n*g.drawn(done)
	}
	if !sound {
		state.Reject(state.Path + " does not hold a state of these chains")
		return 0, nil
	}
	at := hmc.State{X: a["x"], Energy: a["energy"], Reference: a["reference"], Score: a["score"]}
	chains, err := g.kernel.Resume(at, numbers)
	if err != nil {
		return 0, err
	}
	if err := g.chains.Close(); err != nil {
		return 0, errors.Join(err, chains.Close())
	}
	g.chains = chains
	for i, v := range slices.Collect(slices.Chunk(tensor.Data[float64](a["adapters"]), 4)) {
		g.adapter[i].Resume([4]float64(v))
	}
	g.size = tensor.Data[float64](a["size"])
	g.out.X, g.out.StepSize, g.out.Acceptance = a["draws"], tensor.Data[float64](a["step_size"]), tensor.Data[float64](a["acceptance"])
	drawn := g.drawn(done)
	for i := range n {
		g.out.Energy[i] = slices.Clone(tensor.Data[float64](a["draw_energy"])[i*drawn : (i+1)*drawn])
		g.out.Divergent[i] = int(tensor.Data[int64](a["divergent"])[i])
	}
	return done, nil
}

// drawn returns the draws of each chain in so many transitions.
func (g *group) drawn(done int) int { return max(done-len(g.Anneal)-g.Warmup, 0) / g.Thin }

// like reports whether a tensor is there, of the type and shape of another.
func like(t, other *tensor.Tensor) bool {
	return t != nil && t.DType() == other.DType() && slices.Equal(t.Shape(), other.Shape())
}
