package mdsm

import (
	"fmt"
	"slices"

	"ebm/models/energy"
	"ebm/models/graph"
)

// ShortRun holds the settings of maximum likelihood with short-run Langevin
// dynamics, which the paper compares its cost with (section 4): the gradient of
// −log p is that of
//
//	L = mean E(x⁺) − mean E(x⁻) + λ·mean(E(x⁺)² + E(x⁻)²)
//
// at pictures x⁺ of the data with noise of level σ, and at ends x⁻ of chains of
// Steps steps of eq. (8) that begin afresh for every update (Nijkamp et al.,
// "On the Anatomy of MCMC-Based Maximum Likelihood Learning of Energy-Based
// Models", 2019). λ keeps energies near 0, which the difference alone does not
// fix (Du and Mordatch, "Implicit Generation and Modeling with Energy-Based
// Models", 2019).
type ShortRun struct {
	Steps       int     // K of the chains, 30 in the paper's comparison
	StepSize    float64 // ε
	Temperature float64 // T of the chains' noise
	Sigma       float64 // σ, the noise on data
	Regularise  float64 // λ, 0 for none
}

// Validate reports settings that cannot be.
func (s ShortRun) Validate() error {
	if s.Steps < 1 || s.Steps > 1000 {
		return fmt.Errorf("chains of %d steps in every update, want 1 to 1000", s.Steps)
	}
	if !(s.StepSize > 0) || !(s.Temperature >= 0) || !(s.Sigma >= 0) || !(s.Regularise >= 0) {
		return fmt.Errorf("chains with step size %g, temperature %g, noise on data %g, weight of energies %g, want a positive step size and "+
			"numbers from 0",
			s.StepSize, s.Temperature, s.Sigma, s.Regularise)
	}
	return nil
}

// TrainGraph returns the whole training step as one graph, chains included:
//
//	x, noise, start [N …], chain_noise [N Steps …], learning_rate [1], step [1]
//	(int64, from 1), and for every parameter P: P, P.m, P.v (and P.ema)
//	→ loss [1], grad_norm [1], P.next, P.m.next, P.v.next (and P.ema.next)
//
// noise is standard normal, start where the chains begin.
func (s ShortRun) TrainGraph(n energy.Network, a Optimiser) *graph.Graph {
	return trainStep(n, s.batchLoss, 1, a)
}

// GradientGraph returns the part of TrainGraph up to the gradients, as the
// function of that name does for the paper's objective.
func (s ShortRun) GradientGraph(n energy.Network, shards int) *graph.Graph {
	return gradientStep(n, s.batchLoss, 1/float64(shards))
}

func (s ShortRun) batchLoss(g *graph.Graph, n energy.Network) func(energy.Params) *graph.Node {
	x := inputX(g, n)
	noise, start := g.Input("noise", x.DType(), x.Shape()), g.Input("start", x.DType(), x.Shape())
	kicks := g.Input("chain_noise", x.DType(), slices.Insert(slices.Clone(x.Shape()), 1, graph.Const(s.Steps)))
	return func(params energy.Params) *graph.Node { return s.loss(withParams(n, params), x, noise, start, kicks) }
}

// loss adds L, of shape [].
func (s ShortRun) loss(energy Energy, x, noise, start, kicks *graph.Node) *graph.Node {
	plus := energy(graph.Add(x, graph.Scale(noise, s.Sigma)))
	minus := energy(graph.StopGradient(s.chain(energy, start, kicks)))
	loss := graph.Sub(batchMean(plus), batchMean(minus))
	if s.Regularise > 0 {
		squares := graph.Add(graph.Mul(plus, plus), graph.Mul(minus, minus))
		loss = graph.Add(loss, graph.Scale(batchMean(squares), s.Regularise))
	}
	return loss
}

// chain adds Steps Langevin steps from start and returns where they end.
func (s ShortRun) chain(energy Energy, start, kicks *graph.Node) *graph.Node {
	g, x := start.Graph(), start
	size := graph.Reshape(g.Scalar(x.DType(), s.StepSize), graph.Dims(1))
	temperature := g.Scalar(x.DType(), s.Temperature)
	for k := range s.Steps {
		kick := graph.Reshape(graph.Slice(kicks, 1, k, k+1, 1), x.Shape())
		x, _ = Langevin(energy, x, kick, size, temperature)
	}
	return x
}
