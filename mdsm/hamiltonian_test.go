package mdsm_test

import (
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// given is an energy of points without parameters.
type given struct {
	shape  []int
	energy mdsm.Energy
}

func (n given) InputShape() []int                                 { return n.shape }
func (n given) Parameters() []energy.Parameter                    { return nil }
func (n given) Energy(x *graph.Node, _ energy.Params) *graph.Node { return n.energy(x) }

// hmc is one transition on a bowl mixed with a reference, in plain Go.
type hmc struct {
	quadratic
	of   mdsm.Reference
	a, b float64
}

func (q hmc) potential(x []float64) float64 {
	r := 0.0
	for _, v := range x {
		r += (v - q.of.Mean) * (v - q.of.Mean) / (2 * q.of.Sigma * q.of.Sigma)
	}
	return q.a*q.value(x) + q.b*r
}

func (q hmc) slope(x []float64) [2]float64 {
	g := q.gradient(x)
	for i := range g {
		g[i] = q.a*g[i] + q.b*(x[i]-q.of.Mean)/(q.of.Sigma*q.of.Sigma)
	}
	return g
}

func (q hmc) transition(x, p []float64, h float64, steps int) (end, momentum [2]float64, change float64) {
	end, momentum = [2]float64(x), [2]float64(p)
	hamiltonian := func() float64 {
		return q.potential(end[:]) + (momentum[0]*momentum[0]+momentum[1]*momentum[1])/2
	}
	before := hamiltonian()
	for range steps {
		g := q.slope(end[:])
		for i := range end {
			momentum[i] -= h / 2 * g[i]
			end[i] += h * momentum[i]
		}
		g = q.slope(end[:])
		for i := range end {
			momentum[i] -= h / 2 * g[i]
		}
	}
	return end, momentum, hamiltonian() - before
}

// start returns the inputs of TrajectoryGraph for points x with momenta p.
func (q hmc) start(x, p []float64, uniform, h []float64) values {
	n := len(uniform)
	energies, scores := make([]float64, n), make([]float64, 2*n)
	for i := range n {
		energies[i] = q.value(x[2*i : 2*i+2])
		g := q.gradient(x[2*i : 2*i+2])
		scores[2*i], scores[2*i+1] = -g[0], -g[1]
	}
	return values{
		"x": f64([]int{n, 2}, x...), "momentum": f64([]int{n, 2}, p...), "energy": f64([]int{n}, energies...),
		"score":   f64([]int{n, 2}, scores...),
		"uniform": f64([]int{n}, uniform...), "step_size": f64([]int{n}, h...), "energy_weight": f64([]int{1}, q.a),
		"reference_weight": f64([]int{1}, q.b),
	}
}

func trajectory(t *testing.T, q hmc, steps int) *graph.Graph {
	t.Helper()
	g, err := mdsm.TrajectoryGraph(given{[]int{2}, q.energy}, nil, q.of, steps)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Verify(); err != nil {
		t.Fatal(err)
	}
	return g
}

func testPath() hmc { return hmc{bowl(), mdsm.Reference{Mean: 0.5, Sigma: 0.8}, 0.7, 0.4} }

// TestTrajectory compares transitions of one and of several leapfrog steps,
// accepted and not, with the same in plain Go.
func TestTrajectory(t *testing.T) {
	q := testPath()
	const n = 6
	x, p := normal(1, n, 2).Float64s(), normal(2, n, 2).Float64s()
	h := []float64{0.1, 0.3, 0.5, 0.7, 0.9, 1.1}
	for _, steps := range []int{1, 2, 5} {
		for _, uniform := range []float64{0, 0.999999} {
			u := make([]float64, n)
			var next, change, probability, energies, references, scores []float64
			moved := 0
			for i := range n {
				u[i] = uniform
				from := x[2*i : 2*i+2]
				end, _, d := q.transition(from, p[2*i:2*i+2], h[i], steps)
				chance := math.Min(1, math.Exp(-d))
				if uniform >= chance {
					end = [2]float64(from)
				} else {
					moved++
				}
				g := q.gradient(end[:])
				next, scores = append(next, end[:]...), append(scores, -g[0], -g[1])
				change, probability = append(change, d), append(probability, chance)
				energies = append(energies, q.value(end[:]))
				references = append(references, hmc{of: q.of, b: 1}.potential(end[:]))
			}
			if uniform > 0 && (moved == 0 || moved == n) {
				t.Fatalf("%d of %d proposals are taken, want some of both kinds", moved, n)
			}
			g := trajectory(t, q, steps)
			in := q.start(x, p, u, h)
			for _, c := range []struct {
				run       func(testing.TB, *graph.Graph, values) values
				tolerance float64
			}{{testkit.Interpret, 1e-6}, {execute, 1e-5}} { // the graph is of float32
				out := c.run(t, g, in)
				testkit.Near(t, "x", out["x_next"], next, c.tolerance)
				testkit.Near(t, "energy", out["energy_next"], energies, c.tolerance)
				testkit.Near(t, "score", out["score_next"], scores, c.tolerance)
				testkit.Near(t, "reference", out["reference_next"], references, c.tolerance)
				testkit.Near(t, "change", out["change"], change, c.tolerance)
				testkit.Near(t, "probability", out["probability"], probability, c.tolerance)
			}
		}
	}
}

// TestTrajectoriesReturn follows a trajectory back: leapfrog with the right
// half kicks is its own inverse when the momentum is turned around.
func TestTrajectoriesReturn(t *testing.T) {
	q := testPath()
	g := graph.New("leapfrog")
	in := func(name string, shape graph.Shape) *graph.Node { return g.Input(name, tensor.Float64, shape) }
	start := mdsm.Phase{X: in("x", graph.Batch(2)), Momentum: in("momentum", graph.Batch(2)), Energy: in("energy", graph.Batch()),
		Score: in("score", graph.Batch(2))}
	u := mdsm.Mix{Energy: in("energy_weight", graph.Dims(1)), Reference: in("reference_weight", graph.Dims(1)), Of: q.of}
	end := mdsm.Leapfrog(q.energy, u, start, in("step_size", graph.Batch()), 7)
	g.Output("x", end.X)
	g.Output("momentum", end.Momentum)
	g.Output("change", u.Change(start, end))
	x, p, h := []float64{0.3, -0.7}, []float64{1.1, 0.4}, []float64{0.35}
	run := func(x, p, h []float64) values {
		in := q.start(x, p, []float64{0}, h)
		delete(in, "uniform")
		return testkit.Interpret(t, g, in)
	}
	there := run(x, p, h)
	turned := there["momentum"].Float64s()
	for i := range turned {
		turned[i] = -turned[i]
	}
	back := run(there["x"].Float64s(), turned, h)
	testkit.Near(t, "x after the way back", back["x"], x, 1e-12)
	testkit.Near(t, "momentum after the way back", back["momentum"], []float64{-p[0], -p[1]}, 1e-12)

	// The error of the energy is of second order: a half of the step, a quarter.
	coarse := there["change"].Float64s()[0]
	fine := 0.0
	{ // the same time in twice as many steps
		first := run(x, p, []float64{h[0] / 2})
		second := run(first["x"].Float64s(), first["momentum"].Float64s(), []float64{h[0] / 2})
		fine = first["change"].Float64s()[0] + second["change"].Float64s()[0]
	}
	if ratio := coarse / fine; ratio < 3 || ratio > 5.5 {
		t.Errorf("the energy changes by %g, with steps of half the size by %g, want about a quarter", coarse, fine)
	}
}

// TestMALAProposesLangevin: one leapfrog step of size ε√T at temperature T is
// eq. (8) with the momentum as its noise.
func TestMALAProposesLangevin(t *testing.T) {
	const eps, temperature = 0.2, 3.0
	q := hmc{bowl(), mdsm.Reference{Mean: 0.5, Sigma: 1}, 1 / temperature, 0}
	x, n := normal(3, 4, 2).Float64s(), normal(4, 4, 2).Float64s()
	zero, h := make([]float64, 4), make([]float64, 4)
	for i := range h {
		h[i] = eps * math.Sqrt(temperature)
	}
	out := testkit.Interpret(t, trajectory(t, q, 1), q.start(x, n, zero, h))

	g := graph.New("langevin")
	at := g.Input("x", tensor.Float64, graph.Batch(2))
	next, _ := mdsm.Langevin(q.energy, at, g.Input("noise", tensor.Float64, graph.Batch(2)),
		g.Input("step_size", tensor.Float64, graph.Dims(1)), g.Input("temperature", tensor.Float64, nil))
	g.Output("x", next)
	want := testkit.Interpret(t, g, values{"x": f64([]int{4, 2}, x...), "noise": f64([]int{4, 2}, n...), "step_size": f64([]int{1}, eps),
		"temperature": f64(nil, temperature)})
	testkit.Near(t, "x", out["x_next"], want["x"].Float64s(), 1e-6)
}

// TestMetropolis has the decisions for changes of every kind, also in ONNX
// Runtime.
func TestMetropolis(t *testing.T) {
	g := graph.New("metropolis")
	change, uniform := g.Input("change", tensor.Float32, graph.Batch()), g.Input("uniform", tensor.Float32, graph.Batch())
	accepted, probability := mdsm.Metropolis(change, uniform)
	g.Output("taken", graph.Where(accepted, graph.Like(change, 1), graph.Like(change, 0)))
	g.Output("probability", probability)
	inf, nan := math.Inf(1), math.NaN()
	in := values{
		"change":  f64([]int{9}, -2, 0, math.Ln2, math.Ln2, 1e4, inf, -inf, nan, -1e30),
		"uniform": f64([]int{9}, 0.9999, 0.9999, 0.4999, 0.5001, 0, 0, 0, 0, 0.9999),
	}
	for _, run := range []func(testing.TB, *graph.Graph, values) values{testkit.Interpret, execute} {
		out := run(t, g, in)
		testkit.Near(t, "taken", out["taken"], []float64{1, 1, 1, 0, 0, 0, 0, 0, 1}, 0)
		testkit.Near(t, "probability", out["probability"], []float64{1, 1, 0.5, 0.5, 0, 0, 0, 0, 1}, 1e-6)
	}
}

// TestDivergedTrajectoriesStay has proposals beyond the range of float32.
func TestDivergedTrajectoriesStay(t *testing.T) {
	q := testPath()
	x, p := []float64{0.3, -0.7, 1, 1}, []float64{1, 1, 1, 1}
	in := q.start(x, p, []float64{0, 0}, []float64{1e30, 0.1})
	out := execute(t, trajectory(t, q, 4), in)
	got, scores := out["x_next"].Float64s(), out["score_next"].Float64s()
	if got[0] != float64(float32(x[0])) || got[1] != float64(float32(x[1])) || out["probability"].Float64s()[0] != 0 {
		t.Errorf("a diverged trajectory ends at %v with probability %v", got[:2], out["probability"].Float64s()[0])
	}
	for i, v := range append(got, scores...) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Fatalf("element %d is %g", i, v)
		}
	}
	if out["probability"].Float64s()[1] < 0.9 {
		t.Error("the trajectory beside it is not taken")
	}
}

