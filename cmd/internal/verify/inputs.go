package verify

import (
	"fmt"
	"math"
	"strings"

	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// batch holds the inputs of the comparisons: Each pictures for every noise
// level, in that order.
type batch struct {
	clean, noise, noisy *tensor.Tensor // [N …], float32
	sigma               *tensor.Tensor // [N]
}

// newBatch draws the inputs. They are made in float32, so that both sides of
// a comparison see the same.
func newBatch(shape []int, o Options) batch {
	source := rng.New(o.Seed)
	n := o.Each * len(o.Sigmas)
	all := append([]int{n}, shape...)
	b := batch{
		clean: tensor.New(tensor.Float32, all...), noise: tensor.New(tensor.Float32, all...),
		noisy: tensor.New(tensor.Float32, all...), sigma: tensor.New(tensor.Float32, n),
	}
	each := tensor.Volume(shape)
	clean, noise, noisy := tensor.Data[float32](b.clean), tensor.Data[float32](b.noise), tensor.Data[float32](b.noisy)
	for i := range n {
		from, to := i*each, (i+1)*each
		if o.Pictures != nil {
			k := i % o.Pictures.Shape()[0]
			copy(clean[from:to], tensor.Data[float32](o.Pictures.AsFloat32())[k*each:(k+1)*each])
		} else {
			source.Uniform(clean[from:to], rng.Probe, uint64(i), 0)
		}
		source.Normal(noise[from:to], rng.Probe, uint64(i), 1)
		sigma := float32(o.Sigmas[i/o.Each])
		tensor.Data[float32](b.sigma)[i] = sigma
		for j := from; j < to; j++ {
			noisy[j] = clean[j] + float32(sigma*noise[j])
		}
	}
	return b
}

func (s *session) describeInputs() string {
	what := "uniform pictures"
	if s.options.Pictures != nil {
		what = "pictures that were given"
	}
	levels := make([]string, len(s.options.Sigmas))
	for i, v := range s.options.Sigmas {
		levels[i] = fmt.Sprintf("%g", v)
	}
	text := fmt.Sprintf("%d %s of %v with noise of σ = %s", s.options.Each*len(levels), what, s.shape, strings.Join(levels, ", "))
	if r := s.options.Reference; r != nil {
		text += fmt.Sprintf("; %d pictures of the reference", r.Pictures())
	}
	return text
}

// directions returns how many random directions the differences of n points
// take, 0 for all axes: what the options say, or what costs about a budget of
// multiplications in the interpreter, a few seconds.
func (s *session) directions(n, size int, cost float64) int {
	const budget, most, axes = 2e9, 8, 16
	if s.options.Directions > 0 {
		return s.options.Directions
	}
	affordable := budget / (4 * float64(max(n, 1)) * cost) // four evaluations a direction
	if size <= axes && float64(size) <= affordable {
		return 0
	}
	return int(min(max(affordable, 1), most))
}

// multiplications estimates the cost of nodes for one example: those of their
// convolutions and products.
func multiplications(nodes []*graph.Node) float64 {
	total := 1.0
	for _, n := range nodes {
		switch n.Op() {
		case graph.OpConv, graph.OpMatMul:
			total += size(n.Shape()) * terms(n)
		case graph.OpConvInputGrad: // each element of y meets as many weights as in Conv
			total += size(n.Inputs()[0].Shape()) * terms(n)
		case graph.OpConvFilterGrad:
			total += size(n.Inputs()[1].Shape()) * size(n.Shape()[1:])
		}
	}
	return total
}

// longestSum returns the largest number of terms in a sum of an energy's
// convolutions and products, 1 if it has none.
func longestSum(nodes []*graph.Node) float64 {
	longest := 1.0
	for _, n := range nodes {
		if n.Op() == graph.OpConv || n.Op() == graph.OpMatMul {
			longest = math.Max(longest, terms(n))
		}
	}
	return longest
}

// terms is the number of products in each element of a Conv or MatMul.
func terms(n *graph.Node) float64 {
	if n.Op() == graph.OpMatMul {
		a := n.Inputs()[0].Shape()
		return size(a[len(a)-1:])
	}
	return size(n.Inputs()[1].Shape()[1:])
}

// size is the number of elements of a shape for one example.
func size(s graph.Shape) float64 {
	v := 1.0
	for _, d := range s {
		c, _ := d.Factors()
		v *= float64(c)
	}
	return v
}
