package onnximport_test

import (
	"math"
	"testing"

	"ebm/export/onnximport"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// gradientOf returns the graph of a file's output y and its product with a seed,
// differentiated by x, and what they are at inputs.
func gradientOf(t *testing.T, file *onnxpb.ModelProto, inputs map[string]*tensor.Tensor) (*graph.Graph, map[string]*tensor.Tensor) {
	t.Helper()
	m := parse(t, file, onnximport.Options{})
	if _, err := m.Differentiate(onnximport.Derivatives{Wrt: []string{"x"}, Seed: true}); err != nil {
		t.Fatal(err)
	}
	return m.Graph, testkit.Interpret(t, m.Graph, inputs)
}

func sameGradients(t *testing.T, got, want map[string]*tensor.Tensor) {
	t.Helper()
	for name, v := range want {
		if apart := testkit.Apart(got[name], v); !(apart <= 1e-6) {
			t.Errorf("%s differs by %g of its largest value", name, apart)
		}
	}
}

// TestGeluByItsParts reads GELU as exporters write it out, in several orders: values and
// gradients are those of the operator, and the hyperbolic tangent is a sigmoid.
func TestGeluByItsParts(t *testing.T) {
	type step struct {
		op, a, b, to string
	}
	x := v(3, 4)
	inputs := map[string]*tensor.Tensor{"x": x.value, "seed/y": v(4, 3).value.Reshape(3, 4)}
	constants := map[string]arg{"x": x, "half": scalar(0.5), "one": scalar(1), "a": scalar(0.044715), "three": scalar(3),
		"c": scalar(float32(math.Sqrt(2 / math.Pi))), "root": scalar(float32(math.Sqrt2))}
	inner := []step{{"Mul", "x", "x", "x2"}, {"Mul", "x", "x2", "x3"}, {"Mul", "x3", "a", "ax3"}, {"Add", "x", "ax3", "sum"},
		{"Mul", "sum", "c", "u"}, {"Tanh", "u", "", "t"}}
	power := []step{{"Pow", "x", "three", "x3"}, {"Mul", "a", "x3", "ax3"}, {"Add", "ax3", "x", "sum"},
		{"Mul", "c", "sum", "u"}, {"Tanh", "u", "", "t"}}
	exact := []step{{"Div", "x", "root", "u"}, {"Erf", "u", "", "t"}}
	last := [][]step{
		{{"Add", "t", "one", "s"}, {"Mul", "x", "s", "xs"}, {"Mul", "xs", "half", "y"}},
		{{"Add", "one", "t", "s"}, {"Mul", "half", "x", "h"}, {"Mul", "h", "s", "y"}},
		{{"Add", "one", "t", "s"}, {"Mul", "s", "half", "h"}, {"Mul", "h", "x", "y"}},
		{{"Add", "t", "one", "s"}, {"Mul", "x", "half", "h"}, {"Mul", "s", "h", "y"}},
	}
	for approximate, firsts := range map[string][][]step{"tanh": {inner, power}, "none": {exact}} {
		gelu, _ := model(20, map[string]arg{"x": x}, []string{"y"}, node("Gelu", []string{"x"}, []string{"y"}, attrs{"approximate": approximate}))
		_, want := gradientOf(t, gelu, inputs)
		for _, first := range firsts {
			for _, end := range last {
				var nodes []*onnxpb.NodeProto
				used := map[string]arg{"x": x}
				for _, s := range append(first[:len(first):len(first)], end...) {
					operands := []string{s.a}
					if s.b != "" {
						operands = append(operands, s.b)
					}
					for _, name := range operands {
						if c, ok := constants[name]; ok {
							used[name] = c
						}
					}
					nodes = append(nodes, node(s.op, operands, []string{s.to}, nil))
				}
				file, _ := model(13, used, []string{"y"}, nodes...)
				g, got := gradientOf(t, file, inputs)
				sameGradients(t, got, want)
				if needs(g, graph.OpTanh) {
					t.Errorf("a hyperbolic tangent is left where the last steps are %v", end)
				}
			}
		}
	}
}

// needs reports whether an output of g needs an operator.
func needs(g *graph.Graph, op graph.Op) bool {
	for n := range g.Uses() {
		if n.Op() != op {
			continue
		}
		for _, o := range g.Outputs() {
			if g.Needed(o.Node)[n.ID()] {
				return true
			}
		}
	}
	return false
}

// TestMaskedSoftmax hides elements of a softmax by a mask that is known, and by one that is
// an input: values and gradients are the same, and the known one is a sum. Where
// all of a row is hidden it stays a choice, which keeps the gradient from being no number.
func TestMaskedSoftmax(t *testing.T) {
	x := v(2, 3, 3)
	mask := tensor.Of([]bool{false, true, true, false, false, true, false, false, false}, 3, 3)
	whole := tensor.Of([]bool{true, true, true, false, false, true, false, false, false}, 3, 3)
	nodes := func(hidden bool) []*onnxpb.NodeProto {
		operands := []string{"mask", "none", "x"}
		if !hidden {
			operands = []string{"mask", "x", "none"}
		}
		return []*onnxpb.NodeProto{node("Where", operands, []string{"w"}, nil), node("Softmax", []string{"w"}, []string{"y"}, nil)}
	}
	inputs := map[string]*tensor.Tensor{"x": x.value, "seed/y": v(3, 2, 3).value.Reshape(2, 3, 3)}
	for name, c := range map[string]struct {
		mask   *tensor.Tensor
		hidden bool
		sum    bool
	}{
		"the first where true":   {mask, true, true},
		"the second where false": {inverse(mask), false, true},
		"all of a row":           {whole, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			given := map[string]arg{"x": x, "none": scalar(float32(math.Inf(-1))), "mask": weight(arg{value: c.mask})}
			known, _ := model(13, given, []string{"y"}, nodes(c.hidden)...)
			g, got := gradientOf(t, known, inputs)
			if needs(g, graph.OpWhere) == c.sum {
				t.Errorf("the mask is a sum: %v, want %v", !c.sum, c.sum)
			}
			given["mask"] = arg{value: c.mask}
			open, _ := model(13, given, []string{"y"}, nodes(c.hidden)...)
			inputs["mask"] = c.mask
			_, want := gradientOf(t, open, inputs)
			delete(inputs, "mask")
			if c.sum {
				sameGradients(t, got, want)
				return
			}
			for _, d := range got["grad/x"].Float64s()[:3] {
				if d != 0 {
					t.Errorf("gradient %v of a row that is hidden, want 0", d)
				}
			}
		})
	}
}

func inverse(mask *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(tensor.Bool, mask.Shape()...)
	for i, is := range tensor.Data[bool](mask) {
		tensor.Data[bool](out)[i] = !is
	}
	return out
}
