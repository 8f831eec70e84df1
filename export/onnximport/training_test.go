package onnximport

import (
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// TestUniform: numbers of dropout are spread evenly, and those of neighbours, seeds
// and sites have nothing to do with each other.
func TestUniform(t *testing.T) {
	const n = 40_000
	draw := func(seed int64, site int) []float64 {
		g := graph.New("uniform")
		g.Output("u", uniform(g.Input("seed", tensor.Int64, graph.Dims(1)), site, graph.Const(n)))
		out, err := interp.Run(g, map[string]*tensor.Tensor{"seed": tensor.Of([]int64{seed}, 1)})
		if err != nil {
			t.Fatal(err)
		}
		return out["u"].Float64s()
	}
	base := draw(1, 1)
	correlation := func(a, b []float64) float64 {
		sum := 0.0
		for i := range a {
			sum += (a[i] - 0.5) * (b[i] - 0.5) * 12 / float64(len(a))
		}
		return sum
	}
	bins := make([]float64, 20)
	for _, v := range base {
		if v < 0 || v >= 1 {
			t.Fatalf("a number is %g", v)
		}
		bins[int(20*v)]++
	}
	chi := 0.0
	for _, b := range bins {
		chi += (b - n/20) * (b - n/20) / (n / 20)
	}
	if chi > 50 { // of 19 degrees of freedom
		t.Errorf("χ² is %g", chi)
	}
	for what, other := range map[string][]float64{
		"the next": append(base[1:], base[0]), "the one after": append(base[2:], base[:2]...), "seed 2": draw(2, 1), "seed 1<<40": draw(1<<40, 1),
		"site 2": draw(1, 2), "site 3": draw(1, 3),
	} {
		if c := correlation(base, other); math.Abs(c) > 5/math.Sqrt(n) {
			t.Errorf("the correlation with %s is %g", what, c)
		}
	}
}

// TestPatch writes values into a file of another element type, and leaves the rest.
func TestPatch(t *testing.T) {
	model := testkit.Read(t, "../../mdsm/train/testdata/fit.onnx")
	before, err := Parse(model, Options{InUse: true})
	if err != nil {
		t.Fatal(err)
	}
	name := before.Parameters[0]
	values := before.Values[name].ConstantValue().Clone()
	tensor.Data[float32](values)[0] = 42
	patched, err := Patch(model, "", map[string]*tensor.Tensor{name: values})
	if err != nil {
		t.Fatal(err)
	}
	after, err := Parse(patched, Options{}) // out of training mode
	if err != nil {
		t.Fatal(err)
	}
	if got := after.Values[name].ConstantValue().Float64s()[0]; got != 42 {
		t.Errorf("the value is %g", got)
	}
	if again, err := Patch(patched, "", nil); err != nil || string(again) != string(patched) {
		t.Errorf("without values it changes (%v)", err)
	}
	for what, v := range map[string]map[string]*tensor.Tensor{
		"another shape": {name: tensor.New(tensor.Float32, 3)}, "another name": {"none": values},
	} {
		if _, err := Patch(model, "", v); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	if _, err := Patch([]byte("no model"), "", nil); err == nil {
		t.Error("what is no model is accepted")
	}
	for v, want := range map[float32]uint16{1: 0x3f80, 1.00390625: 0x3f80, 1.01171875: 0x3f82, float32(math.Inf(1)): 0x7f80} {
		if got := toBFloat16(v); got != want {
			t.Errorf("%g as bfloat16 is %#x, want %#x", v, got, want)
		}
	}
}
