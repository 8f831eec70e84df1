package graph_test

import (
	"errors"
	"strings"
	"testing"

	g "ebm/models/graph"
	"ebm/models/tensor"
)

func TestString(t *testing.T) {
	f := g.New("energy")
	x := f.Input("x", float, g.Batch(2))
	w := f.Weight("fc.weight", tensor.New(float, 3, 2))
	h := g.Elu(g.Linear(x, w, f.Constant(tensor.Of([]float32{1, -2, 0.5}, 3))))
	positive := g.Where(g.Less(g.Like(h, 0), h), h, g.Neg(h))
	f.Output("energy", g.ReduceSum(positive, 1))
	f.Output("hidden", h)
	f.Constant(tensor.New(float, 9))
	const want = `graph energy
%0 = Input x : float32[N 2]
%1 = Constant fc.weight : float32[3 2]
%2 = Constant [1 -2 0.5] : float32[3]
%3 = Transpose(%1) axes=[1 0] : float32[2 3]
%4 = MatMul(%0, %3) : float32[N 3]
%5 = Broadcast(%2) to=[N 3] : float32[N 3]
%6 = Add(%4, %5) : float32[N 3]
%7 = Elu(%6) : float32[N 3]
%8 = Constant [0] : float32[]
%9 = Broadcast(%8) to=[N 3] : float32[N 3]
%10 = Less(%9, %7) : bool[N 3]
%11 = Neg(%7) : float32[N 3]
%12 = Where(%10, %7, %11) : float32[N 3]
%13 = ReduceSum(%12) axes=[1] : float32[N]
%14 = Constant … : float32[9]
return energy=%13, hidden=%7
`
	if got := f.String(); got != want {
		t.Errorf("the graph is\n%swant\n%s", got, want)
	}
	if err := f.Verify(); err != nil {
		t.Error(err)
	}
	if f.Name() != "energy" || len(f.Inputs()) != 1 || f.Outputs()[1].Node != h || x.InputName() != "x" || w.InputName() != "" ||
		w.ConstantValue() == nil || x.ConstantValue() != nil {
		t.Error("the graph does not hold what it was given")
	}
}

// The printed forms of attributes that the network above lacks.
func TestStringOfAttributes(t *testing.T) {
	o := &operands{f: g.New("test")}
	for _, test := range []struct {
		got  *g.Node
		want string
	}{
		{g.Conv(o.batch(4, 6), o.float(6, 2, 3), groups), "%2 = Conv(%0, %1) strides=[1] dilations=[2] lo=[0] hi=[1] groups=2 : float32[N 6 3]"},
		{g.MeanPoolGrad(o.batch(4, 4), pool, []int{9}), "%4 = MeanPoolGrad(%3) window=[3] strides=[2] lo=[1] hi=[0] size=[9] : float32[N 4 9]"},
		{g.Slice(o.batch(7), 1, 1, 6, 2), "%6 = Slice(%5) axes=[1] starts=[1] limits=[6] steps=[2] : float32[N 3]"},
		{g.Pad(o.float(2), []int{0}, []int{1}, []int{2}), "%8 = Pad(%7) lo=[0] hi=[1] between=[2] : float32[5]"},
		{g.Cast(o.float(2), double), "%10 = Cast(%9) to=float64 : float64[2]"},
	} {
		if test.got.String() != test.want {
			t.Errorf("got  %s\nwant %s", test.got, test.want)
		}
	}
}

func TestNothingToDoAddsNothing(t *testing.T) {
	f := g.New("same")
	x := f.Input("x", float, g.Batch(2))
	for name, got := range map[string]*g.Node{
		"Reshape": g.Reshape(x, g.Batch(2)), "Transpose": g.Transpose(x, 0, 1), "Cast": g.Cast(x, float),
		"Pad": g.Pad(x, []int{0, 0}, []int{0, 0}, nil), "Concat": g.Concat(0, x), "Scale": g.Scale(x, 1),
	} {
		if got != x {
			t.Errorf("%s gives %v", name, got)
		}
	}
}

