package graph_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"ebm/models/autodiff"
	g "ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// program reads a graph from bytes: an operator each, then its operands and
// attributes. Bytes that are missing are 0.
type program struct {
	bytes []byte
	nodes []*g.Node
}

func (p *program) next() int {
	if len(p.bytes) == 0 {
		return 0
	}
	b := p.bytes[0]
	p.bytes = p.bytes[1:]
	return int(int8(b))
}

func (p *program) node() *g.Node { return p.nodes[uint8(p.next())%uint8(len(p.nodes))] }

func (p *program) list() []int {
	list := make([]int, uint8(p.next())%5)
	for i := range list {
		list[i] = p.next() % 8
	}
	return list
}

func (p *program) shape() g.Shape {
	var shape g.Shape
	for _, n := range p.list() {
		d := g.Const(n)
		if n == 7 {
			d = g.Sym("N")
		}
		shape = append(shape, d)
	}
	return shape
}

func (p *program) conv() g.ConvAttr {
	return g.ConvAttr{Strides: p.list(), Dilations: p.list(), PadLo: p.list(), PadHi: p.list(), Groups: p.next() % 4}
}

func (p *program) pool() g.PoolAttr {
	return g.PoolAttr{Window: p.list(), Strides: p.list(), PadLo: p.list(), PadHi: p.list()}
}

// step adds one node, by a function of the package or by Apply.
func (p *program) step() *g.Node {
	all := g.Ops()
	switch op := all[uint8(p.next())%uint8(len(all))]; op {
	case g.OpCast:
		return g.Cast(p.node(), tensor.DType(uint8(p.next())%11))
	case g.OpReshape:
		return g.Reshape(p.node(), p.shape())
	case g.OpBroadcast:
		return g.Broadcast(p.node(), p.shape())
	case g.OpTranspose:
		return g.Transpose(p.node(), p.list()...)
	case g.OpIota:
		return g.Iota(p.node(), p.next())
	case g.OpTopK:
		return g.TopK(p.node(), g.TopKAttr{Axis: p.next(), K: g.Const(p.next()), Smallest: p.next()%2 == 0})
	case g.OpRange:
		return g.Range(p.node(), "K")
	case g.OpNonZero:
		return g.NonZero(p.node(), "K")
	case g.OpSlice:
		return g.SliceAxes(p.node(), g.SliceAttr{Axes: p.list(), Starts: g.Dims(p.list()...), Limits: g.Dims(p.list()...), Steps: p.list()})
	case g.OpPad:
		return g.Pad(p.node(), p.list(), p.list(), p.list())
	case g.OpConcat:
		return g.Concat(p.next(), p.node(), p.node())
	case g.OpReduceSum:
		return g.ReduceSum(p.node(), p.list()...)
	case g.OpReduceMax:
		return g.ReduceMax(p.node(), p.list()...)
	case g.OpConv:
		return g.Conv(p.node(), p.node(), p.conv())
	case g.OpConvInputGrad:
		return g.ConvInputGrad(p.node(), p.node(), p.conv(), p.list())
	case g.OpConvFilterGrad:
		return g.ConvFilterGrad(p.node(), p.node(), p.conv(), p.list())
	case g.OpMeanPool:
		return g.MeanPool(p.node(), p.pool())
	case g.OpMeanPoolGrad:
		return g.MeanPoolGrad(p.node(), p.pool(), p.list())
	case g.OpMaxPool:
		return g.MaxPool(p.node(), p.pool())
	case g.OpMaxPoolGrad:
		return g.MaxPoolGrad(p.node(), p.node(), p.pool())
	case g.OpMaxPoolTake:
		return g.MaxPoolTake(p.node(), p.node(), p.pool())
	case g.OpScan, g.OpProject: // their bodies and sources are not bytes
		return g.Flatten(p.node())
	case g.OpWhere:
		return g.Where(p.node(), p.node(), p.node())
	case g.OpAdd, g.OpSub, g.OpMul, g.OpDiv, g.OpPow, g.OpMaximum, g.OpMinimum, g.OpLess, g.OpEqual, g.OpMatMul:
		return g.Apply(op, nil, p.node(), p.node())
	default:
		return g.Apply(op, nil, p.node())
	}
}

