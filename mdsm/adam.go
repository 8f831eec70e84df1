package mdsm

import (
	"fmt"
	"math"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// Adam holds the settings of the optimiser (Kingma and Ba, "Adam", 2015, in
// the arithmetic of PyTorch's torch.optim.Adam), whose states are the moments
// ".m" and ".v".
type Adam struct {
	Beta1, Beta2 float64 // decay of the first and second moment
	Epsilon      float64
	// EMA is the decay of averaged weights, the state ".ema", 0 for none. In step t
	// it is at most (1+t)/(10+t), so that early averages forget the start.
	EMA float64
	// Decay is what each update takes away from a weight, as a share of it and of
	// the learning rate (Loshchilov and Hutter, "Decoupled weight decay
	// regularization", 2019: AdamW), 0 for nothing.
	Decay float64
}

// PaperAdam returns the paper's settings: β = (0.9, 0.95), no averaging.
func PaperAdam() Adam { return Adam{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8} }

// Validate reports settings that cannot be.
func (a Adam) Validate() error {
	if !share(a.Beta1) || !share(a.Beta2) || !share(a.EMA) || !share(a.Decay) || !(a.Epsilon > 0) {
		return fmt.Errorf("adam with β = (%g, %g), ε = %g, average %g, weight decay %g, want decays in [0, 1) and ε > 0",
			a.Beta1, a.Beta2, a.Epsilon, a.EMA, a.Decay)
	}
	return nil
}

// share reports whether v is in [0, 1).
func share(v float64) bool { return v >= 0 && v < 1 }

// String says what the optimiser is.
func (a Adam) String() string {
	text := fmt.Sprintf("adam β %g %g ε %g", a.Beta1, a.Beta2, a.Epsilon)
	if a.EMA > 0 {
		text += fmt.Sprintf(" average %g", a.EMA)
	}
	if a.Decay > 0 {
		text += fmt.Sprintf(" weight decay %g", a.Decay)
	}
	return text
}

// StateSuffixes returns ".m", ".v" and, with averaging, ".ema".
func (a Adam) StateSuffixes() []string {
	if a.EMA > 0 {
		return []string{".m", ".v", ".ema"}
	}
	return []string{".m", ".v"}
}

func (a Adam) wrapping() wrapping { return wrapping{} }

func (a Adam) rule(learningRate, step *graph.Node) rule {
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
	var forget *graph.Node
	if a.EMA > 0 {
		warm := graph.Div(graph.Shift(t, 1), graph.Shift(t, 10))
		forget = graph.Cast(graph.Minimum(graph.Like(t, a.EMA), warm), learningRate.DType())
	}
	return func(p, d, square *graph.Node, state func(string) *graph.Node) (*graph.Node, []*graph.Node) {
		m, v := state(".m"), state(".v")
		m = graph.Add(graph.Scale(m, a.Beta1), graph.Scale(d, 1-a.Beta1))
		v = graph.Add(graph.Scale(v, a.Beta2), graph.Scale(square, 1-a.Beta2))
		denominator := graph.Add(graph.Sqrt(v), all(epsilon, p))
		next := graph.Sub(decayed(p, learningRate, a.Decay), graph.Div(graph.Mul(all(rate, p), m), denominator))
		if a.EMA == 0 {
			return next, []*graph.Node{m, v}
		}
		average := state(".ema")
		average = graph.Add(average, graph.Mul(all(graph.Sub(graph.Like(forget, 1), forget), p), graph.Sub(next, average)))
		return next, []*graph.Node{m, v, average}
	}
}

// decayed returns p·(1 − rate·decay).
func decayed(p, rate *graph.Node, decay float64) *graph.Node {
	if decay == 0 {
		return p
	}
	return graph.Mul(p, all(graph.Shift(graph.Scale(rate, -decay), 1), p))
}
