package autodiff_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"ebm/models/autodiff"
	g "ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// TestDirections holds for every row of the table of checks: that products
// with the Jacobian and with its transpose are adjoint, ⟨c, J·t⟩ = ⟨Jᵀ·c, t⟩;
// that Jacobian has the rows which single vector-Jacobian products give; and
// that the Hessian times t is the derivative of ∇y along t.
func TestDirections(t *testing.T) {
	for i, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(i), 11))
			f := g.New("directions")
			values := make(map[string]*tensor.Tensor)
			input := func(name string, v *tensor.Tensor) *g.Node {
				values[name] = v
				return f.Input(name, v.DType(), g.Dims(v.Shape()...))
			}
			random := func(name string, like *g.Node) *g.Node {
				shape, _ := like.Shape().Static()
				return input(name, n(shape...).value(rng))
			}
			var operands, xs, tangents []*g.Node
			for j, in := range c.inputs {
				x := input(string(rune('a'+j)), in.value(rng))
				operands = append(operands, x)
				if in.kind != truth {
					xs = append(xs, x)
					tangents = append(tangents, random("t"+string(rune('a'+j)), x))
				}
			}
			y := c.build(operands)
			cotangent := random("cotangent", y)

			left := g.ReduceSum(g.Mul(cotangent, autodiff.JVP([]*g.Node{y}, xs, tangents)[0]))
			vjp := autodiff.Gradients([]*g.Node{y}, []*g.Node{cotangent}, xs)
			wanted := []*g.Node{left, autodiff.Along(vjp, tangents)}

			// Σ_rows c·J is Jᵀ·c.
			rows := y.Shape().Volume()
			for j, jacobian := range autodiff.Jacobian(y, xs...) {
				count := xs[j].Shape().Volume()
				flat := g.MatMul(g.Reshape(cotangent, g.Shape{g.Const(1), rows}), g.Reshape(jacobian, g.Shape{rows, count}))
				wanted = append(wanted, g.Reshape(flat, xs[j].Shape()), vjp[j])
			}
			// Σ over the first operand's part of H·t is that of the product's.
			slopes := autodiff.Gradient(y, xs...)
			for j, h := range autodiff.Hessian(y, xs...)[0] {
				n, m := xs[0].Shape().Volume(), xs[j].Shape().Volume()
				product := g.MatMul(g.Reshape(h, g.Shape{n, m}), g.Reshape(tangents[j], g.Shape{m, g.Const(1)}))
				product = g.Reshape(product, xs[0].Shape())
				wanted = append(wanted, product, autodiff.JVP(slopes[:1], xs[j:j+1], tangents[j:j+1])[0])
			}
			out, err := interp.Eval(f, values, wanted...)
			if err != nil {
				t.Fatal(err)
			}
			for k := 0; k < len(out); k += 2 {
				a, b := out[k].Float64s(), out[k+1].Float64s()
				for at := range a {
					if math.Abs(a[at]-b[at]) > 1e-9*(1+math.Abs(b[at])) {
						t.Fatalf("pair %d, element %d: %v and %v", k/2, at, a[at], b[at])
					}
				}
			}
		})
	}
}

// TestSymbolicJacobian sums over a batch and has the other axes as rows.
func TestSymbolicJacobian(t *testing.T) {
	f := g.New("jacobian")
	x := f.Input("x", tensor.Float64, g.Batch(3))
	w := f.Constant(tensor.Of([]float64{1, 2, 3, 4, 5, 6}, 2, 3))
	j := autodiff.Jacobian(g.Linear(x, w, nil), x)[0]
	if s := j.Shape().String(); s != "[2 N 3]" {
		t.Fatalf("the Jacobian has shape %s, want [2 N 3]", s)
	}
	out, err := interp.Eval(f, map[string]*tensor.Tensor{"x": tensor.New(tensor.Float64, 2, 3)}, j)
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}
	for i, v := range out[0].Float64s() {
		if v != want[i] {
			t.Fatalf("the Jacobian is %v, want %v", out[0].Float64s(), want)
		}
	}
}
