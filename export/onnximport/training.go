package onnximport

import (
	"math"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// SeedInput is the input, int64 [1], that dropout of a model read for training
// is a function of.
const SeedInput = "dropout_seed"

// Trainable returns the floating-point initialisers that the values called of, or
// without any all outputs, depend on, in the order of the file: what training may
// change. Numbers without an axis, which are rather constants of the computation
// than parameters, and running means and variances are left out.
func (m *Model) Trainable(of ...string) []string {
	if len(of) == 0 {
		for _, o := range m.Graph.Outputs() {
			of = append(of, o.Name)
		}
	}
	needed := make(map[*graph.Node]bool)
	for _, name := range of {
		if n := m.Values[name]; n != nil {
			for a := range ancestors(n) {
				needed[a] = true
			}
		}
	}
	var list []string
	for _, name := range m.Parameters {
		if n := m.Values[name]; needed[n] && n.Rank() > 0 && !m.use(name).statistics {
			list = append(list, name)
		}
	}
	return list
}

// frees reports whether an initialiser becomes an input.
func (im *importer) frees(name string) bool {
	return im.depth == 0 && (im.options.Free != nil && im.options.Free(name) || im.statistics[name])
}

// noteStatistics finds the running means and variances of a model for training.
func (im *importer) noteStatistics(g *onnxpb.GraphProto) {
	for _, n := range g.Node {
		if im.options.Training && n.GetOpType() == "BatchNormalization" && len(n.Input) == 5 {
			im.statistics[n.Input[3]], im.statistics[n.Input[4]] = true, true
		}
	}
}

// batchStatistics returns the mean and the variance [C] of x [N C …] over all
// other axes, and what the running ones become: momentum of what they are, and
// for the rest the batch's mean and variance; in a training step its estimate without
// bias, as PyTorch has it.
func (c *call) batchStatistics(x *graph.Node) (center, variance, nextMean, nextVariance *graph.Node) {
	axes := append([]int{0}, trailing(2, x.Rank())...)
	center = mean(c, x, axes)
	d := graph.Sub(x, graph.BroadcastAlong(center, x.Shape(), 1))
	variance = mean(c, graph.Mul(d, d), axes)
	n := graph.Const(1)
	for _, a := range axes {
		n = c.times(n, x.Shape()[a])
	}
	count := c.repeated(variance, n)
	less := graph.Maximum(graph.Shift(count, -1), graph.Like(count, 1)) // a single value has no variance
	momentum := c.number("momentum", 0.9)
	next := func(i int, batch *graph.Node) *graph.Node {
		old := c.x(i)
		name := c.op.inputs[i]
		n := graph.Add(graph.Scale(old, momentum), graph.Cast(graph.Scale(batch, 1-momentum), old.DType()))
		if old.InputName() == name && c.depth == 0 {
			if c.model.Renewed[name] != nil {
				c.fail("%q is the running mean or variance of two nodes", name)
			}
			c.model.Statistics = append(c.model.Statistics, name)
			c.model.Renewed[name] = n
		}
		return n
	}
	estimate := variance
	if c.options.Training {
		estimate = graph.Mul(variance, graph.Div(count, less))
	}
	return center, variance, next(3, center), next(4, estimate)
}

// drop sets elements of x to 0, each with a probability, and divides the others by
// what is left of 1. Which ones follows from the seed and the place of the node
// among those that do.
func (c *call) drop(x *graph.Node, probability float64) (y, kept *graph.Node) {
	switch {
	case !(probability >= 0 && probability <= 1):
		c.fail("dropout of %g, want a probability", probability)
	case probability == 0:
		truth := c.graph.Constant(tensor.Of([]bool{true}))
		return x, graph.Broadcast(truth, x.Shape())
	case x.Graph() != c.model.Graph:
		c.fail("dropout inside of a loop is not supported")
	}
	if c.seed == nil {
		c.seed = c.graph.Input(SeedInput, tensor.Int64, graph.Dims(1))
	}
	c.drops++
	u := graph.Reshape(uniform(c.seed, c.drops, c.volume(x.Shape())), x.Shape())
	dropped := graph.Less(u, constantLike(u, probability))
	scale := 0.0
	if probability < 1 {
		scale = 1 / (1 - probability)
	}
	zero := graph.Like(x, 0)
	return graph.Where(dropped, zero, graph.Scale(x, scale)), graph.Less(constantLike(u, math.Nextafter(probability, -1)), u)
}

// uniform adds n numbers in [0, 1), float64, that follow from a seed, a site and
// their places: x ← x·(x + a) + b modulo a prime below 2²⁶, three times, which
// float64 computes exactly.
func uniform(seed *graph.Node, site int, n graph.Dim) *graph.Node {
	const prime = 1<<26 - 5
	wrap := func(x *graph.Node) *graph.Node {
		return graph.Sub(x, graph.Scale(graph.Floor(graph.Div(x, graph.Like(x, prime))), prime))
	}
	mix := func(x *graph.Node, a, b float64) *graph.Node {
		return wrap(graph.Shift(graph.Mul(x, wrap(graph.Shift(x, a))), b))
	}
	start := wrap(graph.Cast(graph.Reshape(seed, nil), tensor.Float64))
	start = mix(mix(graph.Shift(start, math.Mod(float64(site)*40503, prime)), 7368787, 2654435), 14057, 9781)
	x := graph.Cast(graph.Iota(graph.Cast(start, tensor.Int64), n), tensor.Float64)
	x = mix(mix(mix(wrap(x), 48271+float64(site), 16807), 69621, 40692), 1223106847%prime, 69069)
	return graph.Scale(x, 1.0/prime)
}
