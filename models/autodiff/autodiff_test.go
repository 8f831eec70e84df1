package autodiff_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ebm/models/autodiff"
	g "ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

func eval(t *testing.T, inputs map[string]*tensor.Tensor, nodes ...*g.Node) [][]float64 {
	t.Helper()
	values, err := interp.Eval(nodes[0].Graph(), inputs, nodes...)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]float64
	for _, v := range values {
		all = append(all, v.Float64s())
	}
	return all
}

func vector(v ...float64) *tensor.Tensor { return tensor.Of(v, len(v)) }

// derivatives returns the derivatives of order 1, 2, … of Σ f at x.
func derivatives(t *testing.T, order int, f func(x *g.Node) *g.Node, x ...float64) [][]float64 {
	t.Helper()
	graph := g.New("derivatives")
	in := graph.Input("x", tensor.Float64, g.Dims(len(x)))
	var nodes []*g.Node
	y := f(in)
	for range order {
		y = autodiff.Gradient(y, in)[0]
		nodes = append(nodes, y)
	}
	return eval(t, map[string]*tensor.Tensor{"x": vector(x...)}, nodes...)
}

// What holds at the points where a derivative jumps or a factor is infinite,
// where differences cannot tell.
func TestSpecialPoints(t *testing.T) {
	half := func(x *g.Node) *g.Node { return g.Like(x, 0.5) }
	constantPower := func(p float64) func(x *g.Node) *g.Node {
		return func(x *g.Node) *g.Node { return g.Pow(x, g.Like(x, p)) }
	}
	for _, test := range []struct {
		name string
		f    func(x *g.Node) *g.Node
		x    []float64
		want [][]float64 // by order
	}{
		{"abs", g.Abs, []float64{0}, [][]float64{{0}, {0}}},
		{"relu", g.Relu, []float64{0}, [][]float64{{0}, {0}}},
		{"elu", g.Elu, []float64{0}, [][]float64{{1}, {0}}},
		{"maximum shares", func(x *g.Node) *g.Node { return g.Maximum(x, half(x)) }, []float64{0.5, 0, 1}, [][]float64{{0.5, 0, 1}}},
		{"minimum shares", func(x *g.Node) *g.Node { return g.Minimum(x, half(x)) }, []float64{0.5, 0, 1}, [][]float64{{0.5, 1, 0}}},
		{"maximum of itself", func(x *g.Node) *g.Node { return g.Maximum(x, x) }, []float64{3}, [][]float64{{1}}},
		{"reduce max shares", func(x *g.Node) *g.Node { return g.ReduceMax(x) }, []float64{2, 1, 2}, [][]float64{{0.5, 0, 0.5}}},
		{"max pool takes the first", func(x *g.Node) *g.Node {
			return g.MaxPool(g.Reshape(x, g.Dims(1, 1, 3)), g.PoolAttr{Window: []int{3}, Strides: []int{1}, PadLo: []int{0}, PadHi: []int{0}})
		}, []float64{1, 2, 2}, [][]float64{{0, 1, 0}}},
		{"stopped", func(x *g.Node) *g.Node { return g.Mul(x, g.StopGradient(x)) }, []float64{3}, [][]float64{{3}, {0}}},
		{"cube", constantPower(3), []float64{0, -2}, [][]float64{{0, 12}, {0, -12}, {6, 6}, {0, 0}}},
		{"first power", constantPower(1), []float64{0, -2}, [][]float64{{1, 1}, {0, 0}, {0, 0}}},
		{"power 0", constantPower(0), []float64{0, -2}, [][]float64{{0, 0}, {0, 0}}},
		{"exponent of 0", func(b *g.Node) *g.Node { return g.Pow(g.Like(b, 0), b) }, []float64{2}, [][]float64{{0}, {0}}},
		{"softplus", g.Softplus, []float64{0, 800, -800}, [][]float64{{0.5, 1, 0}, {0.25, 0, 0}, {0, 0, 0}, {-0.125, 0, 0}}},
		{"log-softmax", func(x *g.Node) *g.Node { return g.Slice(g.LogSoftmax(x), 0, 0, 1, 1) }, []float64{1000, 1000}, [][]float64{{0.5, -0.5}}},
		{"swish", g.Swish, []float64{0, 800, -800}, [][]float64{{0.5, 1, 0}, {0.5, 0, 0}}},
	} {
		for i, got := range derivatives(t, len(test.want), test.f, test.x...) {
			if !slices.EqualFunc(got, test.want[i], func(a, b float64) bool { return math.Abs(a-b) <= 1e-14 }) {
				t.Errorf("%s: the derivative of order %d at %v is %v, want %v", test.name, i+1, test.x, got, test.want[i])
			}
		}
	}
}

// ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for the pooling families, in random geometries.
func TestPoolingAdjoints(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for trial := range 100 {
		xs := []int{1 + rng.IntN(2), 1 + rng.IntN(3)}
		var a g.PoolAttr
		for range 1 + trial%3 {
			window := 1 + rng.IntN(3)
			a.Window, a.Strides = append(a.Window, window), append(a.Strides, 1+rng.IntN(3))
			a.PadLo, a.PadHi = append(a.PadLo, rng.IntN(window)), append(a.PadHi, rng.IntN(window))
			xs = append(xs, window+rng.IntN(4))
		}
		graph := g.New("pool")
		constant := func(in input) *g.Node { return graph.Constant(in.value(rng)) }
		x, at := constant(n(xs...)), constant(input{xs, distinct})
		y := constant(n(poolShape(xs, a)...))
		inner := func(a, b *g.Node) *g.Node { return g.ReduceSum(g.Mul(a, b)) }
		values := eval(t, nil,
			inner(g.MeanPool(x, a), y), inner(x, g.MeanPoolGrad(y, a, xs[2:])),
			inner(g.MaxPoolTake(at, x, a), y), inner(x, g.MaxPoolGrad(at, y, a)))
		for i := 0; i < len(values); i += 2 {
			if left, right := values[i][0], values[i+1][0]; math.Abs(left-right) > 1e-12 {
				t.Errorf("x=%v %v: ⟨A x, y⟩ = %v, ⟨x, Aᵀ y⟩ = %v", xs, a, left, right)
			}
		}
	}
}

// ⟨Conv(x, w), y⟩ = ⟨x, ConvInputGrad(y, w)⟩ = ⟨w, ConvFilterGrad(x, y)⟩.
func TestConvolutionAdjoints(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 11))
	for _, c := range geometries() {
		graph := g.New("conv")
		constant := func(shape []int) *g.Node { return graph.Constant(n(shape...).value(rng)) }
		x, w, y := constant(c.x), constant(c.w), constant(convShape(c.x, c.w, c.attr))
		inner := func(a, b *g.Node) *g.Node { return g.ReduceSum(g.Mul(a, b)) }
		values := eval(t, nil, inner(g.Conv(x, w, c.attr), y),
			inner(x, g.ConvInputGrad(y, w, c.attr, c.x[2:])), inner(w, g.ConvFilterGrad(x, y, c.attr, c.w[2:])))
		for _, v := range values[1:] {
			if math.Abs(v[0]-values[0][0]) > 1e-12 {
				t.Errorf("%s: inner products %v", c.name, values)
			}
		}
	}
}

// The score of a symbolic batch: one gradient for each picture.
func TestSymbolicBatch(t *testing.T) {
	graph := g.New("energy")
	x := graph.Input("x", tensor.Float64, g.Batch(2))
	energy := g.ReduceSum(g.Mul(x, g.Mul(x, x)), 1)
	score := autodiff.Gradient(energy, x)[0]
	if got := score.Type().String(); got != "float64[N 2]" {
		t.Errorf("the gradient is %v", got)
	}
	got := eval(t, map[string]*tensor.Tensor{"x": tensor.Of([]float64{1, 2, 3, 4, 5, 6}, 3, 2)}, score)[0]
	if !slices.Equal(got, []float64{3, 12, 27, 48, 75, 108}) {
		t.Errorf("the gradient is %v", got)
	}
	if err := graph.Verify(); err != nil {
		t.Error(err)
	}
}

func TestHessianVector(t *testing.T) {
	graph := g.New("quadratic")
	x, v := graph.Input("x", tensor.Float64, g.Dims(1, 2)), graph.Input("v", tensor.Float64, g.Dims(1, 2))
	a := graph.Constant(tensor.Of([]float64{2, -1, 3, 5}, 2, 2)) // ½·xAxᵀ has the Hessian ½(A+Aᵀ)
	energy := g.Scale(g.ReduceSum(g.Mul(g.MatMul(x, a), x), 1), 0.5)
	got := eval(t, map[string]*tensor.Tensor{"x": tensor.Of([]float64{7, 8}, 1, 2), "v": tensor.Of([]float64{1, 10}, 1, 2)},
		autodiff.HessianVector(energy, x, v))[0]
	if !slices.Equal(got, []float64{2 + 10, 1 + 50}) {
		t.Errorf("the product is %v", got)
	}
}

