package mdsm

import (
	"fmt"
	"math"

	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Chain is a whole Langevin chain from its start to a picture.
type Chain struct {
	Mean, Sigma  float64   // of the normal distribution that x begins with
	Temperatures []float64 // T of each step, one or more
	StepSize     float64   // ε
	Sigma0       float64   // σ₀ of the denoising jump at the end
	Pad          int       // rows and columns to cut off on each side
}

// GeneratorGraph returns the graph of a whole chain of S steps and the
// denoising jump, for programs that make pictures out of latent vectors:
//
//	z [N C·H·W], noise [S+1 N C H W], both standard normal
//	→ images [N 3 h w] (uint8), clipped to [0, 1], times 255, rounded to nearest
//
// Pictures with one channel are repeated to three. The jump of eq. (9) is the
// Langevin step of eq. (8) with T = 0 and ε²/2 = σ₀², so the weights are in the
// graph once, inside the Scan, and the last noise counts for nothing.
func GeneratorGraph(n energy.Network, w energy.Weights, c Chain) (*graph.Graph, error) {
	shape := n.InputShape()
	if len(shape) != 3 || shape[0] != 1 && shape[0] != 3 || 2*c.Pad >= min(shape[1], shape[2]) || c.Pad < 0 {
		return nil, fmt.Errorf("generator of pictures %v cut by %d, want one or three channels and some pixels", shape, c.Pad)
	}
	if len(c.Temperatures) == 0 {
		return nil, fmt.Errorf("generator of no steps, want one or more")
	}
	var g *graph.Graph
	err := graph.Catch(func() { g = generator(n, w, c) })
	return g, err
}

func generator(n energy.Network, w energy.Weights, c Chain) *graph.Graph {
	body := graph.New("langevin_step")
	x := inputX(body, n)
	noise := body.Input("noise", x.DType(), x.Shape())
	stepSize := body.Input("step_size", x.DType(), graph.Dims(1))
	temperature := body.Input("temperature", x.DType(), nil)
	next, _ := Langevin(bound(n, w), x, noise, stepSize, temperature)
	body.Output("x", next)

	steps := len(c.Temperatures) + 1
	sizes, temperatures := tensor.New(tensor.Float32, steps, 1), tensor.New(tensor.Float32, steps)
	for i, t := range c.Temperatures {
		tensor.Data[float32](sizes)[i] = float32(c.StepSize)
		tensor.Data[float32](temperatures)[i] = float32(t)
	}
	tensor.Data[float32](sizes)[steps-1] = float32(c.Sigma0 * math.Sqrt2)

	g := graph.New("generator")
	shape := n.InputShape()
	z := g.Input("z", x.DType(), graph.Batch(tensor.Volume(shape)))
	noises := g.Input("noise", x.DType(), append(graph.Shape{graph.Const(steps)}, x.Shape()...))
	start := graph.Scale(graph.Reshape(z, x.Shape()), c.Sigma)
	start = graph.Add(start, graph.Like(start, c.Mean))
	clean := graph.Scan(body, []*graph.Node{start}, []*graph.Node{noises, g.Weight("step_size", sizes), g.Weight("temperature", temperatures)})[0]
	g.Output("images", bytesOf(clean, c.Pad))
	return g
}

// bytesOf returns pictures as uint8 with three channels, without their frame.
func bytesOf(x *graph.Node, pad int) *graph.Node {
	if pad > 0 {
		h, w := graph.Spatial(x)[0], graph.Spatial(x)[1]
		x = graph.Slice(graph.Slice(x, 2, pad, h-pad, 1), 3, pad, w-pad, 1)
	}
	clipped := graph.Minimum(graph.Maximum(x, graph.Like(x, 0)), graph.Like(x, 1))
	levels := graph.Scale(clipped, 255)
	levels = graph.Floor(graph.Add(levels, graph.Like(levels, 0.5))) // halves up, as samples.npz
	rgb := append(graph.Shape{}, x.Shape()...)
	rgb[1] = graph.Const(3)
	return graph.Cast(graph.Broadcast(levels, rgb), tensor.Uint8)
}