func TestRewriteDropsDeadCode(t *testing.T) {
	f := g.New("dead")
	x, unused := f.Input("x", float, g.Batch(2)), f.Input("unused", float, nil)
	g.Exp(g.Add(unused, unused))
	y := g.Tanh(x)
	g.Neg(y)
	f.Output("y", y)
	f.Output("again", y)
	got := g.Rewrite(f, func(r *g.Rewriter, old *g.Node, inputs []*g.Node) *g.Node { return r.Keep(old, inputs) })
	const want = `graph dead
%0 = Input x : float32[N 2]
%1 = Input unused : float32[]
%2 = Tanh(%0) : float32[N 2]
return y=%2, again=%2
`
	if got.String() != want {
		t.Errorf("the graph is\n%swant\n%s", got, want)
	}
	if err := got.Verify(); err != nil {
		t.Error(err)
	}
	if len(f.Nodes()) != 6 {
		t.Error("the old graph changed")
	}
}

// A rule replaces nodes; weights keep their names and values.
func TestRewriteReplaces(t *testing.T) {
	f := g.New("replace")
	x := f.Input("x", float, g.Batch(2))
	w := f.Weight("w", tensor.Of([]float32{1, 2}, 2))
	f.Output("y", g.Mul(g.Relu(x), g.Broadcast(w, x.Shape())))
	got := g.Rewrite(f, func(r *g.Rewriter, old *g.Node, inputs []*g.Node) *g.Node {
		if old.Op() == g.OpRelu {
			return g.Maximum(inputs[0], g.Like(inputs[0], 0))
		}
		return r.Keep(old, inputs)
	})
	const want = `graph replace
%0 = Input x : float32[N 2]
%1 = Constant w : float32[2]
%2 = Constant [0] : float32[]
%3 = Broadcast(%2) to=[N 2] : float32[N 2]
%4 = Maximum(%0, %3) : float32[N 2]
%5 = Broadcast(%1) to=[N 2] : float32[N 2]
%6 = Mul(%4, %5) : float32[N 2]
return y=%6
`
	if got.String() != want {
		t.Errorf("the graph is\n%swant\n%s", got, want)
	}
	if got.Nodes()[1].ConstantValue() != w.ConstantValue() {
		t.Error("the weight has another value")
	}
}

func TestCall(t *testing.T) {
	fn := g.New("square")
	x := fn.Input("x", float, g.Batch(2))
	scale := fn.Input("scale", float, nil)
	fn.Output("y", g.Mul(g.Mul(x, x), g.Broadcast(scale, x.Shape())))
	fn.Output("x", x)

	f := g.New("caller")
	a, b := f.Input("a", float, g.Batch(2)), f.Input("b", float, nil)
	first := g.Call(fn, a, b)
	second := g.Call(fn, first[0], b)
	f.Output("y", second[0])
	const want = `graph caller
%0 = Input a : float32[N 2]
%1 = Input b : float32[]
%2 = Mul(%0, %0) : float32[N 2]
%3 = Broadcast(%1) to=[N 2] : float32[N 2]
%4 = Mul(%2, %3) : float32[N 2]
%5 = Mul(%4, %4) : float32[N 2]
%6 = Broadcast(%1) to=[N 2] : float32[N 2]
%7 = Mul(%5, %6) : float32[N 2]
return y=%7
`
	if got := f.String(); got != want {
		t.Errorf("the graph is\n%swant\n%s", got, want)
	}
	if first[1] != a || second[1] != first[0] {
		t.Error("an output that is an input is not the argument")
	}
	for _, test := range []struct {
		build func()
		want  string
	}{
		{func() { g.Call(fn, a) }, `want 2 arguments for "square"`},
		{func() { g.Call(fn) }, `want 2 arguments for "square"`},
		{func() { g.Call(fn, a, a) }, `argument 1 of "square" is float32[N 2], want float32[]`},
	} {
		if err := g.Catch(test.build); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want one with %q", err, test.want)
		}
	}
}

