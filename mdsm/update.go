package mdsm

import (
	"math"

	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Update is one step of a sampler, which evaluates the score s = −∇E(x) once. It is
// eq. (8) with a step size of its own,
//
//	x ← x + ε²/2 s + ε √T n
//
// for standard normal noise n, and where Memory or Relative say so
//
//	x ← x + ε²/2 s + ε √T n + Memory·m + Relative·r n,  r = ‖s‖/√d
//	m ← KeepScore·s + KeepMemory·m + KeepNoise·n
//
// with a memory m of x's shape that is 0 at first, and d values of x. The energy is a
// blind denoiser (Kadkhodaie and Simoncelli, "Stochastic solutions for linear inverse
// problems using the prior implicit in a denoiser", 2021): D(x) = x + σ₀² s estimates
// the clean x at any noise level of the training, and σ₀² r that level. A sampler that
// mixes x, D(x), earlier ones and noise is therefore a list of updates.
type Update struct {
	StepSize    float64 `json:"step_size"`   // ε, in units of x
	Temperature float64 `json:"temperature"` // T

	Memory     float64 `json:"memory,omitempty"`
	Relative   float64 `json:"relative,omitempty"`
	KeepScore  float64 `json:"keep_score,omitempty"`
	KeepMemory float64 `json:"keep_memory,omitempty"`
	KeepNoise  float64 `json:"keep_noise,omitempty"`

	// Least is an r below which a chain stays where it is.
	Least float64 `json:"least,omitempty"`
	// Level is the noise level of x in the step, which given pixels have when pictures
	// are filled in; 0 is that of the temperature, σ₀√T.
	Level float64 `json:"level,omitempty"`
}

// Plain reports whether the update is eq. (8) and nothing else.
func (u Update) Plain() bool {
	return u.Memory == 0 && u.Relative == 0 && u.KeepScore == 0 && u.KeepMemory == 0 && u.KeepNoise == 0 && u.Least == 0
}

// Coefficients is the number of values in a row of an update.
const Coefficients = 9

// Row returns the coefficients of the update as UpdatesGraph takes them: those of
// s, n, m and r·n in x, of s, m and n in the next m, the least r, and the noise
// level of given pixels.
func (u Update) Row(sigma0 float64) []float32 {
	level := u.Level
	if level == 0 {
		level = sigma0 * math.Sqrt(u.Temperature)
	}
	row := make([]float32, 0, Coefficients)
	for _, v := range []float64{
		u.StepSize * u.StepSize / 2, u.StepSize * math.Sqrt(u.Temperature), u.Memory, u.Relative,
		u.KeepScore, u.KeepMemory, u.KeepNoise, u.Least, level,
	} {
		row = append(row, float32(v))
	}
	return row
}

// Rows returns the rows of updates as one tensor [K Coefficients].
func Rows(updates []Update, sigma0 float64) *tensor.Tensor {
	var values []float32
	for _, u := range updates {
		values = append(values, u.Row(sigma0)...)
	}
	return tensor.Of(values, len(updates), Coefficients)
}

// Moving is a batch of chains of updates.
type Moving struct {
	X, Memory *graph.Node // [N …]
	// Hidden is 1 where a value is filled in and 0 where it is given, of x's shape;
	// nil where all move.
	Hidden *graph.Node
}

// Step adds the update of a row [Coefficients] with standard normal noise of x's
// shape, and returns the chains after it and the energy [N] before it. Given values
// stay as they are, and have noise of the row's level while the score is evaluated;
// r is then that of the hidden ones.
func (m Moving) Step(of Energy, noise, row *graph.Node) (next Moving, e *graph.Node) {
	at := m.X
	coefficient := func(i int) *graph.Node { return all(graph.Slice(row, 0, i, i+1, 1), at) }
	term := func(i int, v *graph.Node) *graph.Node { return graph.Mul(coefficient(i), v) }
	x := at
	if m.Hidden != nil {
		given := graph.Sub(graph.Like(m.Hidden, 1), m.Hidden)
		x = graph.Add(x, graph.Mul(graph.Mul(coefficient(8), given), noise))
	}
	score, e := Score(of, x)
	r := graph.BroadcastAlong(rms(score, m.Hidden), at.Shape(), 0)
	moved := graph.Add(graph.Add(x, term(0, score)), term(1, noise))
	moved = graph.Add(graph.Add(moved, term(2, m.Memory)), graph.Mul(term(3, r), noise))
	memory := graph.Add(graph.Add(term(4, score), term(5, m.Memory)), term(6, noise))
	stays := graph.Less(r, coefficient(7))
	next = Moving{X: graph.Where(stays, at, moved), Memory: graph.Where(stays, m.Memory, memory), Hidden: m.Hidden}
	if m.Hidden != nil {
		next.X = onlyHidden(m.Hidden, next.X, at)
	}
	return next, e
}

// rms adds ‖s‖/√d [N], over the hidden values where there is a mask.
func rms(s, hidden *graph.Node) *graph.Node {
	if hidden == nil {
		return graph.Sqrt(graph.ReduceMean(graph.Mul(s, s), behind(s.Shape())...))
	}
	return graph.Sqrt(graph.Div(sumEach(graph.Mul(hidden, graph.Mul(s, s))), sumEach(hidden)))
}

// UpdatesGraph returns K updates with a memory, of all values or of hidden ones:
//
//	x, memory, hidden [N …] (1 moves, 0 is given), noise [K N …], updates [K Coefficients]
//	→ x_next, memory_next [N …], energy [K N], before each update
func UpdatesGraph(n energy.Network, w energy.Weights) *graph.Graph {
	body := graph.New("update")
	x := inputX(body, n)
	in := func(g *graph.Graph, name string) *graph.Node { return g.Input(name, x.DType(), x.Shape()) }
	m := Moving{X: x, Memory: in(body, "memory"), Hidden: in(body, "hidden")}
	next, e := m.Step(bound(n, w), in(body, "noise"), body.Input("row", x.DType(), graph.Dims(Coefficients)))
	body.Output("x", next.X)
	body.Output("memory", next.Memory)
	body.Output("hidden", m.Hidden)
	body.Output("energy", e)

	g := graph.New("updates")
	state := []*graph.Node{inputX(g, n), in(g, "memory"), in(g, "hidden")}
	steps := graph.Sym("K")
	noises := g.Input("noise", x.DType(), append(graph.Shape{steps}, x.Shape()...))
	rows := g.Input("updates", x.DType(), graph.Shape{steps, graph.Const(Coefficients)})
	results := graph.Scan(body, state, []*graph.Node{noises, rows})
	g.Output("x_next", results[0])
	g.Output("memory_next", results[1])
	g.Output("energy", results[3])
	return g
}
