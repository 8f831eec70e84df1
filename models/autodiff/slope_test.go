package autodiff_test

import (
	"math/rand/v2"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/autodiff"
	g "ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// curve is a function of one value, with what stands around it.
type curve struct {
	name string
	f    func(x *g.Node) *g.Node
	less bool // going forward takes fewer passes than going back
}

func cube(x *g.Node) *g.Node { return g.Mul(x, g.Mul(x, x)) }

func curvesOfOneValue() []curve {
	return []curve{
		{"x·σ(x)", g.Swish, true},
		{"x·Φ(x)", g.Gelu, true},
		{"x·σ(x·(α+βx²))", func(x *g.Node) *g.Node {
			return g.Mul(x, g.Sigmoid(g.Mul(x, g.Shift(g.Scale(g.Mul(x, x), 0.07), 1.6))))
		}, true},
		{"x·(1+tanh(x+x³))", func(x *g.Node) *g.Node { return g.Mul(x, g.Shift(g.Tanh(g.Add(x, g.Scale(cube(x), 0.04))), 1)) }, true},
		{"x·tanh(softplus(x))", func(x *g.Node) *g.Node { return g.Mul(x, g.Tanh(g.Softplus(x))) }, true},
		{"x/(1+|x|)", func(x *g.Node) *g.Node { return g.Div(x, g.Shift(g.Abs(x), 1)) }, false},
		{"x²", func(x *g.Node) *g.Node { return g.Mul(x, x) }, true},
		{"−x·x²−x", func(x *g.Node) *g.Node { return g.Neg(g.Sub(cube(x), g.Neg(x))) }, false},
		{"where x < 0: x², else sin x", func(x *g.Node) *g.Node {
			return g.Where(g.Less(x, g.Like(x, 0)), g.Mul(x, x), g.Sin(x))
		}, false},
		{"σ(x)·(1−σ(x)), σ used elsewhere too", func(x *g.Node) *g.Node {
			s := g.Sigmoid(x)
			y := g.Mul(s, g.Sub(g.Like(s, 1), s))
			return g.Add(y, g.Broadcast(g.ExpandDims(g.ReduceSum(s, 1), 1), x.Shape()))
		}, false},
		{"x constant but for rounding", func(x *g.Node) *g.Node { return g.Add(g.Floor(x), g.Mul(x, g.Floor(x))) }, false},
		{"exp twice of x", func(x *g.Node) *g.Node { return g.Exp(g.Exp(g.Scale(x, 0.3))) }, false},
	}
}

// softmax returns eᶻ and eᶻ/Σ eᶻ over the last axis.
func softmax(z *g.Node) (e, y *g.Node) {
	e = g.Exp(z)
	return e, g.Div(e, g.Broadcast(g.KeepDims(g.ReduceSum(e, 1), z, 1), z.Shape()))
}

// TestSlopesAreGradients holds GradientsBySlopes against Gradients, and their own
// gradients against each other.
func TestSlopesAreGradients(t *testing.T) {
	for _, c := range curvesOfOneValue() {
		t.Run(c.name, func(t *testing.T) {
			compareGradients(t, c.less, func(x *g.Node) (*g.Node, []*g.Node) { return c.f(x), nil })
		})
	}
	t.Run("softmax", func(t *testing.T) {
		compareGradients(t, true, func(x *g.Node) (*g.Node, []*g.Node) {
			_, y := softmax(x)
			return y, nil
		})
	})
	t.Run("softmax over no sum of 0", func(t *testing.T) {
		compareGradients(t, true, func(x *g.Node) (*g.Node, []*g.Node) {
			e := g.Exp(x)
			sum := g.ReduceSum(e, 1)
			sum = g.Where(g.Equal(sum, g.Like(sum, 0)), g.Like(sum, 1), sum)
			return g.Div(e, g.Broadcast(g.KeepDims(sum, x, 1), x.Shape())), nil
		})
	})
	t.Run("softmax by its exponentials", func(t *testing.T) {
		compareGradients(t, false, func(x *g.Node) (*g.Node, []*g.Node) {
			e, y := softmax(x)
			return y, []*g.Node{e}
		})
	})
	t.Run("σ(x)·x by σ(x)", func(t *testing.T) {
		compareGradients(t, false, func(x *g.Node) (*g.Node, []*g.Node) {
			s := g.Sigmoid(x)
			return g.Mul(s, x), []*g.Node{s}
		})
	})
}

// compareGradients differentiates what build makes of x [3 5], a sum of an input and a
// repeated weight, by both and by what build returns beside it.
func compareGradients(t *testing.T, less bool, build func(x *g.Node) (y *g.Node, by []*g.Node)) {
	rng := rand.New(rand.NewPCG(4, 2))
	inputs := map[string]*tensor.Tensor{"x": n(3, 5).value(rng), "w": n(5).value(rng), "u": n(3, 5).value(rng)}
	run := func(gradients func(ys, cotangents, xs []*g.Node) []*g.Node) (values []*tensor.Tensor, count int) {
		f := g.New("f")
		x, w, u := f.Input("x", tensor.Float64, g.Dims(3, 5)), f.Input("w", tensor.Float64, g.Dims(5)), f.Input("u", tensor.Float64, g.Dims(3, 5))
		y, by := build(g.Add(x, g.Broadcast(w, x.Shape())))
		ds := gradients([]*g.Node{y}, []*g.Node{u}, append([]*g.Node{x, w}, by...))
		second := gradients([]*g.Node{ds[0]}, []*g.Node{g.Exp(u)}, []*g.Node{x, w, u})
		values, err := interp.Eval(f, inputs, append(ds, second...)...)
		if err != nil {
			t.Fatal(err)
		}
		return values, passes(f, ds[0])
	}
	back, most := run(autodiff.Gradients)
	forward, count := run(autodiff.GradientsBySlopes)
	for i, v := range forward {
		if apart := testkit.Apart(v, back[i]); apart > 1e-13 {
			t.Errorf("result %d differs by %g of its largest value", i, apart)
		}
	}
	if less && count >= most || count > most+1 {
		t.Errorf("%d passes by slopes, %d back", count, most)
	}
}

// passes counts the nodes that go over all values, of those that d needs.
func passes(f *g.Graph, d *g.Node) (count int) {
	needed := f.Needed(d)
	for _, n := range f.Nodes() {
		switch n.Op() {
		case g.OpConstant, g.OpBroadcast, g.OpReshape, g.OpInput:
			continue
		}
		if needed[n.ID()] && n.Rank() == 2 {
			count++
		}
	}
	return count
}
