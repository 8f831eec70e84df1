package autodiff

import (
	"testing"

	g "ebm/models/graph"
	"ebm/models/tensor"
)

// TestAdjointTakesStacks has a loop that stacks what its product gives: the adjoint
// multiplies with the transpose alone, where without the stack it multiplies again.
func TestAdjointTakesStacks(t *testing.T) {
	products := func(stacks bool) int {
		body := g.New("body")
		h, x := body.Input("h", tensor.Float64, g.Dims(3, 2)), body.Input("x", tensor.Float64, g.Dims(3, 2))
		inside := g.Add(g.MatMul(body.Input("w", tensor.Float64, g.Dims(3, 3)), h), x)
		next := g.Sin(inside)
		body.Output("next", next)
		body.Output("all", next)
		if stacks {
			body.Output("inside", inside)
		}
		f := g.New("f")
		start, w := f.Input("start", tensor.Float64, g.Dims(3, 2)), f.Input("w", tensor.Float64, g.Dims(3, 3))
		xs := f.Input("xs", tensor.Float64, g.Shape{g.Sym("K"), g.Const(3), g.Const(2)})
		out := g.ScanShared(body, []*g.Node{start}, []*g.Node{xs}, []*g.Node{w}, false)
		f.Output("slope", VJP(g.ReduceSum(out[1]), g.Like(g.ReduceSum(out[1]), 1), start)[0])

		count := 0
		for _, n := range f.Nodes() {
			if a, ok := n.Attr().(g.ScanAttr); ok {
				for _, inner := range a.Body.Nodes() {
					if inner.Op() == g.OpMatMul {
						count++
					}
				}
			} else if n.Op() == g.OpMatMul {
				count++
			}
		}
		return count
	}
	if with, without := products(true), products(false); with != 2 || without != 3 {
		t.Errorf("%d products with the stack and %d without it, want 2 and 3", with, without)
	}
}
