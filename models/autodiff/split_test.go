package autodiff

import (
	"testing"

	"ebm/internal/testkit"
	g "ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// A recurrent layer with a sum over its steps, and results that nothing waits for.
func TestSplitScan(t *testing.T) {
	whole := func(reverse bool, scan func(body *g.Graph, state, stacked, shared []*g.Node, reverse bool) []*g.Node) *g.Graph {
		f := g.New("f")
		h, w := f.Input("h", tensor.Float64, g.Dims(2, 3)), f.Input("w", tensor.Float64, g.Dims(3, 3))
		total := f.Input("total", tensor.Float64, g.Dims(3, 3))
		xs := f.Input("xs", tensor.Float64, g.Shape{g.Sym("K"), g.Const(2), g.Const(3)})

		body := g.New("body")
		state, sum := body.Input("state", tensor.Float64, g.Dims(2, 3)), body.Input("sum", tensor.Float64, g.Dims(3, 3))
		x, v := body.Input("x", tensor.Float64, g.Dims(2, 3)), body.Input("v", tensor.Float64, g.Dims(3, 3))
		ahead := g.Exp(g.MatMul(g.Tanh(x), v))
		next := g.Add(g.Mul(g.Mul(g.MatMul(state, v), ahead), g.Sigmoid(x)), x)
		body.Output("next", next)
		body.Output("sum", g.Add(sum, g.Add(g.MatMul(g.Transpose(state, 1, 0), next), g.MatMul(g.Transpose(x, 1, 0), x))))
		body.Output("before", g.Sin(state))
		body.Output("ahead", ahead)
		for i, out := range scan(body, []*g.Node{h, total}, []*g.Node{xs}, []*g.Node{w}, reverse) {
			f.Output(string(rune('a'+i)), out)
		}
		return f
	}
	values := map[string]*tensor.Tensor{}
	for i, in := range whole(false, splitScan).Inputs() {
		shape := in.Shape()
		if in.InputName() == "xs" {
			shape = g.Dims(4, 2, 3)
		}
		dims, _ := shape.Static()
		x := tensor.New(tensor.Float64, dims...)
		for j := range tensor.Data[float64](x) {
			tensor.Data[float64](x)[j] = float64((7*j+3*i)%11)/11 - 0.4
		}
		values[in.InputName()] = x
	}
	for _, reverse := range []bool{false, true} {
		split := whole(reverse, splitScan)
		want, err := interp.Run(whole(reverse, g.ScanShared), values)
		if err != nil {
			t.Fatal(err)
		}
		got, err := interp.Run(split, values)
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want {
			testkit.Near(t, name, got[name], tensor.Data[float64](w), 1e-13)
		}
		// What has to wait: the product with the state, the one with what is known ahead, and the sum.
		for _, n := range split.Nodes() {
			if a, ok := n.Attr().(g.ScanAttr); ok {
				count := 0
				for _, inner := range a.Body.Nodes() {
					if inner.Op() != g.OpInput {
						count++
					}
				}
				if count != 3 || len(a.Body.Outputs()) > 3 {
					t.Errorf("in reverse %v: a step computes %d nodes, want 3:\n%v", reverse, count, a.Body)
				}
			}
		}
	}
}
