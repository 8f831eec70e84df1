package graph_test

import (
	"slices"
	"testing"

	g "ebm/models/graph"
)

func TestDim(t *testing.T) {
	n, k := g.Sym("N"), g.Sym("K")
	four := g.Const(4)
	for _, test := range []struct {
		got  g.Dim
		want string
	}{
		{g.Dim{}, "0"}, {four, "4"}, {n, "N"},
		{four.Mul(n), "4·N"}, {n.Mul(four), "4·N"}, {n.Mul(g.Const(1)), "N"},
		{n.Mul(k), "K·N"}, {k.Mul(n).Mul(n), "K·N·N"}, {four.Mul(n).Mul(g.Const(3)), "12·N"},
		{n.Mul(g.Const(0)), "0"}, {four.Mul(g.Const(5)), "20"},
	} {
		if test.got.String() != test.want {
			t.Errorf("dimension %v, want %s", test.got, test.want)
		}
	}
	// Equality is ==, whatever the order of the factors.
	if n.Mul(k).Mul(four) != four.Mul(k).Mul(n) || n.Mul(g.Const(0)) != (g.Dim{}) || n == k {
		t.Error("equal dimensions differ, or different ones are equal")
	}
	if c, ok := four.Constant(); c != 4 || !ok {
		t.Errorf("4 is the constant %d, %v", c, ok)
	}
	if _, ok := four.Mul(n).Constant(); ok {
		t.Error("4·N is a constant")
	}
	if c, symbols := four.Mul(n).Mul(k).Factors(); c != 4 || !slices.Equal(symbols, []string{"K", "N"}) {
		t.Errorf("the factors of 4·K·N are %d and %v", c, symbols)
	}
}

