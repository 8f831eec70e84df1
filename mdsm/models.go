package mdsm

import (
	"fmt"

	"ebm/models/autodiff"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// The functions below are complete graphs with the inputs and outputs that
// exported files have. Weights are constants in all but TrainGraph. The batch
// N, and the number of steps K, are symbolic.

// bound returns a network with weights as an energy.
func bound(n energy.Network, w energy.Weights) Energy {
	return func(x *graph.Node) *graph.Node {
		return n.Energy(x, w.Constants(x.Graph(), n, x.DType()))
	}
}

func inputX(g *graph.Graph, n energy.Network) *graph.Node {
	return g.Input("x", tensor.Float32, graph.Batch(n.InputShape()...))
}

// EnergyGraph returns the graph x → energy [N].
func EnergyGraph(n energy.Network, w energy.Weights) *graph.Graph {
	g := graph.New("energy")
	g.Output("energy", bound(n, w)(inputX(g, n)))
	return g
}

// ScoreGraph returns the graph x → energy [N], score (−∇E, of x's shape).
func ScoreGraph(n energy.Network, w energy.Weights) *graph.Graph {
	g := graph.New("score")
	score, e := Score(bound(n, w), inputX(g, n))
	g.Output("energy", e)
	g.Output("score", score)
	return g
}

// HessianGraph returns the graph x, v → hvp = ∇²E(x)·v, all of x's shape.
func HessianGraph(n energy.Network, w energy.Weights) *graph.Graph {
	g := graph.New("hvp")
	x := inputX(g, n)
	v := g.Input("v", x.DType(), x.Shape())
	g.Output("hvp", autodiff.HessianVector(bound(n, w)(x), x, v))
	return g
}

// DenoiseGraph returns the graph x → energy [N], denoised (eq. 9).
func DenoiseGraph(n energy.Network, w energy.Weights, sigma0 float64) *graph.Graph {
	g := graph.New("denoise")
	clean, e := Denoise(bound(n, w), inputX(g, n), sigma0)
	g.Output("energy", e)
	g.Output("denoised", clean)
	return g
}

// SamplerGraph returns a Langevin chain of K steps (eq. 8):
//
//	x [N …], step_size [1], noise [K N …], temperature [K]
//	→ x_next [N …], energy [K N], the energy before each step
func SamplerGraph(n energy.Network, w energy.Weights) *graph.Graph {
	body := graph.New("langevin_step")
	x := inputX(body, n)
	stepSize := body.Input("step_size", x.DType(), graph.Dims(1))
	noise := body.Input("noise", x.DType(), x.Shape())
	temperature := body.Input("temperature", x.DType(), nil)
	next, e := Langevin(bound(n, w), x, noise, stepSize, temperature)
	body.Output("x", next)
	body.Output("step_size", stepSize)
	body.Output("energy", e)

	g := graph.New("sampler")
	start := inputX(g, n)
	steps := graph.Sym("K")
	noises := g.Input("noise", start.DType(), append(graph.Shape{steps}, start.Shape()...))
	temperatures := g.Input("temperature", start.DType(), graph.Shape{steps})
	size := g.Input("step_size", start.DType(), graph.Dims(1))
	results := graph.Scan(body, []*graph.Node{start, size}, []*graph.Node{noises, temperatures})
	g.Output("x_next", results[0])
	g.Output("energy", results[2])
	return g
}

// Objective holds the settings of the loss.
type Objective struct {
	Sigma0    float64 // σ₀, 0.1 in the paper
	Weighting Weighting
}

// Criterion is what a training step minimises: [Objective], or what else doc.go names.
type Criterion interface {
	// batchLoss adds the inputs that hold a batch, x [N …] first, and returns what adds
	// the loss of shape [].
	batchLoss(g *graph.Graph, n energy.Network) func(energy.Params) *graph.Node
	// scale is what the gradient of the loss is multiplied with before the optimiser
	// sees it.
	scale() float64
}

// TrainGraph returns the whole training step as one graph, of the paper's objective:
//
//	x, noise [N …], sigma [N], learning_rate [1], step [1] (int64, from 1),
//	and for every parameter P: P, P.m, P.v (and P.ema)
//	→ loss [1] (eq. 7), grad_norm [1], P.next, P.m.next, P.v.next (and P.ema.next)
//
// Adam sees the gradient of loss/σ₀⁴, as in the paper's code; grad_norm is
// the norm of that. Other criteria have their own inputs in place of noise and sigma.
func TrainGraph(n energy.Network, c Criterion, a Optimiser) *graph.Graph {
	g := graph.New("train")
	of := c.batchLoss(g, n)
	learningRate, step := scheduleInputs(g, tensor.Float32)
	params := energy.Inputs(g, n, tensor.Float32)
	loss := of(params)
	g.Output("loss", graph.Reshape(loss, graph.Dims(1)))
	Descend(a, gradients(c, 1, loss, names(n), params), names(n), params, learningRate, step)
	return g
}

// GradientGraph returns the first part of TrainGraph, up to the gradients, for one
// of a batch's shards of equal size:
//
//	x, noise [N …], sigma [N], every P → loss [1], P.grad
//
// The shards' gradients add up to that of the batch, and the batch's loss is
// the mean of theirs.
func GradientGraph(n energy.Network, c Criterion, shards int) *graph.Graph {
	g := graph.New("gradient")
	of := c.batchLoss(g, n)
	params := energy.Inputs(g, n, tensor.Float32)
	loss := of(params)
	g.Output("loss", graph.Reshape(loss, graph.Dims(1)))
	for i, d := range gradients(c, 1/float64(shards), loss, names(n), params) {
		g.Output(names(n)[i]+".grad", d)
	}
	return g
}

// UpdateGraph returns the second part of TrainGraph, for a batch in shards of
// equal size:
//
//	learning_rate, step, every P, P.grad/0 … P.grad/(shards−1), P.m, P.v (and P.ema)
//	→ grad_norm [1], P.next, P.m.next, P.v.next (and P.ema.next)
func UpdateGraph(n energy.Network, a Optimiser, shards int) *graph.Graph {
	shapes := make(map[string][]int)
	for _, p := range n.Parameters() {
		shapes[p.Name] = p.Shape
	}
	return UpdateOf(names(n), shapes, a, shards)
}

// UpdateOf is UpdateGraph for parameters with names, in order, and shapes.
func UpdateOf(names []string, shapes map[string][]int, a Optimiser, shards int) *graph.Graph {
	g := graph.New("update")
	learningRate, step := scheduleInputs(g, tensor.Float32)
	params := make(map[string]*graph.Node)
	for _, name := range names {
		params[name] = g.Input(name, tensor.Float32, graph.Dims(shapes[name]...))
	}
	var grads []*graph.Node
	for _, name := range names {
		p := params[name]
		var sum *graph.Node
		for i := range shards {
			sum = graph.Plus(sum, g.Input(fmt.Sprintf("%s.grad/%d", name, i), p.DType(), p.Shape()))
		}
		grads = append(grads, sum)
	}
	Descend(a, grads, names, params, learningRate, step)
	return g
}

func scheduleInputs(g *graph.Graph, dtype tensor.DType) (learningRate, step *graph.Node) {
	return g.Input("learning_rate", dtype, graph.Dims(1)), g.Input("step", tensor.Int64, graph.Dims(1))
}

func (o Objective) batchLoss(g *graph.Graph, n energy.Network) func(energy.Params) *graph.Node {
	x := inputX(g, n)
	noise, sigma := g.Input("noise", x.DType(), x.Shape()), g.Input("sigma", x.DType(), x.Shape()[:1])
	return func(params energy.Params) *graph.Node {
		return Loss(withParams(n, params), x, noise, sigma, o.Sigma0, o.Weighting)
	}
}

// withParams returns a network with parameters that are nodes as an energy.
func withParams(n energy.Network, params energy.Params) Energy {
	return func(x *graph.Node) *graph.Node { return n.Energy(x, params) }
}

// scale is what the gradient of the loss is multiplied with, 1/σ₀⁴.
func (o Objective) scale() float64 {
	s2 := o.Sigma0 * o.Sigma0
	return 1 / (s2 * s2)
}

func names(n energy.Network) []string {
	var list []string
	for _, p := range n.Parameters() {
		list = append(list, p.Name)
	}
	return list
}
