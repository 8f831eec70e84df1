package export_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/autodiff"
	g "ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
)

// grower adds random nodes to a graph. Values stay around 1 so that float32
// and float64 can be compared, and far from where functions jump only by
// chance: see near.
type grower struct {
	rng   *rand.Rand
	nodes []*g.Node // pictures [N C H W] of float32
}

func (p *grower) pick() *g.Node { return p.nodes[p.rng.IntN(len(p.nodes))] }

// alike returns a node of x's shape, x itself if there is no other.
func (p *grower) alike(x *g.Node) *g.Node {
	for range 8 {
		if y := p.pick(); y.Shape().Equal(x.Shape()) {
			return y
		}
	}
	return x
}

func (p *grower) weight(shape ...int) *g.Node {
	t := n(shape...).value(p.rng, nil)
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] *= 0.5
	}
	return p.nodes[0].Graph().Weight("w", t)
}

func (p *grower) grow() *g.Node {
	x := p.pick()
	channels, _ := x.Shape()[1].Constant()
	size := g.Spatial(x)
	any := func(low, high int) int { return low + p.rng.IntN(high-low+1) }
	two := func(low, high int) []int { return []int{any(low, high), any(low, high)} }
	window := []int{any(1, min(3, size[0])), any(1, min(3, size[1]))}
	conv := g.ConvAttr{Strides: two(1, 2), Dilations: two(1, 2), PadLo: two(0, 2), PadHi: two(0, 2), Groups: 1}
	if p.rng.IntN(2) == 0 {
		conv.Strides, conv.Dilations = []int{1, 1}, []int{1, 1}
	}
	pool := g.PoolAttr{Window: window, Strides: window, PadLo: []int{0, 0}, PadHi: []int{0, 0}}
	if p.rng.IntN(2) == 0 {
		pool.Strides, pool.PadLo, pool.PadHi = two(1, 3), []int{any(0, window[0]-1), any(0, window[1]-1)},
			[]int{any(0, window[0]-1), any(0, window[1]-1)}
	}
	switch p.rng.IntN(17) {
	case 0:
		return g.Elu(x)
	case 1:
		return g.Tanh(x)
	case 2:
		return g.Softplus(x)
	case 3:
		return g.Sigmoid(x)
	case 4:
		return g.Tanh(g.Add(x, p.alike(x)))
	case 5:
		return g.Tanh(g.Mul(x, p.alike(x)))
	case 6:
		return g.Sub(x, g.BroadcastAlong(p.weight(channels), x.Shape(), 1))
	case 7:
		return g.Tanh(g.Mul(x, g.Broadcast(p.weight(size[0], 1), x.Shape())))
	case 8, 9:
		return g.Tanh(g.Conv(x, p.weight(any(1, 3), channels, any(1, 3), any(1, 3)), conv))
	case 10: // weights that are no constants
		w := p.weight(2, channels, any(1, 3), any(1, 3))
		return g.Tanh(g.Conv(x, g.Mul(w, g.Broadcast(g.Tanh(g.ReduceSum(p.alike(x))), w.Shape())), conv))
	case 11:
		return g.MeanPool(x, pool)
	case 12:
		return g.MaxPool(x, pool)
	case 13:
		return g.MeanPool(g.Conv(x, p.weight(2, channels, 3, 3), g.Conv2D(1, 1)), pool)
	case 14:
		return g.Slice(x, 2+p.rng.IntN(2), 0, 1, 1)
	case 15:
		return g.Pad(x, []int{0, 0, 1, 0}, []int{0, 0, 0, 1}, []int{0, 0, any(0, 1), 0})
	}
	return g.Transpose(x, 0, 1, 3, 2)
}

// FuzzLowering grows random graphs with first and second derivatives, and
// compares ONNX Runtime with the interpreter. Where a function jumps near a
// value, as the place of a maximum does, rounding decides: graphs whose
// interpreted values change with their inputs' last bits are left out.
func FuzzLowering(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed)
	}
	rt := testkit.Open(f, 1)
	f.Fuzz(func(t *testing.T, seed uint64) {
		graph, ok := grown(seed)
		if !ok {
			return
		}
		values := map[string]*tensor.Tensor{"x": n(2, 2, 5, 4).value(rand.New(rand.NewPCG(seed, 1)), nil)}
		if !steady(t, graph, values) {
			return
		}
		model := testkit.Encode(t, graph)
		session, err := rt.Load(model, runtime.SessionOptions{})
		if err != nil {
			t.Fatalf("%v\n%v", err, graph)
		}
		defer session.Close()
		agree(t, session, graph, values, 1e-4)
	})
}

// grown returns a graph for a seed, if it is of moderate size.
func grown(seed uint64) (graph *g.Graph, ok bool) {
	graph = g.New("grown")
	x := graph.Input("x", tensor.Float32, g.Batch(2, 5, 4))
	p := &grower{rng: rand.New(rand.NewPCG(seed, 2)), nodes: []*g.Node{x}}
	for range 10 {
		var n *g.Node
		if err := g.Catch(func() { n = p.grow() }); err != nil {
			continue // a window that does not fit
		}
		if c, _ := n.Shape()[1:].Volume().Constant(); c > 200 {
			continue
		}
		p.nodes = append(p.nodes, n)
	}
	if len(p.nodes) == 1 {
		return nil, false
	}
	y := p.nodes[len(p.nodes)-1]
	graph.Output("y", y)
	d := autodiff.Gradient(y, x)[0]
	graph.Output("d", d)
	graph.Output("dd", autodiff.Gradient(g.Tanh(d), x)[0])
	return graph, true
}

// steady reports whether the values of a graph move little when its input
// does.
func steady(t *testing.T, graph *g.Graph, values map[string]*tensor.Tensor) bool {
	t.Helper()
	at := testkit.Interpret(t, graph, values)
	x := values["x"].Clone()
	for i := range tensor.Data[float32](x) {
		tensor.Data[float32](x)[i] *= 1 + 1e-6
	}
	beside := testkit.Interpret(t, graph, map[string]*tensor.Tensor{"x": x})
	for name, a := range at {
		for i, b := range beside[name].Float64s() {
			if !(math.Abs(a.Float64s()[i]-b) <= 1e-5) {
				return false
			}
		}
	}
	return true
}