// FuzzBuild builds any sequence of operators. What is wrong is an *Error and
// nothing else; what is right verifies, has values of the inferred types, is
// the same function without its dead code, and has gradients of its inputs'
// types.
func FuzzBuild(f *testing.F) {
	index := func(op g.Op) byte { return byte(slices.Index(g.Ops(), op)) }
	f.Add([]byte{})
	f.Add([]byte{index(g.OpExp), 0, index(g.OpMul), 4, 0, index(g.OpReduceSum), 5, 0})
	f.Add([]byte{index(g.OpConv), 0, 1, 2, 1, 2, 2, 1, 1, 2, 0, 1, 2, 1, 0, 1, index(g.OpElu), 4})
	f.Add([]byte{index(g.OpConv), 0, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1,
		index(g.OpConvInputGrad), 4, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 2, 4, 4,
		index(g.OpConvFilterGrad), 0, 4, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 2, 3, 3})
	f.Add([]byte{index(g.OpMaxPool), 0, 2, 2, 2, 2, 2, 2, 2, 0, 0, 2, 0, 0,
		index(g.OpMaxPoolGrad), 0, 4, 2, 2, 2, 2, 2, 2, 2, 0, 0, 2, 0, 0})
	f.Add([]byte{index(g.OpReshape), 0, 2, 7, 32, index(g.OpPad), 4, 2, 0, 1, 2, 0, 1, 2, 0, 2,
		index(g.OpSlice), 5, 1, 1, 1, 3, 1, 7, 1, 2, index(g.OpLess), 2, 2, index(g.OpCast), 7, 1})
	f.Add([]byte{index(g.OpDiv), 3, 3, index(g.OpMatMul), 2, 2, index(g.OpTranspose), 0, 4, 0, 1, 3, 2})
	f.Fuzz(func(t *testing.T, bytes []byte) {
		if len(bytes) > 300 {
			return
		}
		graph := g.New("fuzz")
		x := graph.Input("x", float, g.Batch(2, 4, 4))
		p := &program{bytes: bytes, nodes: []*g.Node{
			x,
			graph.Constant(spread(2, 2, 3, 3)),
			graph.Input("m", float, g.Dims(3, 3)),
			graph.Input("i", whole, g.Dims(4)),
		}}
		for len(p.bytes) > 0 && len(p.nodes) < 40 {
			var n *g.Node
			err := g.Catch(func() { n = p.step() })
			var typed *g.Error
			if err != nil && !errors.As(err, &typed) {
				t.Fatalf("the error is a %T", err)
			}
			if err == nil && volume(n) <= 1<<14 {
				p.nodes = append(p.nodes, n)
			}
		}
		for i, n := range p.nodes[4:] {
			graph.Output(string(rune('a'+i)), n)
		}
		check(t, graph)

		y := p.nodes[len(p.nodes)-1]
		if !y.DType().IsFloat() {
			return
		}
		var gradient *g.Node
		err := g.Catch(func() { gradient = autodiff.Gradient(y, x)[0] })
		if err != nil { // constants of 16-bit types cannot be built
			return
		}
		if !gradient.Type().Equal(x.Type()) {
			t.Errorf("the gradient is %v, the input %v", gradient, x)
		}
		if volumeOfAll(graph) <= 1<<18 {
			graph.Output("gradient", gradient)
			check(t, graph)
		}
	})
}

// check verifies a graph and evaluates it with and without its dead code.
func check(t *testing.T, graph *g.Graph) {
	t.Helper()
	if err := graph.Verify(); err != nil {
		t.Fatalf("%v in\n%v", err, graph)
	}
	lean := g.Rewrite(graph, func(r *g.Rewriter, old *g.Node, inputs []*g.Node) *g.Node { return r.Keep(old, inputs) })
	inputs := map[string]*tensor.Tensor{"x": spread(2, 2, 4, 4), "m": spread(3, 3), "i": tensor.Of([]int64{3, -1, 0, 7}, 4)}
	values, err := interp.Run(graph, inputs)
	again, err2 := interp.Run(lean, inputs)
	if (err == nil) != (err2 == nil) {
		t.Fatalf("error %v, without dead code %v in\n%v", err, err2, graph)
	}
	if err != nil {
		return // an integer was divided by zero
	}
	for _, out := range graph.Outputs() {
		v := values[out.Name]
		shape, err := out.Node.Shape().Bind(map[string]int{"N": 2})
		if err != nil || !slices.Equal(v.Shape(), shape) {
			t.Errorf("%v has the value %v", out.Node, v)
		}
		if !slices.EqualFunc(v.Float64s(), again[out.Name].Float64s(), same) {
			t.Errorf("%v has other values without dead code", out.Node)
		}
	}
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func spread(shape ...int) *tensor.Tensor {
	t := tensor.New(float, shape...)
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] = float32((i*7)%11)/4 - 1
	}
	return t
}

// volume is the number of elements of n for a batch of 2.
func volume(n *g.Node) int {
	size, symbols := n.Shape().Volume().Factors()
	return size << len(symbols)
}

func volumeOfAll(graph *g.Graph) int {
	sum := 0
	for _, n := range graph.Nodes() {
		sum += volume(n)
	}
	return sum
}