func TestReference(t *testing.T) {
	r := mdsm.Reference{Mean: 0.5, Sigma: 2}
	if got, want := r.LogZ(3), 1.5*math.Log(8*math.Pi); math.Abs(got-want) > 1e-14 {
		t.Errorf("log Z is %g, want %g", got, want)
	}
	g, err := mdsm.StateGraph(given{[]int{1, 2, 2}, func(x *graph.Node) *graph.Node {
		return graph.Scale(graph.ReduceSum(x,
			1, 2, 3), 3)
	}}, nil, r)
	if err != nil {
		t.Fatal(err)
	}
	out := testkit.Interpret(t, g, values{"x": f64([]int{1, 1, 2, 2}, 0.5, 1.5, -0.5, 2.5)})
	testkit.Near(t, "energy", out["energy"], []float64{12}, 1e-6)
	testkit.Near(t, "score", out["score"], []float64{-3, -3, -3, -3}, 1e-6)
	testkit.Near(t, "reference", out["reference"], []float64{6. / 8}, 1e-6)
	for _, bad := range []mdsm.Reference{{}, {Sigma: -1}, {Sigma: math.NaN()}, {Mean: math.NaN(), Sigma: 1}, {Sigma: math.Inf(1)}} {
		if _, err := mdsm.StateGraph(given{[]int{2}, bowl().energy}, nil, bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	if _, err := mdsm.TrajectoryGraph(given{[]int{2}, bowl().energy}, nil, r, 0); err == nil {
		t.Error("a trajectory without steps is accepted")
	}
}
