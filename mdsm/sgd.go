package mdsm

import (
	"fmt"
	"math"

	"ebm/models/graph"
)

// SGD is gradient descent, with the momentum and the weight decay of PyTorch's
// torch.optim.SGD: d ← ∇ + Decay·p, m ← Momentum·m + d, p ← p − rate·m, where m is
// the state ".m". Without momentum there is no state.
type SGD struct {
	Momentum float64
	Nesterov bool // p ← p − rate·(d + Momentum·m)
	Decay    float64
}

// Validate reports settings that cannot be.
func (s SGD) Validate() error {
	if !share(s.Momentum) || !(s.Decay >= 0) || math.IsInf(s.Decay, 0) || s.Nesterov && s.Momentum == 0 {
		return fmt.Errorf("sgd with momentum %g, weight decay %g, Nesterov %v, want a momentum in [0, 1), positive for Nesterov's, and a "+
			"decay from 0",
			s.Momentum, s.Decay, s.Nesterov)
	}
	return nil
}

// String says what the optimiser is.
func (s SGD) String() string {
	return fmt.Sprintf("sgd momentum %g nesterov %v weight decay %g", s.Momentum, s.Nesterov, s.Decay)
}

// StateSuffixes returns ".m" where there is momentum.
func (s SGD) StateSuffixes() []string {
	if s.Momentum > 0 {
		return []string{".m"}
	}
	return nil
}

func (s SGD) wrapping() wrapping { return wrapping{} }

func (s SGD) rule(learningRate, _ *graph.Node) rule {
	return func(p, d, _ *graph.Node, state func(string) *graph.Node) (next *graph.Node, states []*graph.Node) {
		if s.Decay > 0 {
			d = graph.Add(d, graph.Scale(p, s.Decay))
		}
		if s.Momentum > 0 {
			m := graph.Add(graph.Scale(state(".m"), s.Momentum), d)
			states = []*graph.Node{m}
			if s.Nesterov {
				d = graph.Add(d, graph.Scale(m, s.Momentum))
			} else {
				d = m
			}
		}
		return graph.Sub(p, graph.Mul(all(learningRate, p), d)), states
	}
}

// Lion takes steps of one size in each weight, in the direction of the sign of a
// mean of gradients (Chen et al., "Symbolic discovery of optimization algorithms",
// 2023): p ← p·(1 − rate·Decay) − rate·sign(Beta1·m + (1−Beta1)·∇), then
// m ← Beta2·m + (1−Beta2)·∇, the state ".m".
type Lion struct{ Beta1, Beta2, Decay float64 }

// Validate reports settings that cannot be.
func (l Lion) Validate() error {
	if !share(l.Beta1) || !share(l.Beta2) || !share(l.Decay) {
		return fmt.Errorf("lion with β = (%g, %g) and weight decay %g, want numbers in [0, 1)", l.Beta1, l.Beta2, l.Decay)
	}
	return nil
}

// String says what the optimiser is.
func (l Lion) String() string {
	return fmt.Sprintf("lion β %g %g weight decay %g", l.Beta1, l.Beta2, l.Decay)
}

// StateSuffixes returns ".m".
func (l Lion) StateSuffixes() []string { return []string{".m"} }

func (l Lion) wrapping() wrapping { return wrapping{} }

func (l Lion) rule(learningRate, _ *graph.Node) rule {
	return func(p, d, _ *graph.Node, state func(string) *graph.Node) (*graph.Node, []*graph.Node) {
		m := state(".m")
		mix := func(beta float64) *graph.Node { return graph.Add(graph.Scale(m, beta), graph.Scale(d, 1-beta)) }
		step := graph.Mul(all(learningRate, p), sign(mix(l.Beta1)))
		return graph.Sub(decayed(p, learningRate, l.Decay), step), []*graph.Node{mix(l.Beta2)}
	}
}

// sign is −1, 0 or 1.
func sign(x *graph.Node) *graph.Node {
	zero := graph.Like(x, 0)
	return graph.Where(graph.Less(zero, x), graph.Like(x, 1), graph.Where(graph.Less(x, zero), graph.Like(x, -1), zero))
}