func TestShape(t *testing.T) {
	s := g.Batch(3, 4)
	if s.String() != "[N 3 4]" || s.Volume().String() != "12·N" || g.Dims().Volume() != g.Const(1) {
		t.Errorf("shape %v of volume %v", s, s.Volume())
	}
	if _, ok := s.Static(); ok {
		t.Errorf("%v is static", s)
	}
	if n, ok := g.Dims(2, 0).Static(); !ok || !slices.Equal(n, []int{2, 0}) {
		t.Errorf("[2 0] is %v", n)
	}
	if s.Equal(g.Dims(3, 4)) || s.Equal(g.Batch(3, 5)) || !s.Equal(g.Batch(3, 4)) {
		t.Error("shapes are compared wrongly")
	}
	product := g.Shape{g.Sym("N").Mul(g.Sym("K")), g.Const(5)}
	n, err := product.Bind(map[string]int{"N": 2, "K": 3})
	if err != nil || !slices.Equal(n, []int{6, 5}) {
		t.Errorf("%v is bound to %v, error %v", product, n, err)
	}
	_, err = product.Bind(map[string]int{"N": 2})
	if want := "the size of dimension K in shape [K·N 5] is not known"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// A symbolic batch keeps its name through reshapes.
func TestSymbolicReshape(t *testing.T) {
	f := g.New("batch")
	x := f.Input("x", float, g.Batch(1, 4, 4))
	flat := g.Flatten(x)
	folded := g.Reshape(flat, g.Shape{g.Sym("N").Mul(g.Const(4)), g.Const(4)})
	back := g.Reshape(folded, g.Batch(16))
	for _, test := range []struct {
		got  *g.Node
		want string
	}{
		{flat, "float32[N 16]"}, {folded, "float32[4·N 4]"}, {back, "float32[N 16]"},
		{g.Transpose(folded, 1, 0), "float32[4 4·N]"},
		{g.ReduceSum(folded, 1), "float32[4·N]"},
		{g.ReduceSum(flat, 0), "float32[16]"},
		{g.ExpandDims(flat, 0, 2), "float32[1 N 1 16]"},
		{g.KeepDims(g.ReduceSum(x, 3, 1), x, 1, 3), "float32[N 1 4 1]"},
		{g.MatMul(folded, g.SwapLast(folded)), "float32[4·N 4·N]"},
		{g.BroadcastAlong(g.ReduceSum(flat, 1), x.Shape(), 0), "float32[N 1 4 4]"},
	} {
		if got := test.got.Type().String(); got != test.want {
			t.Errorf("%v, want %s", test.got, test.want)
		}
	}
	if folded.Inputs()[0] != x {
		t.Error("a reshape of a reshape keeps the first one")
	}
	if g.Reshape(x, x.Shape()) != x || g.Transpose(flat, 0, 1) != flat || g.Broadcast(x, x.Shape()) != x {
		t.Error("what changes nothing adds a node")
	}
	if err := f.Verify(); err != nil {
		t.Error(err)
	}
}

// TestExpressions has expressions with one normal form.
func TestExpressions(t *testing.T) {
	h, w, c := g.Sym("H"), g.Sym("W"), g.Const
	half := h.Add(c(1)).Div(c(2))
	for _, test := range []struct {
		got  g.Dim
		want string
	}{
		{h.Add(c(1)), "H+1"}, {h.Sub(c(1)).Add(c(1)), "H"}, {h.Sub(h), "0"}, {h.Add(h), "2·H"}, {c(2).Sub(h), "-H+2"},
		{h.Add(c(1)).Mul(w.Add(c(2))), "H·W+2·H+W+2"},
		{h.Sub(c(1)).Div(c(2)).Add(c(1)), "⌊(H+1)/2⌋"}, {half, "⌊(H+1)/2⌋"},
		{h.Mul(c(2)).Div(c(2)), "H"}, {h.Mul(c(4)).Add(c(3)).Div(c(2)), "2·H+1"}, {h.Mul(c(2)).Add(c(2)).Div(c(4)), "⌊(H+1)/2⌋"},
		{half.Add(c(1)).Div(c(2)), "⌊(H+3)/4⌋"}, {half.Sub(c(1)).Div(c(2)).Add(c(1)), "⌊(H+3)/4⌋"},
		{h.Mul(w).Div(w), "H"}, {h.Div(w), "⌊H/W⌋"}, {c(7).Div(c(2)), "3"}, {c(-7).Div(c(2)), "-4"},
		{half.Mul(w).Mul(c(3)), "3·⌊(H+1)/2⌋·W"},
		{half.Replace(func(string) g.Dim { return c(9) }), "5"}, {half.Replace(func(string) g.Dim { return w.Mul(c(2)) }), "W"},
	} {
		if test.got.String() != test.want {
			t.Errorf("dimension %v, want %s", test.got, test.want)
		}
	}
	area := h.Add(c(1)).Mul(w.Sub(c(2)))
	if q, ok := area.Mul(c(6)).DivExact(w.Sub(c(2)).Mul(c(3))); !ok || q != h.Add(c(1)).Mul(c(2)) {
		t.Errorf("the quotient is %v, %v", q, ok)
	}
	if q, ok := area.DivExact(h); ok {
		t.Errorf("%v/H is %v", area, q)
	}
	if got := area.Mul(half).Symbols(); !slices.Equal(got, []string{"H", "W"}) {
		t.Errorf("symbols %v", got)
	}
	for d, want := range map[g.Dim]int{h.Sub(c(1)): 0, half: 1, h.Sub(half): 0, h.Mul(w).Add(c(2)): 3, c(-4): -4} {
		if n, ok := d.Least(); !ok || n != want {
			t.Errorf("%v is at least %d, %v, want %d", d, n, ok, want)
		}
	}
	if n, ok := c(5).Sub(h).Least(); ok {
		t.Errorf("5-H is at least %d", n)
	}
	sizes, err := g.Shape{area, half}.Bind(map[string]int{"H": 8, "W": 5})
	if err != nil || !slices.Equal(sizes, []int{27, 4}) {
		t.Errorf("bound to %v, %v", sizes, err)
	}
	if _, err := (g.Shape{half}).Bind(nil); err == nil || err.Error() != "the size of dimension H in shape [⌊(H+1)/2⌋] is not known" {
		t.Errorf("error %v", err)
	}
}
