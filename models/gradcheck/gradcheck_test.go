package gradcheck_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"ebm/models/gradcheck"
	"ebm/models/graph"
	"ebm/models/tensor"
)

func TestCheck(t *testing.T) {
	x := tensor.Of([]float64{0.3, -1.2, 0.8, 2}, 2, 2)
	w := tensor.Of([]float64{1, 2, -1, 0.5}, 2, 2)
	pick := tensor.Of([]bool{true, false, true, true}, 2, 2)
	type nodes = []*graph.Node
	build := func(f func(x nodes) *graph.Node) gradcheck.Builder {
		return func(_ *graph.Graph, xs ...*graph.Node) *graph.Node { return f(xs) }
	}
	stop := graph.StopGradient
	for _, test := range []struct {
		name  string
		f     gradcheck.Builder
		order int
		want  string // of the error, "" for none
	}{
		{"right", build(func(x nodes) *graph.Node {
			return graph.Where(x[2], graph.Tanh(graph.MatMul(x[0], x[1])), graph.Exp(x[0]))
		}), 3, ""},
		{"scalar", build(func(x nodes) *graph.Node { return graph.ReduceSum(graph.Mul(x[0], x[1])) }), 2, ""},
		{"wrong", build(func(x nodes) *graph.Node { return graph.Mul(x[0], stop(graph.Mul(x[0], x[1]))) }), 1,
			"order 1: the derivative by element "},
		// 2·c·x − c² at c = x is x² with the right slope but without curvature.
		{"wrong at order 2", build(func(x nodes) *graph.Node {
			c := stop(x[0])
			return graph.Sub(graph.Scale(graph.Mul(c, x[0]), 2), graph.Mul(c, c))
		}), 2, "order 2: the derivative by element "},
		{"right at order 1", build(func(x nodes) *graph.Node {
			c := stop(x[0])
			return graph.Sub(graph.Scale(graph.Mul(c, x[0]), 2), graph.Mul(c, c))
		}), 1, ""},
		{"not a number", build(func(x nodes) *graph.Node { return graph.Log(x[0]) }), 1, "NaN"},
		{"misuse", build(func(x nodes) *graph.Node { return graph.Exp(x[2]) }), 1, "graph: Exp(bool[2 2]), want a floating-point operand"},
		{"no number", build(func(x nodes) *graph.Node { return x[2] }), 1, "a float64 output"},
	} {
		err := gradcheck.Check(test.f, []*tensor.Tensor{x, w, pick}, gradcheck.Options{Order: test.order})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
	if got := x.Float64s(); got[0] != 0.3 || got[3] != 2 {
		t.Errorf("the input was changed to %v", got)
	}
}

// The error names the variable and the element.
func TestCheckLocates(t *testing.T) {
	x, y := tensor.Of([]float64{1, 2}, 2), tensor.Of([]float64{3, 4, 5}, 3)
	err := gradcheck.Check(func(g *graph.Graph, xs ...*graph.Node) *graph.Node {
		wrong := graph.Slice(xs[1], 0, 2, 3, 1)
		return graph.Concat(0, xs[0], graph.Slice(xs[1], 0, 0, 2, 1), graph.StopGradient(wrong))
	}, []*tensor.Tensor{x, y}, gradcheck.Options{})
	if err == nil || !strings.Contains(err.Error(), "by element 2 of x1 is 0, differences give") {
		t.Errorf("error %v", err)
	}
}

func TestDirectional(t *testing.T) {
	// f = x₀·x₁ + sin x₂ + x₃⁴
	f := func(x []float64) (float64, error) {
		return x[0]*x[1] + math.Sin(x[2]) + math.Pow(x[3], 4), nil
	}
	x := []float64{1, -2, 0.5, 1.5}
	gradient := []float64{-2, 1, math.Cos(0.5), 4 * 1.5 * 1.5 * 1.5}

	report, err := gradcheck.Directional(f, x, gradient, gradcheck.Directions{})
	if err != nil || report.Probed != 4 || report.Relative() > 1e-10 || math.Abs(report.Largest-13.5) > 1e-9 {
		t.Errorf("along the axes: %+v, error %v", report, err)
	}
	random := gradcheck.Directions{Random: 20, Seed: 7}
	report, err = gradcheck.Directional(f, x, gradient, random)
	if err != nil || report.Probed != 20 || report.Relative() > 1e-10 {
		t.Errorf("along random directions: %+v, error %v", report, err)
	}

	wrong := append([]float64{}, gradient...)
	wrong[2] += 1e-3
	report, err = gradcheck.Directional(f, x, wrong, gradcheck.Directions{})
	if err != nil || report.Worst != 2 || math.Abs(report.MaxError-1e-3) > 1e-9 || math.Abs(report.MeanError-2.5e-4) > 1e-9 {
		t.Errorf("with an error of 1e-3 in element 2: %+v, error %v", report, err)
	}
	if report, err = gradcheck.Directional(f, x, wrong, random); err != nil || report.Relative() < 1e-6 {
		t.Errorf("random directions miss an error: %+v, error %v", report, err)
	}
	wrong[1] = math.NaN()
	if report, err = gradcheck.Directional(f, x, wrong, gradcheck.Directions{}); err != nil ||
		!math.IsNaN(report.Relative()) || report.Worst != 1 {
		t.Errorf("with an element that is not a number: %+v, error %v", report, err)
	}
}

func TestDirectionalErrors(t *testing.T) {
	stopped := errors.New("stopped")
	calls := 0
	f := func(x []float64) (float64, error) {
		if calls++; calls > 5 {
			return 0, stopped
		}
		return x[0], nil
	}
	if _, err := gradcheck.Directional(f, make([]float64, 100), make([]float64, 100),
		gradcheck.Directions{}); !errors.Is(err, stopped) || calls > 6 {
		t.Errorf("error %v after %d calls", err, calls)
	}
	for _, d := range []gradcheck.Directions{{Step: -1}, {Step: math.NaN()}, {Random: -1}} {
		if _, err := gradcheck.Directional(f, []float64{1}, []float64{1}, d); err == nil {
			t.Errorf("%+v was accepted", d)
		}
	}
	if _, err := gradcheck.Directional(f, []float64{1}, nil, gradcheck.Directions{}); err == nil {
		t.Error("a gradient of another length was accepted")
	}
}
