package mdsm

import (
	"fmt"
	"math"

	"ebm/models/autodiff"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Optimiser makes the next parameters of the gradients: [Adam], [SGD] or [Lion],
// or one of these [Clipped] or [Accumulated].
type Optimiser interface {
	// Validate reports settings that cannot be.
	Validate() error
	// StateSuffixes returns what stands behind a parameter's name in the names of
	// its optimiser state, in order, such as ".m" and ".v".
	StateSuffixes() []string
	// String says what the optimiser is, for records.
	String() string
	// rule adds what all parameters share, for a learning rate [1] and the number
	// of the update [1], int64 from 1.
	rule(learningRate, step *graph.Node) rule
	// wrapping is what is done to gradients before the rule, and how often.
	wrapping() wrapping
}

// rule adds the next value of a parameter p and of its states, in the order of
// StateSuffixes, for its gradient d and the square of that. state returns a state
// of p by its suffix.
type rule func(p, d, square *graph.Node, state func(suffix string) *graph.Node) (next *graph.Node, states []*graph.Node)

// wrapping is what Clipped and Accumulated say.
type wrapping struct {
	clip  float64 // the largest norm of a gradient, 0 for any
	calls int     // whose gradients make an update, 0 and 1 for one
	skips bool    // an update whose gradient is not finite
}

// Clipped scales gradients down whose norm over all parameters is above Norm, as
// PyTorch's clip_grad_norm_ does. The norm that is an output is that before.
type Clipped struct {
	Optimiser
	Norm float64
}

// Validate reports settings that cannot be.
func (c Clipped) Validate() error {
	if !(c.Norm > 0) || math.IsInf(c.Norm, 0) {
		return fmt.Errorf("gradients clipped to a norm of %g, want a positive number", c.Norm)
	}
	return c.Optimiser.Validate()
}

// String says what the optimiser is.
func (c Clipped) String() string { return fmt.Sprintf("%v, clipped at %g", c.Optimiser, c.Norm) }

func (c Clipped) wrapping() wrapping {
	w := c.Optimiser.wrapping()
	w.clip = c.Norm
	return w
}

// Accumulated makes an update of the mean gradient of Calls calls, with the last
// of them; the others change nothing but the sum, the state ".sum".
type Accumulated struct {
	Optimiser
	Calls int
}

// Validate reports settings that cannot be.
func (a Accumulated) Validate() error {
	if a.Calls < 1 {
		return fmt.Errorf("gradients of %d calls accumulated, want one or more", a.Calls)
	}
	return a.Optimiser.Validate()
}

// StateSuffixes returns those of the optimiser, and ".sum".
func (a Accumulated) StateSuffixes() []string { return append(a.Optimiser.StateSuffixes(), ".sum") }

// String says what the optimiser is.
func (a Accumulated) String() string { return fmt.Sprintf("%v, every %d calls", a.Optimiser, a.Calls) }

func (a Accumulated) wrapping() wrapping {
	w := a.Optimiser.wrapping()
	w.calls = a.Calls
	return w
}

// Minimise adds one update of every parameter that lowers loss, a node of
// shape [], and names the results:
//
//	grad_norm [1]               ‖scale·∇loss‖ over all parameters
//	P.next                      the new value of each parameter P
//	P.m.next, P.v.next, …       its new states, see StateSuffixes
//
// The inputs learning_rate [1] and step [1] (int64, 1 for the first update)
// must be given. The gradient that the optimiser sees is scale·∇loss. names orders
// the results and must be the keys of params.
func Minimise(o Optimiser, loss *graph.Node, scale float64, names []string, params map[string]*graph.Node, learningRate, step *graph.Node) {
	Descend(o, Gradients(loss, scale, names, params), names, params, learningRate, step)
}

// Gradients adds scale·∇loss by each of the parameters called names.
func Gradients(loss *graph.Node, scale float64, names []string, params map[string]*graph.Node) []*graph.Node {
	xs := make([]*graph.Node, len(names))
	for i, name := range names {
		xs[i] = params[name]
	}
	return autodiff.VJP(loss, graph.Like(loss, scale), xs...)
}

// Descend adds the part of Minimise that comes after the gradients, one for
// each name.
func Descend(o Optimiser, grads []*graph.Node, names []string, params map[string]*graph.Node, learningRate, step *graph.Node) {
	g, w := learningRate.Graph(), o.wrapping()
	turn := every(w.calls, step)
	state := func(i int) func(string) *graph.Node {
		p := params[names[i]]
		return func(suffix string) *graph.Node { return g.Input(names[i]+suffix, p.DType(), p.Shape()) }
	}
	if w.calls > 1 {
		step = turn.number
		for i, d := range grads {
			grads[i] = graph.Add(state(i)(".sum"), graph.Scale(d, 1/float64(w.calls)))
		}
	}
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
	norm = graph.Reshape(graph.Sqrt(norm), graph.Dims(1))
	g.Output("grad_norm", norm)
	if w.skips {
		turn.due = graph.Less(norm, graph.Like(norm, math.MaxFloat32))
	}
	sums := grads
	if w.clip > 0 {
		grads, squares = clipped(grads, norm, w.clip)
	}

	rule := o.rule(learningRate, step)
	results := make([][]*graph.Node, len(names))
	for i, name := range names {
		p, olds := params[name], []*graph.Node{params[name]}
		next, states := rule(p, grads[i], squares[i], func(suffix string) *graph.Node {
			olds = append(olds, state(i)(suffix))
			return olds[len(olds)-1]
		})
		results[i] = append([]*graph.Node{next}, states...)
		if turn.due != nil {
			for k, old := range olds {
				results[i][k] = turn.choose(results[i][k], old)
			}
		}
		if w.calls > 1 {
			results[i] = append(results[i], turn.choose(graph.Like(p, 0), sums[i]))
		}
	}
	suffixes := append([]string{""}, o.StateSuffixes()...)
	for i, name := range names {
		for k, n := range results[i] {
			g.Output(name+suffixes[k]+".next", n)
		}
	}
}

// clipped scales gradients down to a norm, and returns their squares too.
func clipped(grads []*graph.Node, norm *graph.Node, most float64) (scaled, squares []*graph.Node) {
	factor := graph.Minimum(graph.Like(norm, 1), graph.Div(graph.Like(norm, most), graph.Shift(norm, 1e-6)))
	for _, d := range grads {
		d = graph.Mul(d, all(factor, d))
		scaled, squares = append(scaled, d), append(squares, graph.Mul(d, d))
	}
	return scaled, squares
}

// turn says whether a call makes an update, and which one.
type turn struct{ number, due *graph.Node }

// every returns the turn of call number step, of which every n-th is due.
func every(n int, step *graph.Node) turn {
	if n <= 1 {
		return turn{}
	}
	t := graph.Cast(step, tensor.Float64)
	share := graph.Scale(t, 1/float64(n))
	whole := graph.Floor(graph.Shift(share, 0.5/float64(n))) // of updates that are made when this call is
	rest := graph.Sub(t, graph.Scale(whole, float64(n)))
	return turn{graph.Cast(whole, tensor.Int64), graph.Less(rest, graph.Like(rest, 0.5))}
}

// choose returns next when the call is due, and otherwise old.
func (t turn) choose(next, old *graph.Node) *graph.Node {
	return graph.Where(graph.Broadcast(graph.Reshape(t.due, nil), next.Shape()), next, old)
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
