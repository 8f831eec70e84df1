package samples

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
	// Swaps are those between neighbours of parallel tempering, whose Temperature and
	// Energy are then of the chains by turns; none of other samplers.
	Swaps []Swap
}

// Swap counts the swaps between the chains of two temperatures, over all samples that are
// watched.
type Swap struct {
	Cold     float64 `json:"cold"`
	Hot      float64 `json:"hot"`
	Tried    int     `json:"tried"`
	Accepted int     `json:"accepted"`
}

// Snapshot is the state of the chains after some steps.
type Snapshot struct {
	Step        int
	X, Denoised *tensor.Tensor // [Chains …], float32; Denoised is the jump from X (eq. 9)
	// Acceptance is the probability with which each chain's next step would be accepted if
	// it had the correction of MALA; nil where that is not known, as of other steps than
	// those of eq. (8), or at T = 0. Far below 1 the steps are too long.
	Acceptance []float32
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

// JoinProcesses joins the processes of consecutive chains; nil when there are none.
func JoinProcesses(parts []*Process) *Process {
	if len(parts) == 0 {
		return nil
	}
	whole := *parts[0]
	whole.Chains, whole.Energy, whole.Snapshots, whole.Swaps = 0, nil, nil, slices.Clone(parts[0].Swaps)
	for i, p := range parts {
		for r := range whole.Swaps {
			if i > 0 && len(p.Swaps) == len(whole.Swaps) {
				whole.Swaps[r].Tried += p.Swaps[r].Tried
				whole.Swaps[r].Accepted += p.Swaps[r].Accepted
			}
		}
		whole.Chains += p.Chains
		whole.Energy = append(whole.Energy, p.Energy...)
	}
	for i, s := range parts[0].Snapshots {
		var x, clean []*tensor.Tensor
		var accepted []float32
		for _, p := range parts {
			x, clean = append(x, p.Snapshots[i].X), append(clean, p.Snapshots[i].Denoised)
			accepted = append(accepted, p.Snapshots[i].Acceptance...)
		}
		if len(accepted) != whole.Chains {
			accepted = nil
		}
		whole.Snapshots = append(whole.Snapshots, Snapshot{Step: s.Step, X: tensor.Concat(x...),
			Denoised: tensor.Concat(clean...), Acceptance: accepted})
	}
	return &whole
}
