package mdsm

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Composition is an energy made of others, all of one x:
//
//	E(x) = (Σₖ wₖ Eₖ(x)) / T − Σⱼ vⱼ log p(cⱼ|x̂) + Σᵢ (1−mᵢ)(xᵢ − yᵢ)²/2σ²
//
// The sum is a product of experts, p(x) ∝ Π pₖ(x)^(wₖ/T) (Hinton, "Training
// Products of Experts by Minimizing Contrastive Divergence", 2002). The second
// part restricts it to what classifiers take for their classes, the third to
// pictures whose given pixels are y with noise σ.
//
// Where each Eₖ is the energy of data with noise of σ₀, the sum is near such
// data that of noise σ₀√(T/Σw): see Sigma0. With x̂ = x − Sigma0² ∇Σ/T a
// classifier sees the denoised x̂, as it was trained, in place of x, at every
// temperature (see ClassTerm.Noisy).
//
// It is a network without parameters: the weights are constants of its graphs,
// which are made like any energy's.
type Composition struct {
	Terms       []Term
	Temperature float64 // T
	Classes     []ClassTerm
	Region      *Region // nil for no given pixels
}

// Term is an energy with its weight in the sum.
type Term struct {
	Network energy.Network
	Weights energy.Weights // constants of the network, nil where it has none
	Weight  float64        // wₖ; a negative one divides by the density
	Sigma0  float64        // σ₀ that the energy was trained with
}

// ClassTerm is −v·log p(class|x).
type ClassTerm struct {
	Logits Logits
	Class  int
	Weight float64 // v
	// Noisy shows x to the classifier as it is, in place of x̂.
	Noisy bool
}

// Region holds pixels to a picture: where Hidden is 0 they are the pixels of
// Picture with noise of standard deviation Sigma, where it is 1 they are free.
type Region struct {
	Picture *tensor.Tensor // [1 …] of x's shape, float32
	Hidden  *tensor.Tensor // [1 …], float32
	Sigma   float64        // in units of x
}

// Validate reports the first part of a composition that cannot be.
func (c Composition) Validate() error {
	if len(c.Terms) == 0 {
		return errors.New("a composition without an energy, want one or more")
	}
	if !(c.Temperature > 0) || math.IsInf(c.Temperature, 0) {
		return fmt.Errorf("temperature %g of a composition, want a positive number", c.Temperature)
	}
	shape := c.InputShape()
	for i, t := range c.Terms {
		if !slices.Equal(t.Network.InputShape(), shape) {
			return fmt.Errorf("energies 1 and %d of a composition take pictures of %v and %v, want one shape", i+1, shape, t.Network.InputShape())
		}
		if math.IsNaN(t.Weight) || math.IsInf(t.Weight, 0) || !(t.Sigma0 > 0) {
			return fmt.Errorf("energy %d of a composition has weight %g and sigma0 %g, want finite numbers, the second positive",
				i+1, t.Weight, t.Sigma0)
		}
		if err := t.Weights.Check(t.Network); err != nil {
			return fmt.Errorf("energy %d of a composition: %w", i+1, err)
		}
	}
	if s := c.precision(); !(s > 0) {
		return errors.New("the weights of a composition add up to nothing: no density has it as its energy")
	}
	for _, t := range c.Classes {
		if t.Logits == nil || t.Class < 0 || math.IsNaN(t.Weight) || math.IsInf(t.Weight, 0) {
			return fmt.Errorf("class %d with weight %g of a composition, want a classifier, a number from 0 and a finite weight", t.Class, t.Weight)
		}
	}
	if r := c.Region; r != nil {
		one := append([]int{1}, shape...)
		if r.Picture.DType() != tensor.Float32 || r.Hidden.DType() != tensor.Float32 || !slices.Equal(r.Picture.Shape(), one) ||
			!slices.Equal(r.Hidden.Shape(), one) || !(r.Sigma > 0) {
			return fmt.Errorf("a region of %v, hidden %v, noise %g, want float32 %v twice and a positive level", r.Picture, r.Hidden, r.Sigma, one)
		}
	}
	// Classifiers say only when they are built what they take.
	return graph.Catch(func() {
		g := graph.New("composition")
		c.Energy(inputX(g, c), nil)
	})
}

// precision is Σ wₖ/(T σ₀²), which near the data is that of the sum.
func (c Composition) precision() float64 {
	sum := 0.0
	for _, t := range c.Terms {
		sum += t.Weight / (t.Sigma0 * t.Sigma0)
	}
	return sum / c.Temperature
}

// Sigma0 is the noise level that one denoising jump takes away from samples
// of the composition: that of normal distributions of width σ₀ around one
// point, 1/√(Σ wₖ/(T σ₀²)).
func (c Composition) Sigma0() float64 { return 1 / math.Sqrt(c.precision()) }

// InputShape returns the shape of one x.
func (c Composition) InputShape() []int { return c.Terms[0].Network.InputShape() }

// Parameters returns none.
func (c Composition) Parameters() []energy.Parameter { return nil }

// Energy adds E(x) [N].
func (c Composition) Energy(x *graph.Node, _ energy.Params) *graph.Node {
	sum := c.sum(x)
	var clean *graph.Node
	for _, t := range c.Classes {
		seen := x
		if !t.Noisy {
			if clean == nil {
				clean, _ = Denoise(c.sum, x, c.Sigma0())
			}
			seen = clean
		}
		sum = graph.Add(sum, t.energy(seen))
	}
	if c.Region != nil {
		sum = graph.Add(sum, c.Region.energy(x))
	}
	return sum
}

// sum adds (Σₖ wₖ Eₖ(x)) / T.
func (c Composition) sum(x *graph.Node) *graph.Node {
	var sum *graph.Node
	for _, t := range c.Terms {
		sum = graph.Plus(sum, graph.Scale(bound(t.Network, t.Weights)(x), t.Weight/c.Temperature))
	}
	return sum
}

// energy adds Σᵢ (1−mᵢ)(xᵢ − yᵢ)²/2σ² [N].
func (r Region) energy(x *graph.Node) *graph.Node {
	g, shape := x.Graph(), x.Shape()
	constant := func(t *tensor.Tensor) *graph.Node {
		if x.DType() == tensor.Float64 {
			t = t.AsFloat64()
		}
		return graph.BroadcastAlong(g.Constant(t.Reshape(t.Shape()[1:]...)), shape, behind(shape)...)
	}
	given := graph.Sub(graph.Like(x, 1), constant(r.Hidden))
	off := graph.Mul(given, graph.Sub(x, constant(r.Picture)))
	return graph.Scale(sumEach(graph.Mul(off, off)), 1/(2*r.Sigma*r.Sigma))
}

// behind returns the axes after the batch.
func behind(s graph.Shape) []int {
	var axes []int
	for i := 1; i < len(s); i++ {
		axes = append(axes, i)
	}
	return axes
}
