package restore

import (
	"crypto/sha256"
	"fmt"

	"ebm/export"
	"ebm/export/session"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
)

// Files are the models that chains run through.
type Files struct {
	Chain []byte // of [Graph]
	// Fixed makes that of one step, "restore". Chains then stay in the memory of the device,
	// where one computes; nil for chains that pass through the host at every run.
	Fixed session.Fixed
}

// NewFiles exports the chain of an operator through a network, see [Graph].
func NewFiles(n energy.Network, w energy.Weights, a *Operator, sigma0 float64) (f Files, err error) {
	var g *graph.Graph
	if err := graph.Catch(func() { g = Graph(n, w, a, sigma0) }); err != nil {
		return f, err
	}
	f.Fixed = session.FixedOf(noiseInput(), map[string]func() *graph.Graph{"restore": func() *graph.Graph { return g }})
	f.Chain, err = export.Bytes(g, export.Options{})
	return f, err
}

// noiseInput is where [Graph] takes its noise.
func noiseInput() export.Counted { return export.Counted{Input: "noise"} }

func hash(file []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(file))
}

// Graph returns K updates that keep to measurements:
//
//	x, memory [N …], measured [N R], noise [K N …], updates [K mdsm.Coefficients],
//	parts [K 5 R] → x_next, memory_next [N …], energy [K N], before each update
func Graph(n energy.Network, w energy.Weights, a *Operator, sigma0 float64) *graph.Graph {
	shape, r := graph.Batch(n.InputShape()...), a.Rank()
	of := func(x *graph.Node) *graph.Node { return n.Energy(x, w.Constants(x.Graph(), n, x.DType())) }

	body := graph.New("restore_step")
	x := body.Input("x", basisType, shape)
	memory := body.Input("memory", basisType, shape)
	measured := body.Input("measured", basisType, graph.Batch(r))
	noise := body.Input("noise", basisType, shape)
	row := body.Input("row", basisType, graph.Dims(mdsm.Coefficients))
	coefficients := body.Input("parts", basisType, graph.Dims(parts, r))
	next, e := mdsm.Moving{X: x, Memory: memory}.Step(of, noise, row)
	score, _ := mdsm.Score(of, x)
	body.Output("x", keep(a, next.X, x, score, measured, noise, coefficients))
	body.Output("memory", next.Memory)
	body.Output("measured", measured)
	body.Output("energy", e)

	g := graph.New("restore")
	state := []*graph.Node{g.Input("x", basisType, shape), g.Input("memory", basisType, shape), g.Input("measured", basisType, graph.Batch(r))}
	k := graph.Sym("K")
	results := graph.Scan(body, state, []*graph.Node{
		g.Input("noise", basisType, append(graph.Shape{k}, shape...)),
		g.Input("updates", basisType, graph.Shape{k, graph.Const(mdsm.Coefficients)}),
		g.Input("parts", basisType, graph.Shape{k, graph.Const(parts), graph.Const(r)}),
	})
	g.Output("x_next", results[0])
	g.Output("memory_next", results[1])
	g.Output("energy", results[3])
	return g
}

// keep adds the measured components of moved as the coefficients say:
// moved + V(Σ coefficient·component − Vᵀmoved).
func keep(a *Operator, moved, x, score, measured, noise, coefficients *graph.Node) *graph.Node {
	shape := moved.Shape()
	flat := graph.Shape{shape[0], shape[1:].Volume()}
	v := moved.Graph().Constant(a.Basis())
	component := func(n *graph.Node) *graph.Node { return graph.MatMul(graph.Reshape(n, flat), v) }
	at := component(moved)
	sum := graph.Neg(at)
	for i, c := range []*graph.Node{at, component(x), component(score), measured, component(noise)} {
		f := graph.Reshape(graph.Slice(coefficients, 0, i, i+1, 1), graph.Shape{graph.Const(a.Rank())})
		sum = graph.Add(sum, graph.Mul(graph.BroadcastAlong(f, c.Shape(), 1), c))
	}
	return graph.Add(moved, graph.Reshape(graph.MatMul(sum, graph.Transpose(v, 1, 0)), shape))
}