// A node in the middle of a function is a variable like any other, and what
// comes before it is not looked at.
func TestGradientByIntermediate(t *testing.T) {
	body := g.New("body")
	state := body.Input("state", tensor.Float64, nil)
	body.Input("k", tensor.Float64, nil)
	body.Output("next", g.Exp(state))

	graph := g.New("intermediate")
	x := graph.Input("x", tensor.Float64, nil)
	ks := graph.Constant(tensor.New(tensor.Float64, 2))
	scanned := g.Scan(body, []*g.Node{x}, []*g.Node{ks})[0]
	y := g.Mul(scanned, scanned)
	gradient := autodiff.Gradient(y, scanned)[0]
	got := eval(t, map[string]*tensor.Tensor{"x": tensor.Of([]float64{0})}, gradient, scanned)
	if got[0][0] != 2*math.E || got[1][0] != math.E {
		t.Errorf("the derivative is %v at %v", got[0], got[1])
	}

	// Through the loop, y is exp(exp(x))².
	got = eval(t, map[string]*tensor.Tensor{"x": tensor.Of([]float64{0})}, autodiff.Gradient(y, x)[0])
	if want := 2 * math.E * math.E; math.Abs(got[0][0]-want) > 1e-12*want {
		t.Errorf("the derivative through a Scan is %v, want %v", got[0][0], want)
	}
}

// Branches that do not matter leave nothing behind.
func TestZeroBranchesDisappear(t *testing.T) {
	graph := g.New("zero")
	x, w := graph.Input("x", tensor.Float64, g.Dims(3)), graph.Input("w", tensor.Float64, g.Dims(3))
	frozen := g.StopGradient(g.Exp(w))
	y := g.Add(g.Mul(x, frozen), g.Tanh(w))
	before := len(graph.Nodes())
	grads := autodiff.Gradient(y, x)
	for _, node := range graph.Nodes()[before:] {
		switch node.Op() {
		case g.OpConstant, g.OpBroadcast, g.OpMul:
		default:
			t.Errorf("the gradient in x has the node %v", node)
		}
	}
	if got := grads[0]; got.Op() != g.OpMul {
		t.Errorf("the gradient in x is %v", got)
	}
	other := graph.Input("other", tensor.Float64, g.Dims(2))
	after := graph.Input("after", tensor.Float64, g.Dims(2))
	zero := autodiff.Gradient(g.Exp(x), other, after, x, x)
	if !slices.Equal(eval(t, map[string]*tensor.Tensor{
		"x": vector(1, 2, 3), "w": vector(1, 2, 3), "other": vector(1, 2), "after": vector(1, 2),
	}, zero[0])[0], []float64{0, 0}) || zero[2] != zero[3] {
		t.Error("gradients in variables that do not matter are wrong")
	}
}

func TestGradientGolden(t *testing.T) {
	graph := g.New("golden")
	x := graph.Input("x", tensor.Float32, g.Batch(1, 4, 4))
	w := graph.Weight("w", tensor.New(tensor.Float32, 2, 1, 3, 3))
	h := g.Elu(g.Conv(x, w, g.Conv2D(1, 1)))
	energy := g.ReduceSum(g.MeanPool(h, g.Pool2D(2, 2, 0)), 1, 2, 3)
	graph.Output("score", g.Neg(autodiff.Gradient(energy, x)[0]))
	const want = `graph golden
%0 = Input x : float32[N 1 4 4]
%1 = Constant w : float32[2 1 3 3]
%2 = Conv(%0, %1) strides=[1 1] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1 : float32[N 2 4 4]
%3 = Elu(%2) : float32[N 2 4 4]
%4 = MeanPool(%3) window=[2 2] strides=[2 2] lo=[0 0] hi=[0 0] : float32[N 2 2 2]
%5 = ReduceSum(%4) axes=[1 2 3] : float32[N]
%6 = Constant [1] : float32[]
%7 = Broadcast(%6) to=[N] : float32[N]
%8 = Reshape(%7) to=[N 1 1 1] : float32[N 1 1 1]
%9 = Broadcast(%8) to=[N 2 2 2] : float32[N 2 2 2]
%10 = MeanPoolGrad(%9) window=[2 2] strides=[2 2] lo=[0 0] hi=[0 0] size=[4 4] : float32[N 2 4 4]
%11 = EluSlope(%3) : float32[N 2 4 4]
%12 = Mul(%10, %11) : float32[N 2 4 4]
%13 = ConvInputGrad(%12, %1) strides=[1 1] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1 size=[4 4] : float32[N 1 4 4]
%14 = Neg(%13) : float32[N 1 4 4]
return score=%14
`
	if got := graph.String(); got != want {
		t.Errorf("the graph is\n%swant\n%s", got, want)
	}
}

func TestMisuse(t *testing.T) {
	graph := g.New("misuse")
	x := graph.Input("x", tensor.Float64, g.Dims(3))
	y := g.Exp(x)
	stranger := g.New("other").Input("x", tensor.Float64, g.Dims(3))
	for _, test := range []struct {
		name  string
		build func()
		want  string
	}{
		{"cotangent", func() { autodiff.VJP(y, g.ReduceSum(x), x) }, "graph: Exp(float64[]), want a cotangent of type float64[3]"},
		{"cotangent of another graph", func() { autodiff.VJP(y, stranger, x) }, "one graph"},
		{"variable of another graph", func() { autodiff.Gradient(y, stranger) }, "one graph"},
	} {
		if err := g.Catch(test.build); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
}
