package mdsm_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// linearStep is an update of parameters whose gradients are inputs: the loss
// is Σ grad·P.
func linearStep(a mdsm.Optimiser, dtype tensor.DType, scale float64, shapes map[string][]int, names []string) *graph.Graph {
	g := graph.New("adam")
	rate := g.Input("learning_rate", dtype, graph.Dims(1))
	step := g.Input("step", tensor.Int64, graph.Dims(1))
	params := make(map[string]*graph.Node)
	var loss *graph.Node
	for _, name := range names {
		params[name] = g.Input(name, dtype, graph.Dims(shapes[name]...))
		term := graph.ReduceSum(graph.Mul(params[name], g.Input("grad/"+name, dtype, params[name].Shape())))
		if loss == nil {
			loss = term
		} else {
			loss = graph.Add(loss, term)
		}
	}
	mdsm.Minimise(a, loss, scale, names, params, rate, step)
	return g
}

// TestAdamAgreesWithPyTorch makes the three steps of adam.npz, which
// models/energy/testdata/make_golden.py describes.
func TestAdamAgreesWithPyTorch(t *testing.T) {
	golden := testkit.Arrays(t, "../models/energy/testdata/adam.npz")
	number := func(name string) float64 { return golden[name].Float64s()[0] }
	adam := mdsm.Adam{Beta1: number("beta1"), Beta2: number("beta2"), Epsilon: number("epsilon")}
	names := []string{"a", "b"}
	shapes := map[string][]int{"a": golden["param/a"].Shape(), "b": golden["param/b"].Shape()}
	for _, c := range []struct {
		name, suffix string
		dtype        tensor.DType
		run          func(testing.TB, *graph.Graph, values) values
		tolerance    float64
	}{
		{"interpreter", "64", tensor.Float64, testkit.Interpret, 1e-14},
		{"ONNX Runtime", "", tensor.Float32, execute, 1e-6},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := linearStep(adam, c.dtype, 1, shapes, names)
			in := values{}
			for _, p := range names {
				in[p] = golden["param/"+p].AsFloat64()
				in[p+".m"], in[p+".v"] = tensor.New(tensor.Float64, shapes[p]...), tensor.New(tensor.Float64, shapes[p]...)
			}
			for step := range 3 {
				in["step"] = tensor.Of([]int64{int64(step + 1)}, 1)
				in["learning_rate"] = f64([]int{1}, golden["learning_rate"].Float64s()[step])
				at := func(name string, p string) []float64 {
					v := golden[name+"/"+p].Float64s()
					each := len(v) / 3
					return v[step*each : (step+1)*each]
				}
				square := 0.0
				for _, p := range names {
					in["grad/"+p] = f64(shapes[p], at("grad", p)...)
					for _, d := range at("grad", p) {
						square += d * d
					}
				}
				out := c.run(t, g, in)
				testkit.Near(t, "grad_norm", out["grad_norm"], []float64{math.Sqrt(square)}, 1e-6)
				for _, p := range names {
					for output, file := range map[string]string{".next": "next", ".m.next": "m", ".v.next": "v"} {
						// Each element by itself: gradients go from 0 to 10⁴.
						for i, want := range at(file+c.suffix, p) {
							got := out[p+output].Float64s()[i]
							if !(math.Abs(got-want) <= c.tolerance*math.Abs(want)) {
								t.Errorf("step %d: element %d of %s%s is %.17g, want %.17g", step+1, i, p, output, got, want)
							}
						}
						in[strings.TrimSuffix(p+output, ".next")] = out[p+output].AsFloat64()
					}
				}
			}
		})
	}
}

// TestAdamInPlainGo compares scale, averages and unusual decays with loops.
func TestAdamInPlainGo(t *testing.T) {
	for _, a := range []mdsm.Adam{
		{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, EMA: 0.9},
		{Beta1: 0, Beta2: 0.95, Epsilon: 1e-3, EMA: 0.2},
		{Beta1: 0.5, Beta2: 0, Epsilon: 1e-8},
	} {
		const scale, rate = 7.0, 0.01
		g := linearStep(a, tensor.Float64, scale, map[string][]int{"p": {4}}, []string{"p"})
		p, average := normal(1, 4).Float64s(), normal(2, 4).Float64s()
		m, v := make([]float64, 4), make([]float64, 4)
		for step := 1; step <= 30; step++ {
			d := normal(uint64(10+step), 4)
			in := values{"learning_rate": f64([]int{1}, rate), "step": tensor.Of([]int64{int64(step)}, 1), "grad/p": d,
				"p": f64([]int{4}, slices.Clone(p)...), "p.m": f64([]int{4}, slices.Clone(m)...), "p.v": f64([]int{4}, slices.Clone(v)...)}
			if a.EMA > 0 {
				in["p.ema"] = f64([]int{4}, slices.Clone(average)...)
			}
			n := float64(step)
			decay := math.Min(a.EMA, (1+n)/(10+n))
			for i, d := range d.Float64s() {
				d *= scale
				m[i] = a.Beta1*m[i] + (1-a.Beta1)*d
				v[i] = a.Beta2*v[i] + (1-a.Beta2)*d*d
				p[i] -= rate * (m[i] / (1 - math.Pow(a.Beta1, n))) / (math.Sqrt(v[i]/(1-math.Pow(a.Beta2, n))) + a.Epsilon)
				average[i] = decay*average[i] + (1-decay)*p[i]
			}
			out := testkit.Interpret(t, g, in)
			what := fmt.Sprintf("%+v, step %d: ", a, step)
			testkit.Near(t, what+"p", out["p.next"], p, 1e-13)
			testkit.Near(t, what+"m", out["p.m.next"], m, 1e-13)
			testkit.Near(t, what+"v", out["p.v.next"], v, 1e-13)
			if a.EMA > 0 {
				testkit.Near(t, what+"average", out["p.ema.next"], average, 1e-13)
			} else if out["p.ema.next"] != nil {
				t.Error("there is an average that was not asked for")
			}
			if t.Failed() {
				return
			}
		}
	}
}

func TestAdamSettings(t *testing.T) {
	if err := mdsm.PaperAdam().Validate(); err != nil {
		t.Error(err)
	}
	if got := mdsm.PaperAdam().StateSuffixes(); !slices.Equal(got, []string{".m", ".v"}) {
		t.Errorf("the state is %q", got)
	}
	if got := (mdsm.Adam{EMA: 0.9}).StateSuffixes(); !slices.Equal(got, []string{".m", ".v", ".ema"}) {
		t.Errorf("the state with averages is %q", got)
	}
	for _, a := range []mdsm.Adam{
		{Beta1: 1, Beta2: 0.9, Epsilon: 1}, {Beta1: -0.1, Beta2: 0.9, Epsilon: 1}, {Beta1: 0.9, Beta2: 1, Epsilon: 1},
		{Beta1: 0.9, Beta2: math.NaN(), Epsilon: 1}, {Beta1: 0.9, Beta2: 0.9}, {Beta1: 0.9, Beta2: 0.9, Epsilon: math.NaN()},
		{Beta1: 0.9, Beta2: 0.9, Epsilon: 1, EMA: 1}, {Beta1: 0.9, Beta2: 0.9, Epsilon: 1, EMA: -1},
	} {
		if a.Validate() == nil {
			t.Errorf("%+v is accepted", a)
		}
	}
}
