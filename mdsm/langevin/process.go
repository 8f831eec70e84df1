package langevin

import (
	"slices"

	"ebm/models/tensor"
)

// Process is how some chains came about.
type Process struct {
	First       int         // index of the first chain's sample
	Chains      int         // number of chains
	StepSize    float64     // ε
	Temperature []float64   // of each step
	Energy      [][]float32 // of each chain, before each step; empty when the model has none
	Snapshots   []Snapshot  // in the order of their steps
}

// Snapshot is the state of the chains after some steps.
type Snapshot struct {
	Step        int
	X, Denoised *tensor.Tensor // [Chains …], float32; Denoised is the jump from X (eq. 9)
}

// MeanEnergy returns the mean energy of the chains before each step.
func (p *Process) MeanEnergy() []float64 {
	if len(p.Energy) == 0 {
		return nil
	}
	mean := make([]float64, len(p.Temperature))
	for _, chain := range p.Energy {
		for k, e := range chain {
			mean[k] += float64(e) / float64(len(p.Energy))
		}
	}
	return mean
}

// processes gathers a Process from batches.
type processes struct {
	*plan
	batches []*seen
	have    int
}

func (p *plan) newProcess() *processes { return &processes{plan: p} }

func (r *processes) add(b *batch) {
	if b.seen != nil {
		r.batches = append(r.batches, b.seen)
		r.have += b.seen.n
	}
}

// process returns what was gathered, nil when nothing was wanted.
func (r *processes) process() *Process {
	if r.Watch.Chains == 0 || r.have != r.Watch.Chains {
		return nil
	}
	p := &Process{First: r.First, Chains: r.have, StepSize: r.StepSize}
	for _, t := range r.temperature {
		p.Temperature = append(p.Temperature, float64(t))
	}
	for _, b := range r.batches {
		if len(b.energy) == 0 {
			continue
		}
		for chain := range b.n {
			energies := make([]float32, len(b.energy))
			for k, row := range b.energy {
				energies[k] = row[chain]
			}
			p.Energy = append(p.Energy, energies)
		}
	}
	for i, step := range r.Watch.Snapshots {
		var x, clean []*tensor.Tensor
		for _, b := range r.batches {
			x, clean = append(x, b.snapshots[i].x), append(clean, b.snapshots[i].clean)
		}
		p.Snapshots = append(p.Snapshots, Snapshot{Step: step, X: concatenate(x), Denoised: concatenate(clean)})
	}
	return p
}

// concatenate joins float32 tensors along the first axis.
func concatenate(parts []*tensor.Tensor) *tensor.Tensor {
	var values []float32
	n := 0
	for _, t := range parts {
		values = append(values, tensor.Data[float32](t)...)
		n += t.Shape()[0]
	}
	return tensor.Of(values, append([]int{n}, slices.Clone(parts[0].Shape()[1:])...)...)
}
