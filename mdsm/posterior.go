package mdsm

import (
	"math"

	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Posterior is the objective of eq. (5) as (A3) has it, without the approximation by
// which eq. (6) and (7) follow: every clean x of the data counts for a noisy x̃ by its
// posterior under the kernel of σ₀, whichever x the noise was added to,
//
//	L = (1/N) Σᵢ l(σᵢ) ‖x̂(x̃ᵢ) − x̃ᵢ + σ₀² ∇E(x̃ᵢ)‖²,  x̃ᵢ = xᵢ + σᵢ·nᵢ
//	x̂(x̃) = Σⱼ wⱼ xⱼ / Σⱼ wⱼ,  wⱼ = exp(−‖x̃ − xⱼ‖²/2σ₀²)
//
// The mean of the squared error over the posterior, which (A3) is, differs from this by
// a variance that does not depend on E, so that both have one gradient. Where L is
// least, −∇E is the score of the Parzen density p_σ₀ at every x̃, however far from the
// data; that of eq. (7) is so at σ = σ₀ alone.
type Posterior struct {
	Objective
	Data int // number of x's of the data
}

// batchLoss adds x, noise [N …], sigma [N], and neighbours [M …], own [N] (int64), see
// Mean.
func (p Posterior) batchLoss(g *graph.Graph, n energy.Network) func(energy.Params) *graph.Node {
	x := inputX(g, n)
	noise, sigma := g.Input("noise", x.DType(), x.Shape()), g.Input("sigma", x.DType(), x.Shape()[:1])
	neighbours := g.Input("neighbours", x.DType(), append(graph.Shape{graph.Sym("M")}, x.Shape()[1:]...))
	own := g.Input("own", tensor.Int64, x.Shape()[:1])
	return func(params energy.Params) *graph.Node {
		return p.Loss(withParams(n, params), x, noise, sigma, neighbours, own)
	}
}

// Loss adds L, of shape [], for clean x and standard normal noise [N …] and σ [N].
func (p Posterior) Loss(energy Energy, x, noise, sigma, neighbours, own *graph.Node) *graph.Node {
	noisy := Perturb(x, noise, sigma)
	score, _ := Score(energy, noisy)
	clean := p.Mean(x, noisy, neighbours, own)
	return batchMean(graph.Mul(p.Weighting.Of(sigma), JumpError(clean, noisy, score, p.Sigma0)))
}

// Mean adds x̂(x̃) [N …]. neighbours [M …] are x's of the data, all or some of them that
// stand for the others; own [N] is the place of each x among them, any other number
// where it is not there. With the x itself, of weight 1, each neighbour but itself counts
// as (Data − 1)/M' x's, of M' such neighbours: with all data as neighbours the mean is
// that over the data.
func (p Posterior) Mean(x, noisy, neighbours, own *graph.Node) *graph.Node {
	flat := func(v *graph.Node) *graph.Node {
		return graph.Reshape(v, graph.Shape{v.Shape()[0], v.Shape()[1:].Volume()})
	}
	data, other, at := flat(x), flat(neighbours), flat(noisy)
	table := graph.Shape{at.Shape()[0], other.Shape()[0]}
	inverse := 1 / (p.Sigma0 * p.Sigma0)
	// −‖x̃ − xⱼ‖²/2σ₀² but for ‖x̃‖², which all have.
	near := graph.Sub(graph.MatMul(at, graph.Transpose(other, 1, 0)), graph.BroadcastAlong(halfSquare(other), table, 1))
	itself := graph.Equal(graph.BroadcastAlong(graph.Iota(x.Graph().Scalar(tensor.Int64, 0), table[1]), table, 1),
		graph.BroadcastAlong(own, table, 0))
	zero := graph.Like(near, 0)
	count := graph.ReduceSum(graph.Where(itself, zero, graph.Like(near, 1)), 1)
	each := graph.Log(graph.Div(graph.Like(count, math.Max(float64(p.Data-1), 1e-9)), graph.Maximum(count, graph.Like(count, 1))))
	near = graph.Add(graph.Scale(near, inverse), graph.BroadcastAlong(each, table, 0))
	near = graph.Where(itself, graph.Like(near, -1e30), near)
	first := graph.Scale(graph.Sub(graph.ReduceSum(graph.Mul(at, data), 1), halfSquare(data)), inverse)

	weights := graph.Exp(graph.LogSoftmax(graph.Concat(1, graph.ExpandDims(first, 1), near)))
	whole := table[1].Add(graph.Const(1))
	mean := graph.MatMul(graph.Slice(weights, 1, graph.Const(1), whole, 1), other)
	mean = graph.Add(mean, graph.Mul(graph.Broadcast(graph.Slice(weights, 1, 0, 1, 1), data.Shape()), data))
	return graph.Reshape(mean, x.Shape())
}

// halfSquare adds ‖v‖²/2 [N] for v [N D].
func halfSquare(v *graph.Node) *graph.Node {
	return graph.Scale(graph.ReduceSum(graph.Mul(v, v), 1), 0.5)
}