func TestRetype(t *testing.T) {
	body := g.New("body")
	s := body.Input("s", float, g.Batch(2))
	k := body.Input("k", float, nil)
	next := g.Add(s, g.Broadcast(k, s.Shape()))
	body.Output("s", next)

	f := g.New("f")
	x := f.Input("x", float, g.Batch(1, 2))
	ks := f.Input("ks", float, g.Shape{g.Sym("K")})
	f.Output("y", g.Scan(body, []*g.Node{g.Reshape(x, g.Batch(2))}, []*g.Node{ks})[0])
	got := g.Retype(f, func(s g.Shape) g.Shape {
		bound := make(g.Shape, len(s))
		for i, d := range s {
			if d == g.Sym("N") {
				d = g.Const(7)
			}
			bound[i] = d
		}
		return bound
	})
	if err := got.Verify(); err != nil {
		t.Error(err)
	}
	if text := got.String(); strings.Contains(text, "N") || !strings.Contains(text, "Broadcast(%1) to=[7 2] : float32[7 2]") ||
		!strings.Contains(text, "ks : float32[K]") {
		t.Errorf("the graph is\n%s", text)
	}
	if !strings.Contains(f.String(), "N") {
		t.Error("the old graph changed")
	}
}

func TestScan(t *testing.T) {
	body := g.New("body")
	s := body.Input("s", float, g.Batch())
	v := body.Input("v", double, g.Dims(2))
	next := g.Neg(s)
	body.Output("next", next)
	body.Output("stacked", g.Exp(v))

	f := g.New("scan")
	state := f.Input("state", float, g.Batch())
	other := f.Input("other", float, g.Batch(1))
	values := f.Input("values", double, g.Shape{g.Sym("K"), g.Const(2)})
	results := g.Scan(body, []*g.Node{state}, []*g.Node{values})
	if len(results) != 2 || results[0].Type().String() != "float32[N]" || results[1].Type().String() != "float64[K 2]" {
		t.Errorf("the results are %v", results)
	}
	if types := results[0].Inputs()[0].Types(); len(types) != 2 {
		t.Errorf("the Scan has the types %v", types)
	}
	f.Output("y", results[1])
	const want = `%3 = Scan(%0, %2) carried=1 body={
graph body
%0 = Input s : float32[N]
%1 = Input v : float64[2]
%2 = Neg(%0) : float32[N]
%3 = Exp(%1) : float64[2]
return next=%2, stacked=%3
} : float32[N] float64[K 2]
%4 = Project(%3) output=0 : float32[N]
%5 = Project(%3) output=1 : float64[K 2]
return y=%5
`
	if got := f.String(); !strings.HasSuffix(got, want) {
		t.Errorf("the graph is\n%swant an end of\n%s", got, want)
	}
	if err := f.Verify(); err != nil {
		t.Error(err)
	}

	growing := g.New("growing")
	grow := growing.Input("s", float, g.Dims(1))
	growing.Input("v", double, g.Dims(2))
	growing.Output("next", g.Concat(0, grow, grow))
	one := f.Input("one", float, g.Dims(1))
	three := f.Input("three", double, g.Dims(3, 2))
	pair := g.New("pair")
	pair.Output("sum", g.Add(pair.Input("v", double, g.Dims(2)), pair.Input("w", double, g.Dims(2))))
	empty := g.New("empty")
	empty.Input("v", double, g.Dims(2))
	for _, test := range []struct {
		build func()
		want  string
	}{
		{func() { g.Scan(body, []*g.Node{state}, nil) }, "want operands for the body's 2 inputs, one or more of them scanned"},
		{func() { g.Scan(body, []*g.Node{state, values}, nil) }, "one or more of them scanned"},
		{func() { g.Scan(body, []*g.Node{other}, []*g.Node{values}) }, "the body turns state 0 of type float32[N 1] into float32[N]"},
		{func() { g.Scan(growing, []*g.Node{one}, []*g.Node{values}) }, "the body turns state 0 of type float32[1] into float32[2]"},
		{func() { g.Scan(body, []*g.Node{state}, []*g.Node{other}) }, "operand 1 is float32[1] for the body, which wants float64[2]"},
		{func() { g.Scan(pair, nil, []*g.Node{values, three}) }, "want scanned operands of one length"},
		{func() { g.Scan(empty, nil, []*g.Node{values}) }, "want a body with outputs"},
		{func() { g.Apply(g.OpProject, g.ProjectAttr{Index: 2}, results[0].Inputs()[0]) }, "want an output of a Scan"},
		{func() { g.Apply(g.OpProject, g.ProjectAttr{}, state) }, "want an output of a Scan"},
	} {
		err := g.Catch(test.build)
		var typed *g.Error
		if !errors.As(err, &typed) || !strings.Contains(typed.Want, test.want) {
			t.Errorf("error %v, want one with %q", err, test.want)
		}
	}
}
