package onnximport_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnximport"
	"ebm/export/onnxpb"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// quantised is y = Mul(w, Dequantize(Quantize(x))), with numbers of 8 bits.
func quantised() (*onnxpb.ModelProto, map[string]*tensor.Tensor) {
	zero := arg{value: tensor.Of([]int8{3}), fixed: true}
	m, inputs := model(13, map[string]arg{"x": v(6), "w": weight(v(6)), "scale": scalar(0.02), "zero": zero}, []string{"y"},
		node("QuantizeLinear", []string{"x", "scale", "zero"}, []string{"q"}, nil),
		node("DequantizeLinear", []string{"q", "scale", "zero"}, []string{"d"}, nil),
		node("Mul", []string{"d", "w"}, []string{"y"}, nil))
	return m, inputs
}

// TestStraightThrough has a gradient of 0 with a warning, or that of what is
// not rounded, with the same outputs.
func TestStraightThrough(t *testing.T) {
	p, inputs := quantised()
	run := func(straight bool) (map[string]*tensor.Tensor, []string) {
		m := parse(t, p, onnximport.Options{StraightThrough: straight})
		if _, err := m.Differentiate(onnximport.Derivatives{Wrt: []string{"x", "w"}}); err != nil {
			t.Fatal(err)
		}
		out, err := interp.Run(m.Graph, inputs)
		if err != nil {
			t.Fatal(err)
		}
		return out, m.Warnings
	}
	steps, warnings := run(false)
	if len(warnings) != 1 || !strings.Contains(warnings[0], "the gradient of x is 0") {
		t.Errorf("warnings %q, want one of x", warnings)
	}
	straight, warnings := run(true)
	if len(warnings) != 0 {
		t.Errorf("warnings %q straight through", warnings)
	}
	close(t, "y", straight["y"], steps["y"], 1e-12)
	for i, x := range inputs["x"].Float64s() {
		want := 0.0
		if q := x/0.02 + 3; q > -128 && q < 127 {
			want = p32(p, "w", i)
		}
		if g := straight["grad/x"].Float64s()[i]; g-want > 1e-6 || want-g > 1e-6 {
			t.Errorf("the gradient is %v at %d, want %v", g, i, want)
		}
		if steps["grad/x"].Float64s()[i] != 0 {
			t.Errorf("the gradient through steps is %v", steps["grad/x"].Float64s())
		}
	}
}

// p32 returns an element of an initialiser of float32.
func p32(p *onnxpb.ModelProto, name string, i int) float64 {
	for _, t := range p.Graph.Initializer {
		if t.GetName() == name {
			return float64(t.FloatData[i])
		}
	}
	return 0
}

func TestWarnings(t *testing.T) {
	m, _ := model(15, map[string]arg{"x": v(2, 3), "w": weight(v(3)), "mean": weight(v(3)), "var": weight(positive(3))}, []string{"y", "z"},
		node("BatchNormalization", []string{"x", "w", "w", "mean", "var"}, []string{"y"}, nil),
		node("Softmax", []string{"y"}, []string{"z"}, attrs{"axis": -1}))
	for _, test := range []struct {
		d    onnximport.Derivatives
		want []string
	}{
		{onnximport.Derivatives{Of: []string{"y"}, Wrt: []string{"x"}}, nil},
		{onnximport.Derivatives{Of: []string{"z"}, Wrt: []string{"x"}}, []string{"z is a Softmax, whose sum is constant"}},
		{onnximport.Derivatives{Of: []string{"z"}, Wrt: []string{"x"}, Seed: true}, nil},
		{onnximport.Derivatives{Of: []string{"y"}, Parameters: true},
			[]string{"w is used in 2 places", "mean is a running mean", "var is a running mean"}},
	} {
		got := parse(t, proto.Clone(m).(*onnxpb.ModelProto), onnximport.Options{})
		if _, err := got.Differentiate(test.d); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(got.Warnings, "\n")
		for _, w := range test.want {
			if !strings.Contains(text, w) {
				t.Errorf("%+v: warnings %q, want %q", test.d, got.Warnings, w)
			}
		}
		if len(got.Warnings) != len(test.want) {
			t.Errorf("%+v: warnings %q, want %d", test.d, got.Warnings, len(test.want))
		}
	}
}

// An input of a type that nodes lack is said to be held in another.
func TestWarnsOfWiderTypes(t *testing.T) {
	m, _ := model(15, map[string]arg{"x": v(2, 3), "k": {value: tensor.Of([]int32{1, 2, 3}, 3)}}, []string{"y"},
		node("Cast", []string{"k"}, []string{"f"}, attrs{"to": int(onnxpb.TensorProto_FLOAT)}),
		node("Mul", []string{"x", "f"}, []string{"y"}, nil))
	for _, in := range m.Graph.Input {
		if in.GetName() == "k" {
			in.Type.GetTensorType().ElemType = proto.Int32(int32(onnxpb.TensorProto_UINT16))
		}
	}
	got := parse(t, m, onnximport.Options{})
	if _, err := got.Differentiate(onnximport.Derivatives{Of: []string{"y"}, Wrt: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(got.Warnings, "\n"); text != "input k of type UINT16 is held in int32, whose arithmetic does not wrap around" {
		t.Errorf("warnings %q", text)
	}
}
