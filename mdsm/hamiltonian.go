package mdsm

import (
	"fmt"
	"math"

	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Reference is the isotropic normal distribution N(Mean, Sigma²) with which
// annealed importance sampling begins. Its energy is
//
//	E_ref(x) = ‖x − Mean‖² / 2Sigma²
type Reference struct {
	Mean  float64 `json:"mean"`
	Sigma float64 `json:"sigma"`
}

// Validate reports a distribution that cannot be.
func (r Reference) Validate() error {
	if math.IsNaN(r.Mean) || math.IsInf(r.Mean, 0) || !(r.Sigma > 0) || math.IsInf(r.Sigma, 0) {
		return fmt.Errorf("reference with mean %g and standard deviation %g, want finite numbers, and a positive deviation", r.Mean, r.Sigma)
	}
	return nil
}

// LogZ returns log ∫ exp(−E_ref(x)) dx for points of dim values, in nats.
func (r Reference) LogZ(dim int) float64 {
	return float64(dim) / 2 * math.Log(2*math.Pi*r.Sigma*r.Sigma)
}

// Energy adds E_ref(x) [N].
func (r Reference) Energy(x *graph.Node) *graph.Node {
	d := graph.Shift(x, -r.Mean)
	return graph.Scale(sumEach(graph.Mul(d, d)), 1/(2*r.Sigma*r.Sigma))
}

// gradient adds ∇E_ref(x).
func (r Reference) gradient(x *graph.Node) *graph.Node {
	return graph.Scale(graph.Shift(x, -r.Mean), 1/(r.Sigma*r.Sigma))
}

// Mix is the potential in which Hamiltonian dynamics moves,
//
//	U(x) = a·E(x) + b·E_ref(x)
//
// with a and b of shape [1]. The density of a model at temperature T has
// a = 1/T and b = 0; the path of annealed importance sampling has a = β/T and
// b = 1 − β.
type Mix struct {
	Energy, Reference *graph.Node // a and b
	Of                Reference
}

// slope adds ∇U(x) from the score −∇E(x).
func (m Mix) slope(x, score *graph.Node) *graph.Node {
	return graph.Sub(
		graph.Mul(all(m.Reference, x), m.Of.gradient(x)),
		graph.Mul(all(m.Energy, x), score))
}

// Phase is a batch of chains in phase space: x and momentum p [N …], and the
// energy E(x) [N] and score −∇E(x) [N …] of x.
type Phase struct{ X, Momentum, Energy, Score *graph.Node }

// Leapfrog adds L leapfrog steps of Hamiltonian dynamics with unit masses
// (Neal, "MCMC using Hamiltonian dynamics", 2011, section 2.3) as one Scan:
//
//	p ← p − h/2 ∇U(x);  L times: x ← x + h p, p ← p − h ∇U(x);  p ← p + h/2 ∇U(x)
//
// so that the last kick too is a half one. h is the step size [N], in units of
// x. There is one evaluation of ∇E for each step, because that of the start is
// known.
func Leapfrog(energy Energy, u Mix, start Phase, h *graph.Node, steps int) Phase {
	half := kick(start.Momentum, u.slope(start.X, start.Score), graph.Scale(h, 0.5))

	body := graph.New("leapfrog_step")
	in := func(name string, like *graph.Node) *graph.Node { return body.Input(name, like.DType(), like.Shape()) }
	x, p := in("x", start.X), in("momentum", start.Momentum)
	in("energy", start.Energy) // only handed on
	in("score", start.Score)
	inner := Mix{in("energy_weight", u.Energy), in("reference_weight", u.Reference), u.Of}
	size := in("step_size", h)
	fraction := body.Input("fraction", h.DType(), nil)
	x = graph.Add(x, graph.Mul(graph.BroadcastAlong(size, x.Shape(), 0), p))
	score, e := Score(energy, x)
	p = kick(p, inner.slope(x, score), graph.Mul(graph.Broadcast(fraction, size.Shape()), size))
	for _, out := range []struct {
		name string
		node *graph.Node
	}{{"x", x}, {"momentum", p}, {"energy", e}, {"score", score}, {"energy_weight", inner.Energy},
		{"reference_weight", inner.Reference}, {"step_size", size}} {
		body.Output(out.name, out.node)
	}

	fractions := make([]float64, steps) // of h, in each kick
	for i := range fractions {
		fractions[i] = 1
	}
	fractions[steps-1] = 0.5
	end := graph.Scan(body,
		[]*graph.Node{start.X, half, start.Energy, start.Score, u.Energy, u.Reference, h},
		[]*graph.Node{constant(h, fractions)})
	return Phase{X: end[0], Momentum: end[1], Energy: end[2], Score: end[3]}
}

// kick adds p − h·slope for h [N].
func kick(p, slope, h *graph.Node) *graph.Node {
	return graph.Sub(p, graph.Mul(graph.BroadcastAlong(h, p.Shape(), 0), slope))
}

// Change adds H(end) − H(start) [N] of the Hamiltonian H = U(x) + ‖p‖²/2.
// Squares are taken as differences, (a−b)(a+b), which keeps digits that the
// difference of two sums would lose in float32.
func (u Mix) Change(start, end Phase) *graph.Node {
	squares := func(a, b *graph.Node) *graph.Node { return sumEach(graph.Mul(graph.Sub(a, b), graph.Add(a, b))) }
	kinetic := graph.Scale(squares(end.Momentum, start.Momentum), 0.5)
	reference := graph.Scale(squares(graph.Shift(end.X, -u.Of.Mean), graph.Shift(start.X, -u.Of.Mean)), 1/(2*u.Of.Sigma*u.Of.Sigma))
	energy := graph.Sub(end.Energy, start.Energy)
	return graph.Add(kinetic, graph.Add(
		graph.Mul(all(u.Energy, energy), energy),
		graph.Mul(all(u.Reference, reference), reference)))
}

// Metropolis adds the decision of Metropolis et al. (1953) for a change ΔH [N]
// of the Hamiltonian and uniform numbers u [N] in [0, 1): the probability
// min(1, e^−ΔH) and whether u is below it. A change that is infinite or not a
// number, as where a trajectory has diverged, has probability 0.
func Metropolis(change, uniform *graph.Node) (accepted, probability *graph.Node) {
	zero := graph.Like(change, 0)
	p := graph.Exp(graph.Neg(graph.Maximum(change, zero)))
	finite := graph.Less(graph.Abs(change), graph.Like(change, math.MaxFloat32/2))
	probability = graph.Where(finite, p, zero)
	return graph.Less(uniform, probability), probability
}

// Trajectory adds one transition of Hamiltonian Monte Carlo: L leapfrog steps
// and the decision to take their end or to stay. With one step it is the
// Metropolis-adjusted Langevin algorithm, whose proposal is eq. (8) with
// ε√T = h (see Langevin).
func Trajectory(energy Energy, u Mix, start Phase, h, uniform *graph.Node, steps int) (next Phase, change, probability *graph.Node) {
	end := Leapfrog(energy, u, start, h, steps)
	change = u.Change(start, end)
	accepted, probability := Metropolis(change, uniform)
	choose := func(a, b *graph.Node) *graph.Node {
		return graph.Where(graph.BroadcastAlong(accepted, a.Shape(), 0), a, b)
	}
	return Phase{
		X: choose(end.X, start.X), Momentum: choose(end.Momentum, start.Momentum),
		Energy: choose(end.Energy, start.Energy), Score: choose(end.Score, start.Score),
	}, change, probability
}

// TrajectoryGraph returns one transition of Hamiltonian Monte Carlo with so
// many leapfrog steps, on the mixture a·E + b·E_ref (see Mix):
//
//	x [N …], energy [N], score [N …]: x with E(x) and −∇E(x), as StateGraph or the transition before gave them
//	momentum [N …] standard normal, uniform [N] in [0, 1), step_size [N], energy_weight [1], reference_weight [1]
//	→ x_next, energy_next, score_next, reference_next [N] (E_ref), change [N] (of the Hamiltonian), probability [N]
func TrajectoryGraph(n energy.Network, w energy.Weights, r Reference, steps int) (*graph.Graph, error) {
	if steps < 1 {
		return nil, fmt.Errorf("trajectory of %d leapfrog steps, want one or more", steps)
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	g := graph.New("trajectory")
	err := graph.Catch(func() {
		x := inputX(g, n)
		each := func(name string) *graph.Node { return g.Input(name, x.DType(), x.Shape()[:1]) }
		like := func(name string) *graph.Node { return g.Input(name, x.DType(), x.Shape()) }
		one := func(name string) *graph.Node { return g.Input(name, x.DType(), graph.Dims(1)) }
		start := Phase{X: x, Energy: each("energy"), Score: like("score"), Momentum: like("momentum")}
		uniform, h := each("uniform"), each("step_size")
		u := Mix{one("energy_weight"), one("reference_weight"), r}
		next, change, probability := Trajectory(bound(n, w), u, start, h, uniform, steps)
		g.Output("x_next", next.X)
		g.Output("energy_next", next.Energy)
		g.Output("score_next", next.Score)
		g.Output("reference_next", r.Energy(next.X))
		g.Output("change", change)
		g.Output("probability", probability)
	})
	return g, err
}

// StateGraph returns the graph x → energy [N], score, reference [N] (E_ref),
// with which a chain of TrajectoryGraph begins.
func StateGraph(n energy.Network, w energy.Weights, r Reference) (*graph.Graph, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	g := graph.New("state")
	err := graph.Catch(func() {
		x := inputX(g, n)
		score, e := Score(bound(n, w), x)
		g.Output("energy", e)
		g.Output("score", score)
		g.Output("reference", r.Energy(x))
	})
	return g, err
}

// all repeats v [1] to the shape of x.
func all(v, x *graph.Node) *graph.Node { return graph.Broadcast(graph.Reshape(v, nil), x.Shape()) }

// sumEach sums over all axes but the first.
func sumEach(x *graph.Node) *graph.Node {
	return graph.ReduceSum(x, behind(x.Shape())...)
}

// constant adds numbers in the type of x.
func constant(x *graph.Node, v []float64) *graph.Node {
	t := tensor.Of(v, len(v))
	if x.DType() == tensor.Float32 {
		t = t.AsFloat32()
	}
	return x.Graph().Constant(t)
}
