package mdsm

import (
	"ebm/models/energy"
	"ebm/models/graph"
)

// Clamp adds the noise of the temperature to the pixels that are given
// (section 4): x + (1−m)·σ₀√T·n for x, standard normal noise n and the mask m
// [N …], 1 where a pixel is hidden and 0 where it is given. At equilibrium at
// temperature T the model's pictures have noise of about that level, and given
// pixels without it would be unlike all that the energy was trained on.
func Clamp(x, hidden, noise, temperature *graph.Node, sigma0 float64) *graph.Node {
	level := graph.Scale(graph.Sqrt(temperature), sigma0)
	given := graph.Sub(graph.Like(hidden, 1), hidden)
	return graph.Add(x, graph.Mul(graph.Mul(graph.Broadcast(level, x.Shape()), given), noise))
}

// Inpaint adds one step of eq. (8) for the hidden pixels alone, at the picture
// whose given pixels have the noise of Clamp, and returns the new x and the
// energy [N] at that picture. Given pixels of x stay as they are. One noise
// serves both, since a pixel is either hidden or given.
func Inpaint(energy Energy, x, hidden, noise, stepSize, temperature *graph.Node, sigma0 float64) (next, e *graph.Node) {
	moved, e := Langevin(energy, Clamp(x, hidden, noise, temperature, sigma0), noise, stepSize, temperature)
	return onlyHidden(hidden, moved, x), e
}

// DenoiseHidden adds the jump of eq. (9) for the hidden pixels alone.
func DenoiseHidden(energy Energy, x, hidden *graph.Node, sigma0 float64) (clean, e *graph.Node) {
	clean, e = Denoise(energy, x, sigma0)
	return onlyHidden(hidden, clean, x), e
}

// onlyHidden takes hidden pixels of a and given ones of b.
func onlyHidden(hidden, a, b *graph.Node) *graph.Node {
	return graph.Where(graph.Less(graph.Like(hidden, 0.5), hidden), a, b)
}

// InpaintGraph returns a chain of K masked Langevin steps:
//
//	x [N …], hidden [N …] (1 hidden, 0 given), step_size [1], noise [K N …], temperature [K]
//	→ x_next [N …], energy [K N], before each step
func InpaintGraph(n energy.Network, w energy.Weights, sigma0 float64) *graph.Graph {
	body := graph.New("inpaint_step")
	x := inputX(body, n)
	hidden := body.Input("hidden", x.DType(), x.Shape())
	stepSize := body.Input("step_size", x.DType(), graph.Dims(1))
	noise := body.Input("noise", x.DType(), x.Shape())
	temperature := body.Input("temperature", x.DType(), nil)
	next, e := Inpaint(bound(n, w), x, hidden, noise, stepSize, temperature, sigma0)
	body.Output("x", next)
	body.Output("hidden", hidden)
	body.Output("step_size", stepSize)
	body.Output("energy", e)

	g := graph.New("inpaint")
	start := inputX(g, n)
	mask := g.Input("hidden", start.DType(), start.Shape())
	size := g.Input("step_size", start.DType(), graph.Dims(1))
	steps := graph.Sym("K")
	noises := g.Input("noise", start.DType(), append(graph.Shape{steps}, start.Shape()...))
	temperatures := g.Input("temperature", start.DType(), graph.Shape{steps})
	results := graph.Scan(body, []*graph.Node{start, mask, size}, []*graph.Node{noises, temperatures})
	g.Output("x_next", results[0])
	g.Output("energy", results[3])
	return g
}

// DenoiseHiddenGraph returns the graph x, hidden → energy [N], denoised: the
// jump of eq. (9) for the hidden pixels alone.
func DenoiseHiddenGraph(n energy.Network, w energy.Weights, sigma0 float64) *graph.Graph {
	g := graph.New("denoise_hidden")
	x := inputX(g, n)
	clean, e := DenoiseHidden(bound(n, w), x, g.Input("hidden", x.DType(), x.Shape()), sigma0)
	g.Output("energy", e)
	g.Output("denoised", clean)
	return g
}
