package energy

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"ebm/models/graph"
)

// Perceptron is an energy on points x [N In]: Layers hidden layers of Hidden
// units, or those of Widths, with softplus or another activation between them, and the
// quadratic head of the paper.
type Perceptron struct {
	In, Hidden, Layers int
	Widths             []int      // units of each hidden layer, in place of Hidden and Layers
	Activation         Activation // "" for softplus
}

// widths are the units of each hidden layer.
func (p Perceptron) widths() []int {
	if p.Widths != nil {
		return p.Widths
	}
	return slices.Repeat([]int{p.Hidden}, p.Layers)
}

// String says what the network is.
func (p Perceptron) String() string {
	return fmt.Sprintf("mlp of %d values, hidden layers of %v, %s", p.In, p.widths(), cmp.Or(p.Activation, Softplus))
}

// InputShape returns [In].
func (p Perceptron) InputShape() []int { return []int{p.In} }

// Parameters lists fc1 … fcLayers, then ln1, ln2 and lq.
func (p Perceptron) Parameters() []Parameter {
	var list []Parameter
	add := func(name string, in, out int) { list = append(list, LinearParameters(name, in, out)...) }
	in := p.In
	for i, width := range p.widths() {
		add(fmt.Sprintf("fc%d", i+1), in, width)
		in = width
	}
	for _, head := range []string{"ln1", "ln2", "lq"} {
		add(head, in, 1)
	}
	return list
}

// Energy adds E(x) [N] for points x [N In].
func (p Perceptron) Energy(x *graph.Node, params Params) *graph.Node {
	h := x
	activate := cmp.Or(p.Activation, Softplus).function()
	for i := range p.widths() {
		h = activate(Linear(h, params, fmt.Sprintf("fc%d", i+1)))
	}
	e := graph.Add(
		graph.Mul(Linear(h, params, "ln1"), Linear(h, params, "ln2")),
		Linear(graph.Mul(h, h), params, "lq"))
	return graph.Reshape(e, e.Shape()[:1])
}

// Mixture is an isotropic Gaussian mixture on points [N len(Means[0])] with
// equal weights. Its energy is −log p(x), normalised, so log Z is 0.
type Mixture struct {
	Means [][]float64
	Sigma float64 // the standard deviation of every component
}

// Energy adds −log p(x) [N]:
// p(x) = (1/K) Σₖ exp(−‖x−μₖ‖²/2σ²) / (2πσ²)^(D/2).
func (m Mixture) Energy(x *graph.Node) *graph.Node {
	shape := x.Shape()
	logs := make([]*graph.Node, len(m.Means))
	for k, mean := range m.Means {
		d := graph.Sub(x, graph.Broadcast(vector(x, mean), shape))
		logs[k] = graph.ExpandDims(graph.Scale(graph.ReduceSum(graph.Mul(d, d), 1), -1/(2*m.Sigma*m.Sigma)), 1)
	}
	logZ := math.Log(float64(len(m.Means))) + float64(len(m.Means[0]))/2*math.Log(2*math.Pi*m.Sigma*m.Sigma)
	return graph.Shift(graph.Neg(graph.LogSumExp(graph.Concat(1, logs...))), logZ)
}

// Smoothed returns the mixture after Gaussian noise of standard deviation
// sigma is added to its points, which is a mixture again.
func (m Mixture) Smoothed(sigma float64) Mixture {
	return Mixture{m.Means, math.Hypot(m.Sigma, sigma)}
}

// Rings is a density on the plane around circles about the origin:
// E(x) = −log Σₖ exp(−(‖x‖−Radii[k])²/2Sigma²), not normalised.
type Rings struct {
	Radii []float64
	Sigma float64 // the width of every ring
}

// Energy adds E(x) [N] for points x [N 2].
func (r Rings) Energy(x *graph.Node) *graph.Node {
	radius := graph.Sqrt(graph.Shift(graph.ReduceSum(graph.Mul(x, x), 1), 1e-12))
	logs := make([]*graph.Node, len(r.Radii))
	for k, rk := range r.Radii {
		d := graph.Shift(radius, -rk)
		logs[k] = graph.ExpandDims(graph.Scale(graph.Mul(d, d), -1/(2*r.Sigma*r.Sigma)), 1)
	}
	return graph.Neg(graph.LogSumExp(graph.Concat(1, logs...)))
}

// vector adds the constant [len(v)] in the type of x.
func vector(x *graph.Node, v []float64) *graph.Node {
	parts := make([]*graph.Node, len(v))
	for i, c := range v {
		parts[i] = graph.Reshape(x.Graph().Scalar(x.DType(), c), graph.Dims(1))
	}
	return graph.Concat(0, parts...)
}
