package mdsm

import (
	"fmt"
	"math"
	"slices"

	"ebm/models/energy"
	"ebm/models/graph"
)

// Transport is energy matching (Balcerak, Amiranashvili, Terpin, Shit, Bogensperger,
// Kaltenbach, Koumoutsakos and Menze, "Energy matching", 2025, arXiv 2504.10612): one
// energy V, without a time, whose gradient carries noise x₀ to data x₁ in the time from
// 0 to 1, and of which exp(−V/ε_max) is the density of the data:
//
//	L = (1/ND) Σᵢ w(tᵢ) ‖∇V(xₜ) + x₁ − x₀‖² + max(λ(mean V(x₁) − mean V(x⁻)), −Floor)
//	xₜ = (1 − t)x₀ + t x₁,  w(t) = 1 up to τ*, and then falls linearly to 0 at t = 1
//
// for x₁ of D values, pairs (x₀, x₁) of the least sum of squared distances in a batch
// ([Assign]), and ends x⁻ of chains of Steps steps
//
//	x ← x − Δt ∇V(x) + √(2ε(t)Δt) n,  t ← t + Δt
//
// from data at t = 1 and from noise at t = 0. Without λ it is the transport alone, which
// training begins with.
type Transport struct {
	Heating
	Contrast float64 // λ, 0 for transport alone
	Steps    int     // of a chain
	StepTime float64 // Δt
	Floor    float64 // 0 for none
}

// Heating is the temperature of energy matching over time: 0 up to τ*, and then rising
// linearly to ε_max at t = 1, where it stays.
type Heating struct {
	Tau     float64 // τ*, above 0 and up to 1
	Epsilon float64 // ε_max
}

// At returns ε(t).
func (h Heating) At(t float64) float64 {
	if t >= 1 {
		return h.Epsilon
	}
	return h.Epsilon * max(t-h.Tau, 0) / (1 - min(h.Tau, t))
}

// of adds ε(t) for t [N].
func (h Heating) of(t *graph.Node) *graph.Node {
	zero, one := graph.Like(t, 0), graph.Like(t, 1)
	rising := zero
	if h.Tau < 1 {
		rising = graph.Scale(graph.Maximum(graph.Shift(t, -h.Tau), zero), 1/(1-h.Tau))
	}
	// Sums of steps in float32 fall short of 1 by some last digits.
	return graph.Scale(graph.Where(graph.Less(t, graph.Like(t, 1-1e-5)), rising, one), h.Epsilon)
}

// Validate reports settings that cannot be.
func (c Transport) Validate() error {
	switch {
	case !(c.Tau > 0 && c.Tau <= 1) || !(c.Epsilon >= 0) || !(c.Contrast >= 0) || !(c.Floor >= 0):
		return fmt.Errorf("energy matching with τ* %g, ε_max %g, weight of contrast %g, floor %g, want 0 < τ* ≤ 1 and numbers from 0", c.Tau,
			c.Epsilon, c.Contrast, c.Floor)
	case c.Contrast > 0 && (c.Steps < 1 || c.Steps > 1000 || !(c.StepTime > 0)):
		return fmt.Errorf("chains of %d steps of %g in every update, want 1 to 1000 steps of a positive time", c.Steps, c.StepTime)
	}
	return nil
}

// batchLoss adds x (x₁), from (x₀) [N …] and time [N]; with λ, start [N …] and start_time
// [N], where and when chains begin, and their standard normal chain_noise [N Steps …].
func (c Transport) batchLoss(g *graph.Graph, n energy.Network) func(energy.Params) *graph.Node {
	x := inputX(g, n)
	from, time := g.Input("from", x.DType(), x.Shape()), g.Input("time", x.DType(), x.Shape()[:1])
	if c.Contrast == 0 {
		return func(params energy.Params) *graph.Node { return c.Flow(withParams(n, params), x, from, time) }
	}
	start, begin := g.Input("start", x.DType(), x.Shape()), g.Input("start_time", x.DType(), x.Shape()[:1])
	kicks := g.Input("chain_noise", x.DType(), slices.Insert(slices.Clone(x.Shape()), 1, graph.Const(c.Steps)))
	return func(params energy.Params) *graph.Node {
		of := withParams(n, params)
		return graph.Add(c.Flow(of, x, from, time), c.Contrasted(of, x, c.chain(of, start, begin, kicks)))
	}
}

func (Transport) scale() float64 { return 1 }

// Flow adds the first term of L, of shape [].
func (c Transport) Flow(energy Energy, x, from, time *graph.Node) *graph.Node {
	t := graph.BroadcastAlong(time, x.Shape(), 0)
	way := graph.Sub(x, from)
	velocity, _ := Score(energy, graph.Add(from, graph.Mul(t, way)))
	residual := graph.Sub(velocity, way)
	each := graph.ReduceMean(graph.Mul(residual, residual), behind(x.Shape())...)
	if c.Tau < 1 {
		left := graph.Scale(graph.Sub(graph.Like(time, 1), time), 1/(1-c.Tau))
		each = graph.Mul(graph.Minimum(left, graph.Like(time, 1)), each)
	}
	return batchMean(each)
}

// Contrasted adds the second term of L, of shape [], for data x and the ends of chains.
func (c Transport) Contrasted(energy Energy, x, ends *graph.Node) *graph.Node {
	difference := graph.Sub(batchMean(energy(x)), batchMean(energy(graph.StopGradient(ends))))
	contrast := graph.Scale(difference, c.Contrast)
	if c.Floor > 0 {
		contrast = graph.Maximum(contrast, graph.Like(contrast, -c.Floor))
	}
	return contrast
}

// chain adds Steps steps from start at the times begin [N] and returns where they end.
func (c Transport) chain(energy Energy, start, begin, kicks *graph.Node) *graph.Node {
	time := begin
	return chained(c.Steps, start, kicks, func(x, kick *graph.Node) *graph.Node {
		score, _ := Score(energy, x)
		size := graph.Sqrt(graph.Scale(c.of(time), 2*c.StepTime))
		time = graph.Shift(time, c.StepTime)
		return graph.Add(graph.Add(x, graph.Scale(score, c.StepTime)), graph.Mul(graph.BroadcastAlong(size, x.Shape(), 0), kick))
	})
}

// chained adds so many steps of chains, with a part of kicks [N steps …] each.
func chained(steps int, x, kicks *graph.Node, step func(x, kick *graph.Node) *graph.Node) *graph.Node {
	for k := range steps {
		x = step(x, part(kicks, k, x))
	}
	return x
}

// part returns the k-th of several things [N K …] that each x has, of x's shape.
func part(of *graph.Node, k int, x *graph.Node) *graph.Node {
	return graph.Reshape(graph.Slice(of, 1, k, k+1, 1), x.Shape())
}

// FlowHeun returns a step of Heun's method along dx = s dt for the score s = −∇V, in two
// evaluations:
//
//	x' = x + h s(x);  x ← x + h/2 (s(x) + s(x'))
//
// The second is at x', and the slope of the first is in the memory.
func FlowHeun(h float64) []Update {
	return []Update{{StepSize: math.Sqrt(2 * h), KeepScore: 1}, {StepSize: math.Sqrt(h), Memory: -h / 2}}
}

// FlowLangevin returns a step of the chains of energy matching at temperature ε.
func FlowLangevin(h, epsilon float64) Update {
	return Update{StepSize: math.Sqrt(2 * h), Temperature: epsilon}
}
