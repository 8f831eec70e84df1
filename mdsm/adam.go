package mdsm

import (
	"fmt"
	"math"

	"ebm/models/autodiff"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Adam holds the settings of the optimiser (Kingma and Ba, "Adam", 2015, in
// the arithmetic of PyTorch's torch.optim.Adam).
type Adam struct {
	Beta1, Beta2 float64 // decay of the first and second moment
	Epsilon      float64
	// EMA is the decay of averaged weights, 0 for none. In step t it is at
	// most (1+t)/(10+t), so that early averages forget the start.
	EMA float64
}

// PaperAdam returns the paper's settings: β = (0.9, 0.95), no averaging.
func PaperAdam() Adam { return Adam{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8} }

// Validate reports settings that cannot be.
func (a Adam) Validate() error {
	unit := func(v float64) bool { return v >= 0 && v < 1 }
	if !unit(a.Beta1) || !unit(a.Beta2) || !unit(a.EMA) || !(a.Epsilon > 0) {
		return fmt.Errorf("adam with β = (%g, %g), ε = %g, average %g, want decays in [0, 1) and ε > 0", a.Beta1, a.Beta2, a.Epsilon, a.EMA)
	}
	return nil
}

// StateSuffixes returns what stands behind a parameter's name in the names of
// its optimiser state, in order: ".m", ".v" and, with averaging, ".ema".
func (a Adam) StateSuffixes() []string {
	if a.EMA > 0 {
		return []string{".m", ".v", ".ema"}
	}
	return []string{".m", ".v"}
}

// Minimise adds one update of every parameter that lowers loss, a node of
// shape [], and names the results:
//
//	grad_norm [1]               ‖scale·∇loss‖ over all parameters
//	P.next, P.m.next, P.v.next  the new weights and moments
//	P.ema.next                  the new averaged weights, if asked for
//
// The inputs learning_rate [1] and step [1] (int64, 1 for the first update)
// must be given. The gradient that Adam sees is scale·∇loss. names orders the
// results and must be the keys of params.
func (a Adam) Minimise(loss *graph.Node, scale float64, names []string, params map[string]*graph.Node, learningRate, step *graph.Node) {
	a.Update(gradients(loss, scale, names, params), names, params, learningRate, step)
}

// gradients adds scale·∇loss for each name.
func gradients(loss *graph.Node, scale float64, names []string, params map[string]*graph.Node) []*graph.Node {
	xs := make([]*graph.Node, len(names))
	for i, name := range names {
		xs[i] = params[name]
	}
	return autodiff.VJP(loss, graph.Like(loss, scale), xs...)
}

// Update adds the part of Minimise that comes after the gradients, one for
// each name.
func (a Adam) Update(grads []*graph.Node, names []string, params map[string]*graph.Node, learningRate, step *graph.Node) {
	g := learningRate.Graph()
	squares := make([]*graph.Node, len(grads))
	var norm *graph.Node
	for i, d := range grads {
		squares[i] = graph.Mul(d, d)
		if s := sumByRows(squares[i]); norm == nil {
			norm = s
		} else {
			norm = graph.Add(norm, s)
		}
	}
	g.Output("grad_norm", graph.Reshape(graph.Sqrt(norm), graph.Dims(1)))

	t := graph.Cast(step, tensor.Float64)
	// Bias corrections 1−βᵗ, in float64: βᵗ is close to 1 for small t.
	correction := func(beta float64) *graph.Node {
		if beta == 0 {
			return graph.Like(learningRate, 1)
		}
		return graph.Cast(graph.Sub(graph.Like(t, 1), graph.Exp(graph.Scale(t, math.Log(beta)))), learningRate.DType())
	}
	// rate·m/(√v/root + ε), with one division less for each weight.
	root := graph.Sqrt(correction(a.Beta2))
	rate := graph.Mul(graph.Div(learningRate, correction(a.Beta1)), root)
	epsilon := graph.Scale(root, a.Epsilon)
	var decay *graph.Node
	if a.EMA > 0 {
		warm := graph.Div(graph.Shift(t, 1), graph.Shift(t, 10))
		decay = graph.Cast(graph.Minimum(graph.Like(t, a.EMA), warm), learningRate.DType())
	}

	type update struct{ value, m, v, average *graph.Node }
	updates := make([]update, len(names))
	for i, name := range names {
		p, d := params[name], grads[i]
		state := func(suffix string) *graph.Node { return g.Input(name+suffix, p.DType(), p.Shape()) }
		m, v := state(".m"), state(".v")
		u := &updates[i]
		u.m = graph.Add(graph.Scale(m, a.Beta1), graph.Scale(d, 1-a.Beta1))
		u.v = graph.Add(graph.Scale(v, a.Beta2), graph.Scale(squares[i], 1-a.Beta2))
		denominator := graph.Add(graph.Sqrt(u.v), all(epsilon, p))
		u.value = graph.Sub(p, graph.Div(graph.Mul(all(rate, p), u.m), denominator))
		if a.EMA > 0 {
			average := state(".ema")
			u.average = graph.Add(average, graph.Mul(all(graph.Sub(graph.Like(decay, 1), decay), p), graph.Sub(u.value, average)))
		}
	}
	for i, name := range names {
		u := updates[i]
		g.Output(name+".next", u.value)
		g.Output(name+".m.next", u.m)
		g.Output(name+".v.next", u.v)
		if a.EMA > 0 {
			g.Output(name+".ema.next", u.average)
		}
	}
}

// sumByRows returns the sum of all elements, of shape [], row by row: one sum
// over all of a large weight would lose digits in float32.
func sumByRows(s *graph.Node) *graph.Node {
	if s.Rank() > 1 {
		axes := make([]int, s.Rank()-1)
		for i := range axes {
			axes[i] = i + 1
		}
		s = graph.ReduceSum(s, axes...)
	}
	return graph.ReduceSum(s)
}
