package energy

import (
	"fmt"
	"math"

	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// Density is an energy without parameters of which everything is known: what
// samplers and estimates of likelihoods are checked with.
type Density interface {
	// Dim is the number of values of a point.
	Dim() int
	// Energy adds E(x) [N] for points x [N Dim].
	Energy(x *graph.Node) *graph.Node
	// LogZ returns log ∫ exp(−E(x)) dx, in nats.
	LogZ() float64
	// Draw draws point i of the density exp(−E)/Z, from package rng's numbers
	// (Density, i).
	Draw(dst []float32, source rng.Source, i uint64)
}

// Known is a density as a network without parameters.
type Known struct{ Density }

// InputShape returns [Dim].
func (k Known) InputShape() []int { return []int{k.Dim()} }

// Parameters returns none.
func (k Known) Parameters() []Parameter { return nil }

// Energy adds E(x) [N].
func (k Known) Energy(x *graph.Node, _ Params) *graph.Node { return k.Density.Energy(x) }

// Gaussian is a normal distribution with a mean and a standard deviation for
// each value: E(x) = Σ (xᵢ − Meanᵢ)²/2Sigmaᵢ², not normalised.
type Gaussian struct{ Mean, Sigma []float64 }

// Dim returns the number of values.
func (d Gaussian) Dim() int { return len(d.Mean) }

// Energy adds E(x) [N].
func (d Gaussian) Energy(x *graph.Node) *graph.Node {
	inverse := make([]float64, len(d.Sigma))
	for i, s := range d.Sigma {
		inverse[i] = 1 / s
	}
	z := graph.Mul(graph.Sub(x, graph.Broadcast(vector(x, d.Mean), x.Shape())), graph.Broadcast(vector(x, inverse), x.Shape()))
	return graph.Scale(graph.ReduceSum(graph.Mul(z, z), 1), 0.5)
}

// LogZ returns Σ log Sigmaᵢ√2π.
func (d Gaussian) LogZ() float64 {
	sum := float64(len(d.Sigma)) / 2 * math.Log(2*math.Pi)
	for _, s := range d.Sigma {
		sum += math.Log(s)
	}
	return sum
}

// Draw draws point i.
func (d Gaussian) Draw(dst []float32, source rng.Source, i uint64) {
	source.Normal(dst, rng.Density, i, 0)
	for j, n := range dst {
		dst[j] = float32(d.Mean[j] + d.Sigma[j]*float64(n))
	}
}

// Clusters is a mixture of isotropic normal distributions with weights:
// E(x) = −log Σₖ Weightsₖ exp(−‖x − Meansₖ‖²/2Sigma²), not normalised.
type Clusters struct {
	Means   [][]float64
	Weights []float64 // positive, one for each mean
	Sigma   float64   // the standard deviation of every component
}

// Dim returns the number of values of a mean.
func (c Clusters) Dim() int { return len(c.Means[0]) }

// Energy adds E(x) [N].
func (c Clusters) Energy(x *graph.Node) *graph.Node {
	logs := make([]*graph.Node, len(c.Means))
	for k, mean := range c.Means {
		d := graph.Sub(x, graph.Broadcast(vector(x, mean), x.Shape()))
		e := graph.Scale(graph.ReduceSum(graph.Mul(d, d), 1), -1/(2*c.Sigma*c.Sigma))
		logs[k] = graph.ExpandDims(graph.Shift(e, math.Log(c.Weights[k])), 1)
	}
	return graph.Neg(graph.LogSumExp(graph.Concat(1, logs...)))
}

// LogZ returns log Σₖ Weightsₖ + Dim/2 log 2πSigma².
func (c Clusters) LogZ() float64 {
	return math.Log(c.total()) + float64(c.Dim())/2*math.Log(2*math.Pi*c.Sigma*c.Sigma)
}

func (c Clusters) total() float64 {
	sum := 0.0
	for _, w := range c.Weights {
		sum += w
	}
	return sum
}

// Draw draws point i.
func (c Clusters) Draw(dst []float32, source rng.Source, i uint64) {
	source.Normal(dst, rng.Density, i, 0)
	u := float64(source.Uint64(rng.Density, i, 1)>>11) / (1 << 53) * c.total()
	k := 0
	for ; k < len(c.Weights)-1 && u >= c.Weights[k]; k++ {
		u -= c.Weights[k]
	}
	for j, n := range dst {
		dst[j] = float32(c.Means[k][j] + c.Sigma*float64(n))
	}
}

// Toys returns the names that Toy knows.
func Toys() []string { return []string{"gaussian", "stretched", "mixture"} }

// Toy returns a known density of pictures' scale, with values around [0, 1],
// in any number of dimensions:
//
//	gaussian   isotropic, standard deviation 0.1 (the σ₀ of the paper) around points from 0.2 to 0.8
//	stretched  standard deviations from 0.05 to 0.5 in geometric steps
//	mixture    two isotropic clusters of standard deviation 0.1, with weights 0.7 and 0.3, 0.8 apart
func Toy(name string, dim int) (Density, error) {
	if dim < 1 {
		return nil, fmt.Errorf("toy density of %d dimensions, want one or more", dim)
	}
	fill := func(value func(t float64) float64) []float64 {
		v := make([]float64, dim)
		for i := range v {
			v[i] = value((float64(i) + 0.5) / float64(dim))
		}
		return v
	}
	middle := fill(func(t float64) float64 { return 0.2 + 0.6*t })
	switch name {
	case "gaussian":
		return Gaussian{middle, fill(func(float64) float64 { return 0.1 })}, nil
	case "stretched":
		return Gaussian{middle, fill(func(t float64) float64 { return 0.05 * math.Pow(10, t) })}, nil
	case "mixture":
		half := 0.4 / math.Sqrt(float64(dim)) // along the diagonal
		at := func(sign float64) []float64 { return fill(func(float64) float64 { return 0.5 + sign*half }) }
		return Clusters{[][]float64{at(-1), at(1)}, []float64{0.7, 0.3}, 0.1}, nil
	}
	return nil, fmt.Errorf("unknown toy density %q, want one of %v", name, Toys())
}

// Draws returns points [n Dim] of a density, those from 0 to n−1.
func Draws(d Density, n int, source rng.Source) *tensor.Tensor {
	x := tensor.New(tensor.Float32, n, d.Dim())
	for i := range n {
		d.Draw(tensor.Data[float32](x)[i*d.Dim():(i+1)*d.Dim()], source, uint64(i))
	}
	return x
}
