package mdsm

import (
	"fmt"
	"slices"

	"ebm/models/energy"
	"ebm/models/graph"
)

// ShortRun holds the settings of maximum likelihood with Langevin dynamics in every
// update, which the paper compares its cost with (section 4): the gradient of
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
//
// Where chains are persistent (Tieleman, "Training restricted Boltzmann machines using
// approximations to the likelihood gradient", 2008), they begin where those of earlier
// updates ended instead, which a buffer has, but for a few that begin afresh (Du and
// Mordatch, 2019): few steps then make long chains.
type ShortRun struct {
	Steps       int     // K of the chains, 30 in the paper's comparison
	StepSize    float64 // ε
	Temperature float64 // T of the chains' noise
	Sigma       float64 // σ, the noise on data
	Regularise  float64 // λ, 0 for none
	Persistent  bool    // where chains end is an output of the step, chain_end [N …]
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

// batchLoss adds x, noise, start [N …] and chain_noise [N Steps …]: noise is standard
// normal, start where the chains begin.
func (s ShortRun) batchLoss(g *graph.Graph, n energy.Network) func(energy.Params) *graph.Node {
	x := inputX(g, n)
	noise, start := g.Input("noise", x.DType(), x.Shape()), g.Input("start", x.DType(), x.Shape())
	kicks := g.Input("chain_noise", x.DType(), slices.Insert(slices.Clone(x.Shape()), 1, graph.Const(s.Steps)))
	return func(params energy.Params) *graph.Node {
		of := withParams(n, params)
		ends := graph.StopGradient(s.chain(of, start, kicks))
		if s.Persistent {
			g.Output("chain_end", ends)
		}
		return s.loss(of, x, noise, ends)
	}
}

func (s ShortRun) scale() float64 { return 1 }

// loss adds L, of shape [].
func (s ShortRun) loss(energy Energy, x, noise, ends *graph.Node) *graph.Node {
	plus, minus := energy(graph.Add(x, graph.Scale(noise, s.Sigma))), energy(ends)
	loss := graph.Sub(batchMean(plus), batchMean(minus))
	if s.Regularise > 0 {
		squares := graph.Add(graph.Mul(plus, plus), graph.Mul(minus, minus))
		loss = graph.Add(loss, graph.Scale(batchMean(squares), s.Regularise))
	}
	return loss
}

// chain adds Steps Langevin steps from start and returns where they end.
func (s ShortRun) chain(energy Energy, start, kicks *graph.Node) *graph.Node {
	g := start.Graph()
	size := graph.Reshape(g.Scalar(start.DType(), s.StepSize), graph.Dims(1))
	temperature := g.Scalar(start.DType(), s.Temperature)
	return chained(s.Steps, start, kicks, func(x, kick *graph.Node) *graph.Node {
		x, _ = Langevin(energy, x, kick, size, temperature)
		return x
	})
}
