package mdsm

import (
	"fmt"
	"slices"

	"ebm/models/autodiff"
	"ebm/models/energy"
	"ebm/models/graph"
)

// ScoreMatching is score matching of the data smoothed by σ₀ (Hyvärinen, "Estimation of
// non-normalized statistical models by score matching", 2005), of the score −∇E:
//
//	L = (1/N) Σᵢ ½‖∇E(x̃ᵢ)‖² − tr ∇²E(x̃ᵢ),  x̃ᵢ = xᵢ + σ₀·nᵢ
//
// or sliced, with the mean of vᵀ∇²E v over random directions v of values ±1, whose
// expectation is the trace, in its place (Song, Garg, Shi and Ermon, "Sliced score
// matching", 2019, eq. 8). Where L is least, E is −log p_σ₀ and a constant; of any other
// E, L is larger by half the mean squared error of its score.
type ScoreMatching struct {
	Sigma0      float64
	Projections int // directions of each x, 0 for the trace itself
}

// MostTraced is the largest number of values of an x whose trace is computed, which takes
// a product with the Hessian for each.
const MostTraced = 32

// batchLoss adds x, noise [N …] and, sliced, direction [N Projections …].
func (s ScoreMatching) batchLoss(g *graph.Graph, n energy.Network) func(energy.Params) *graph.Node {
	x := inputX(g, n)
	noise := g.Input("noise", x.DType(), x.Shape())
	var directions *graph.Node
	if s.Projections > 0 {
		directions = g.Input("direction", x.DType(), slices.Insert(slices.Clone(x.Shape()), 1, graph.Const(s.Projections)))
	}
	return func(params energy.Params) *graph.Node { return s.Loss(withParams(n, params), x, noise, directions) }
}

func (ScoreMatching) scale() float64 { return 1 }

// Loss adds L, of shape [], for x and standard normal noise [N …] and directions
// [N Projections …], which the trace does without.
func (s ScoreMatching) Loss(energy Energy, x, noise, directions *graph.Node) *graph.Node {
	noisy := graph.Add(x, graph.Scale(noise, s.Sigma0))
	slope := autodiff.Gradient(energy(noisy), noisy)[0]
	count, direction := s.Projections, func(k int) *graph.Node { return part(directions, k, x) }
	if s.Projections == 0 {
		count, direction = axes(x)
	}
	var curvature *graph.Node
	for k := range count {
		v := direction(k)
		curvature = graph.Plus(curvature, sumEach(graph.Mul(v, autodiff.VJP(slope, v, noisy)[0])))
	}
	half := graph.Scale(sumEach(graph.Mul(slope, slope)), 0.5)
	return batchMean(graph.Sub(half, graph.Scale(curvature, 1/float64(max(s.Projections, 1)))))
}

// axes returns the number of values of an x, and the unit vectors along them.
func axes(x *graph.Node) (d int, axis func(k int) *graph.Node) {
	inner := x.Shape()[1:]
	d, known := inner.Volume().Constant()
	if !known || d > MostTraced {
		panic(&graph.Error{Err: fmt.Errorf("x's of %v values, want %d at most for the trace of the Hessian, or random projections",
			inner.Volume(), MostTraced)})
	}
	return d, func(k int) *graph.Node {
		unit := make([]float64, d)
		unit[k] = 1
		return graph.Broadcast(graph.Reshape(constant(x, unit), inner), x.Shape())
	}
}
