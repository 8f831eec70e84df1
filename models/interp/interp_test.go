package interp_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

func TestEveryOperator(t *testing.T) {
	for _, op := range graph.Ops() {
		if !interp.Has(op) {
			t.Errorf("operator %v has no evaluation", op)
		}
	}
	if interp.Has(0) {
		t.Error("the zero operator has an evaluation")
	}
}

type values map[string]*tensor.Tensor

func TestInputsBindSymbols(t *testing.T) {
	g := graph.New("bind")
	n, k := graph.Sym("N"), graph.Sym("K")
	// The product comes first: K is known only after the second input.
	x := g.Input("x", tensor.Float32, graph.Shape{n.Mul(k).Mul(graph.Const(2)), graph.Const(3)})
	y := g.Input("y", tensor.Float64, graph.Shape{n})
	i := g.Input("i", tensor.Int64, nil)
	g.Output("x", graph.Reshape(x, graph.Shape{n, k, graph.Const(6)}))
	g.Output("sum", graph.Add(graph.ReduceSum(y), graph.ReduceSum(y)))
	g.Output("i", graph.Add(i, i))

	x12 := tensor.New(tensor.Float32, 12, 3)
	y2 := tensor.Of([]float64{1, 2}, 2)
	i3 := tensor.Of([]int32{3})
	out := testkit.Interpret(t, g, values{"x": x12, "y": y2, "i": i3})
	if got := out["x"]; got.String() != "float64[2 3 6]" {
		t.Errorf("x is %v", got)
	}
	if got := tensor.Data[float64](out["sum"])[0]; got != 6 {
		t.Errorf("sum is %v", got)
	}
	if got := tensor.Data[int64](out["i"])[0]; got != 6 {
		t.Errorf("i is %v", got)
	}

	for _, test := range []struct {
		name   string
		inputs values
		want   string
	}{
		{"missing", values{"x": x12, "y": y2}, `input "i" of type int64[] is missing`},
		{"extra", values{"x": x12, "y": y2, "i": i3, "z": i3}, `input "z" is not known, the inputs are x, y, i`},
		{"type", values{"x": i3, "y": y2, "i": i3}, `input "x" is int32[], want float32[2·K·N 3]`},
		{"integer type", values{"x": x12, "y": y2, "i": tensor.New(tensor.Float32)}, `input "i" is float32[], want int64[]`},
		{"rank", values{"x": y2, "y": y2, "i": i3}, `input "x" has shape [2], want [2·K·N 3]`},
		{"constant", values{"x": tensor.New(tensor.Float32, 12, 4), "y": y2, "i": i3}, `input "x" has shape [12 4], want [2·K·N 3]`},
		{"multiple", values{"x": tensor.New(tensor.Float32, 7, 3), "y": y2, "i": i3}, `input "x" of shape [7 3]: the size of dimension K`},
	} {
		_, err := interp.Run(g, test.inputs)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
}

func TestInputsDisagree(t *testing.T) {
	g := graph.New("disagree")
	a := g.Input("a", tensor.Float32, graph.Batch(2))
	b := g.Input("b", tensor.Float32, graph.Batch(2))
	g.Output("sum", graph.Add(a, b))
	_, err := interp.Run(g, values{"a": tensor.New(tensor.Float32, 4, 2), "b": tensor.New(tensor.Float32, 5, 2)})
	const want = `input "b" has shape [5 2], want [N 2] with N = 4 along axis 0`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestUnboundSymbol(t *testing.T) {
	g := graph.New("unbound")
	x := g.Input("x", tensor.Float32, nil)
	g.Output("y", graph.Broadcast(x, graph.Batch(2)))
	_, err := interp.Run(g, values{"x": tensor.New(tensor.Float32)})
	const want = "node %1 = Broadcast: the size of dimension N in shape [N 2] is not known"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}

// Results must not share elements with inputs or constants.
func TestResultsAreCopies(t *testing.T) {
	g := graph.New("copies")
	x := g.Input("x", tensor.Float64, graph.Dims(2))
	w := g.Constant(tensor.Of([]float64{5, 6}, 2))
	g.Output("x", graph.Reshape(x, graph.Dims(1, 2)))
	g.Output("x2", x)
	g.Output("w", w)
	in := tensor.Of([]float64{1, 2}, 2)
	out := testkit.Interpret(t, g, values{"x": in})
	for _, v := range out {
		tensor.Data[float64](v)[0] = 99
	}
	if in.Float64s()[0] != 1 || w.ConstantValue().Float64s()[0] != 5 {
		t.Error("a result shares elements with an input or a constant")
	}
	if got := tensor.Data[float64](out["x"]); !slices.Equal(got, []float64{99, 2}) {
		t.Errorf("x is %v", got)
	}
}

// eval evaluates one node of a graph without inputs.
func eval(t *testing.T, n *graph.Node) *tensor.Tensor {
	t.Helper()
	out, err := interp.Eval(n.Graph(), nil, n)
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func vector(g *graph.Graph, v ...float64) *graph.Node { return g.Constant(tensor.Of(v, len(v))) }

func TestElementwise(t *testing.T) {
	g := graph.New("elementwise")
	nan, inf := math.NaN(), math.Inf(1)
	x := vector(g, -1.5, 0, 2, nan, -800)
	a, b := vector(g, 2, -3, 1, nan), vector(g, 3, 2, 1, 1)
	i, j := g.Constant(tensor.Of([]int64{7, -7, 2}, 3)), g.Constant(tensor.Of([]int64{2, 2, 3}, 3))
	half := g.Constant(tensor.Of([]tensor.Float16Bits{0x3e00}, 1)) // 1.5
	for _, test := range []struct {
		name string
		got  *graph.Node
		want []float64
	}{
		{"neg", graph.Neg(x), []float64{1.5, 0, -2, nan, 800}},
		{"exp", graph.Exp(x), []float64{math.Exp(-1.5), 1, math.E * math.E, nan, 0}},
		{"log", graph.Log(x), []float64{nan, -inf, math.Ln2, nan, nan}},
		{"sqrt", graph.Sqrt(x), []float64{nan, 0, math.Sqrt2, nan, nan}},
		{"abs", graph.Abs(x), []float64{1.5, 0, 2, nan, 800}},
		{"tanh", graph.Tanh(x), []float64{math.Tanh(-1.5), 0, math.Tanh(2), nan, -1}},
		{"sigmoid", graph.Sigmoid(x), []float64{1 / (1 + math.Exp(1.5)), 0.5, 1 / (1 + math.Exp(-2)), nan, 0}},
		{"erf", graph.Erf(x), []float64{math.Erf(-1.5), 0, math.Erf(2), nan, -1}},
		{"sin", graph.Sin(x), []float64{math.Sin(-1.5), 0, math.Sin(2), nan, math.Sin(-800)}},
		{"cos", graph.Cos(x), []float64{math.Cos(-1.5), 1, math.Cos(2), nan, math.Cos(-800)}},
		{"atan", graph.Atan(vector(g, 1, -1, 0, inf)), []float64{math.Pi / 4, -math.Pi / 4, 0, math.Pi / 2}},
		{"floor", graph.Floor(vector(g, 1.5, -1.5, 2, -inf)), []float64{1, -2, 2, -inf}},
		{"round", graph.Round(vector(g, 1.5, 2.5, -0.5, -1.6)), []float64{2, 2, 0, -2}},
		{"gather", graph.Gather(vector(g, 5, 6, 7), g.Constant(tensor.Of([]int64{2, 0, 2}, 3)), 0), []float64{7, 5, 7}},
		{"gather grad", graph.GatherGrad(vector(g, 5, 6, 7), g.Constant(tensor.Of([]int64{2, 0, 2}, 3)), 0, 4), []float64{6, 0, 12, 0}},
		{"relu", graph.Relu(x), []float64{0, 0, 2, nan, 0}},
		{"elu", graph.Elu(x), []float64{math.Exp(-1.5) - 1, 0, 2, nan, -1}},
		{"slope", graph.EluSlope(graph.Elu(x)), []float64{math.Exp(-1.5), 1, 1, nan, 0}},
		{"stop", graph.StopGradient(x), []float64{-1.5, 0, 2, nan, -800}},
		{"softplus", graph.Softplus(vector(g, 1000, -1000, 0)), []float64{1000, 0, math.Ln2}},
		{"add", graph.Add(a, b), []float64{5, -1, 2, nan}},
		{"sub", graph.Sub(a, b), []float64{-1, -5, 0, nan}},
		{"mul", graph.Mul(a, b), []float64{6, -6, 1, nan}},
		{"div", graph.Div(a, b), []float64{2. / 3, -1.5, 1, nan}},
		{"pow", graph.Pow(a, b), []float64{8, 9, 1, nan}},
		{"maximum", graph.Maximum(a, b), []float64{3, 2, 1, nan}},
		{"minimum", graph.Minimum(a, b), []float64{2, -3, 1, nan}},
		{"less", graph.Less(a, b), []float64{1, 1, 0, 0}},
		{"equal", graph.Equal(a, b), []float64{0, 0, 1, 0}},
		{"where", graph.Where(graph.Less(a, b), a, b), []float64{2, -3, 1, 1}},
		{"integer add", graph.Add(i, j), []float64{9, -5, 5}},
		{"integer div", graph.Div(i, j), []float64{3, -3, 0}},
		{"integer pow", graph.Pow(i, j), []float64{49, 49, 8}},
		{"integer where", graph.Where(graph.Less(i, j), i, j), []float64{2, -7, 2}},
		{"to int", graph.Cast(vector(g, 2.9, -2.9, 0.5), tensor.Int64), []float64{2, -2, 0}},
		{"to bool", graph.Cast(vector(g, 2.9, 0, -0.5), tensor.Bool), []float64{1, 0, 1}},
		{"from bool", graph.Cast(graph.Less(i, j), tensor.Float32), []float64{0, 1, 1}},
		{"half", graph.Neg(half), []float64{-1.5}},
		// Nothing is rounded to a declared type.
		{"float32", graph.Cast(vector(g, 0.1), tensor.Float32), []float64{0.1}},
	} {
		got := eval(t, test.got).Float64s()
		if !near(got, test.want) {
			t.Errorf("%s is %v, want %v", test.name, got, test.want)
		}
	}

	_, err := interp.Eval(g, nil, graph.Gather(x, g.Constant(tensor.Of([]int64{0, 5}, 2)), 0))
	if err == nil || !strings.Contains(err.Error(), "index 5 of 5 elements") {
		t.Errorf("an index outside gives error %v", err)
	}
	_, err = interp.Eval(g, nil, graph.Div(i, graph.Sub(j, j)))
	if err == nil || !strings.Contains(err.Error(), "division of integers by zero") {
		t.Errorf("division by zero gives error %v", err)
	}
}

func near(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool {
		return x == y || math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) <= 1e-14*(1+math.Abs(y))
	})
}

func TestLayout(t *testing.T) {
	g := graph.New("layout")
	x := g.Constant(tensor.Of([]float64{1, 2, 3, 4, 5, 6}, 2, 3))
	i := g.Constant(tensor.Of([]int64{1, 2, 3}, 3))
	flag := g.Constant(tensor.Of([]bool{true, false}, 2, 1))
	for _, test := range []struct {
		name  string
		got   *graph.Node
		shape []int
		want  []float64
	}{
		{"transpose", graph.Transpose(x, 1, 0), []int{3, 2}, []float64{1, 4, 2, 5, 3, 6}},
		{"transpose 3", graph.Transpose(graph.Reshape(x, graph.Dims(1, 2, 3)), 2, 0, 1), []int{3, 1, 2}, []float64{1, 4, 2, 5, 3, 6}},
		{"broadcast", graph.Broadcast(i, graph.Dims(2, 3)), []int{2, 3}, []float64{1, 2, 3, 1, 2, 3}},
		{"broadcast bool", graph.Broadcast(flag, graph.Dims(2, 2)), []int{2, 2}, []float64{1, 1, 0, 0}},
		{"broadcast scalar", graph.Like(x, 7), []int{2, 3}, []float64{7, 7, 7, 7, 7, 7}},
		{"along", graph.BroadcastAlong(i, graph.Dims(1, 3, 2), 1), []int{1, 3, 2}, []float64{1, 1, 2, 2, 3, 3}},
		{"slice", graph.Slice(x, 1, 0, 3, 2), []int{2, 2}, []float64{1, 3, 4, 6}},
		{"slice both", graph.SliceAxes(x, graph.SliceAttr{Axes: []int{0, 1}, Starts: graph.Dims(1, 1), Limits: graph.Dims(2, 3),
			Steps: []int{1, 1}}), []int{1, 2}, []float64{5, 6}},
		{"slice empty", graph.Slice(x, 0, 1, 1, 1), []int{0, 3}, []float64{}},
		{"pad", graph.Pad(i, []int{1}, []int{2}, []int{1}), []int{8}, []float64{0, 1, 0, 2, 0, 3, 0, 0}},
		{"pad 2", graph.Pad(x, []int{0, 1}, []int{1, 0}, nil), []int{3, 4}, []float64{0, 1, 2, 3, 0, 4, 5, 6, 0, 0, 0, 0}},
		{"pad bool", graph.Pad(flag, []int{0, 1}, []int{0, 0}, nil), []int{2, 2}, []float64{0, 1, 0, 0}},
		{"concat 0", graph.Concat(0, i, i), []int{6}, []float64{1, 2, 3, 1, 2, 3}},
		{"concat 1", graph.Concat(1, x, graph.Neg(graph.Slice(x, 1, 0, 1, 1))), []int{2, 4}, []float64{1, 2, 3, -1, 4, 5, 6, -4}},
		{"sum 0", graph.ReduceSum(x, 0), []int{3}, []float64{5, 7, 9}},
		{"sum 1", graph.ReduceSum(x, 1), []int{2}, []float64{6, 15}},
		{"sum", graph.ReduceSum(x), nil, []float64{21}},
		{"sum of integers", graph.ReduceSum(i), nil, []float64{6}},
		{"sum of nothing", graph.ReduceSum(graph.Slice(x, 0, 1, 1, 1), 0), []int{3}, []float64{0, 0, 0}},
		{"max 0", graph.ReduceMax(graph.Neg(x), 0), []int{3}, []float64{-1, -2, -3}},
		{"max of integers", graph.ReduceMax(i), nil, []float64{3}},
		{"matmul", graph.MatMul(x, graph.Transpose(x, 1, 0)), []int{2, 2}, []float64{14, 32, 32, 77}},
	} {
		got := eval(t, test.got)
		if !slices.Equal(got.Shape(), test.shape) || !slices.Equal(got.Float64s(), test.want) {
			t.Errorf("%s is %v %v, want %v %v", test.name, got, got.Float64s(), test.shape, test.want)
		}
	}
}

// A scan with a carried sum, a scanned factor and stacked sums, over a
// symbolic batch.
func TestScan(t *testing.T) {
	vec := graph.Shape{graph.Sym("N")}
	body := graph.New("body")
	sum := body.Input("sum", tensor.Float32, vec)
	x := body.Input("x", tensor.Float32, vec)
	f := body.Input("f", tensor.Float32, nil)
	next := graph.Add(sum, graph.Mul(x, graph.Broadcast(f, vec)))
	body.Output("next", next)
	body.Output("trace", next)
	body.Output("large", graph.Less(graph.Like(next, 10), next))

	g := graph.New("scan")
	start := g.Input("start", tensor.Float32, vec)
	xs := g.Input("xs", tensor.Float32, append(graph.Shape{graph.Sym("K")}, vec...))
	fs := g.Input("fs", tensor.Float32, graph.Shape{graph.Sym("K")})
	for i, y := range graph.Scan(body, []*graph.Node{start}, []*graph.Node{xs, fs}) {
		g.Output([]string{"last", "trace", "large"}[i], y)
	}
	out, err := interp.Run(g, values{
		"start": tensor.Of([]float64{1, 2}, 2),
		"xs":    tensor.Of([]float64{1, 2, 3, 4, 5, 6}, 3, 2),
		"fs":    tensor.Of([]float64{1, 10, -1}, 3),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float64{
		"last": {27, 38}, "trace": {2, 4, 32, 44, 27, 38}, "large": {0, 0, 1, 1, 1, 1},
	} {
		if got := out[name].Float64s(); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}

	out, err = interp.Run(g, values{
		"start": tensor.Of([]float64{1, 2}, 2), "xs": tensor.New(tensor.Float64, 0, 2), "fs": tensor.New(tensor.Float64, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := out["last"].Float64s(); !slices.Equal(got, []float64{1, 2}) || out["trace"].Len() != 0 {
		t.Errorf("after no steps: last %v, trace %v", got, out["trace"])
	}
	scan := g.Outputs()[0].Node.Inputs()[0]
	if _, err := interp.Eval(g, values{"start": tensor.New(tensor.Float64, 2), "xs": tensor.New(tensor.Float64, 1, 2),
		"fs": tensor.New(tensor.Float64, 1)}, scan); err == nil {
		t.Error("the several outputs of a Scan were taken as one")
	}
}

func TestEvalOfAnotherGraph(t *testing.T) {
	n := vector(graph.New("a"), 1)
	if _, err := interp.Eval(graph.New("b"), nil, n); err == nil {
		t.Error("a node of another graph was evaluated")
	}
}
