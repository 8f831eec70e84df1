package mdsm

import (
	"fmt"
	"slices"

	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Chain is a whole chain from its start to a picture.
type Chain struct {
	Mean, Sigma float64  // of the normal distribution that x begins with
	Updates     []Update // one or more
	Sigma0      float64  // σ₀ of the denoising jump at the end
	Pad         int      // rows and columns to cut off on each side
}

// plain reports whether all updates are eq. (8).
func (c Chain) plain() bool {
	return !slices.ContainsFunc(c.Updates, func(u Update) bool { return !u.Plain() })
}

// run adds the updates and the jump with noises [K+1 N …], and returns the last x
// and the energies [K+1 N] before each.
func (c Chain) run(n energy.Network, w energy.Weights, start, noises *graph.Node) (x, e *graph.Node) {
	body := graph.New("update")
	at := inputX(body, n)
	in := func(name string) *graph.Node { return body.Input(name, at.DType(), at.Shape()) }
	m := Moving{X: at, Memory: in("memory")}
	next, e := m.Step(bound(n, w), in("noise"), body.Input("row", at.DType(), graph.Dims(Coefficients)))
	body.Output("x", next.X)
	body.Output("memory", next.Memory)
	body.Output("energy", e)
	rows := start.Graph().Weight("updates", Rows(append(slices.Clone(c.Updates), Jump(c.Sigma0)), c.Sigma0))
	out := graph.Scan(body, []*graph.Node{start, graph.Like(start, 0)}, []*graph.Node{noises, rows})
	return out[0], out[2]
}

// ChainGraph returns the graph of K updates and the denoising jump, of which the last
// noise counts for nothing:
//
//	x [N …], noise [K+1 N …] → x_next [N …], energy [K+1 N], before each step
//
// A chain begins at Mean + Sigma·z for standard normal z, which is x.
func ChainGraph(n energy.Network, w energy.Weights, c Chain) (*graph.Graph, error) {
	if len(c.Updates) == 0 {
		return nil, fmt.Errorf("chain of no steps, want one or more")
	}
	var g *graph.Graph
	err := graph.Catch(func() {
		g = graph.New("sampler")
		start := inputX(g, n)
		noises := g.Input("noise", start.DType(), append(graph.Shape{graph.Const(len(c.Updates) + 1)}, start.Shape()...))
		x, e := c.run(n, w, start, noises)
		g.Output("x_next", x)
		g.Output("energy", e)
	})
	return g, err
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
	if len(c.Updates) == 0 {
		return nil, fmt.Errorf("generator of no steps, want one or more")
	}
	var g *graph.Graph
	err := graph.Catch(func() { g = generator(n, w, c) })
	return g, err
}

func generator(n energy.Network, w energy.Weights, c Chain) *graph.Graph {
	g := graph.New("generator")
	shape := n.InputShape()
	z := g.Input("z", tensor.Float32, graph.Batch(tensor.Volume(shape)))
	noises := g.Input("noise", tensor.Float32, append(graph.Shape{graph.Const(len(c.Updates) + 1)}, graph.Batch(shape...)...))
	start := graph.Scale(graph.Reshape(z, graph.Batch(shape...)), c.Sigma)
	start = graph.Add(start, graph.Like(start, c.Mean))
	var clean *graph.Node
	if c.plain() {
		clean = c.langevin(n, w, start, noises)
	} else {
		clean, _ = c.run(n, w, start, noises)
	}
	g.Output("images", bytesOf(clean, c.Pad))
	return g
}

// langevin is run for updates of eq. (8) alone.
func (c Chain) langevin(n energy.Network, w energy.Weights, start, noises *graph.Node) *graph.Node {
	body := graph.New("langevin_step")
	x := inputX(body, n)
	noise := body.Input("noise", x.DType(), x.Shape())
	stepSize := body.Input("step_size", x.DType(), graph.Dims(1))
	temperature := body.Input("temperature", x.DType(), nil)
	next, _ := Langevin(bound(n, w), x, noise, stepSize, temperature)
	body.Output("x", next)

	steps := len(c.Updates) + 1
	sizes, temperatures := tensor.New(tensor.Float32, steps, 1), tensor.New(tensor.Float32, steps)
	for i, u := range append(slices.Clone(c.Updates), Jump(c.Sigma0)) {
		tensor.Data[float32](sizes)[i] = float32(u.StepSize)
		tensor.Data[float32](temperatures)[i] = float32(u.Temperature)
	}
	g := start.Graph()
	return graph.Scan(body, []*graph.Node{start}, []*graph.Node{noises, g.Weight("step_size", sizes),
		g.Weight("temperature", temperatures)})[0]
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
