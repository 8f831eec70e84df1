package onnximport_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"ebm/export/onnximport"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	"ebm/models/autodiff"
	"ebm/models/gradcheck"
	g "ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
	"ebm/runtime"
)

// file returns the row's model and the values of its inputs.
func (r row) file() (*onnxpb.ModelProto, map[string]*tensor.Tensor) {
	args := make(map[string]arg)
	var in, out []string
	for i, a := range r.args {
		name := fmt.Sprintf("in%d", i)
		if a.absent {
			name = ""
		} else {
			args[name] = a
		}
		in = append(in, name)
	}
	for i := range max(1, r.results) {
		out = append(out, fmt.Sprintf("out%d", i))
	}
	return model(r.version, args, out, node(r.op, in, out, r.attrs))
}

// TestOperators runs every row in ONNX Runtime, and compares what it gives
// with the imported graph in the interpreter, with the exported file in ONNX
// Runtime again, and its gradient with finite differences.
func TestOperators(t *testing.T) {
	rt := testkit.Open(t, 1)
	for i, row := range rows() {
		t.Run(fmt.Sprintf("%s %d", row.op, i), func(t *testing.T) {
			p, inputs := row.file()
			m, err := onnximport.Parse(bytesOf(p), onnximport.Options{})
			if err != nil {
				t.Fatal(err)
			}
			want := original(t, rt, p, m, inputs)
			got := testkit.Interpret(t, m.Graph, inputs)
			for name, w := range want {
				close(t, name, got[name], w, 2e-5)
			}
			again := testkit.Encode(t, m.Graph)
			for name, y := range testkit.RunModel(t, rt, again, inputs) {
				close(t, name+" exported", y, want[name], 2e-5)
			}
			if !row.kinks {
				if err := gradients(m.Graph, inputs); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// original runs the file as it is in ONNX Runtime, which wants to be told the
// types of outputs.
func original(t *testing.T, rt *runtime.Runtime, p *onnxpb.ModelProto, m *onnximport.Model,
	inputs map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	t.Helper()
	for i, out := range m.Graph.Outputs() {
		size, ok := out.Node.Shape().Static()
		p.Graph.Output[i] = inputInfo(out.Name, tensor.New(out.Node.DType(), size...))
		if !ok { // only values say
			p.Graph.Output[i].Type.GetTensorType().Shape = nil
		}
	}
	return testkit.RunModel(t, rt, bytesOf(p), inputs)
}

// gradients compares the derivative of a weighted sum of all floating-point
// outputs by all floating-point inputs with differences, at random
// directions.
func gradients(f *g.Graph, inputs map[string]*tensor.Tensor) error {
	rng := rand.New(rand.NewPCG(5, 6))
	var sum *g.Node
	for _, out := range f.Outputs() {
		y := out.Node
		if !y.DType().IsFloat() {
			continue
		}
		weights := g.Cos(g.Scale(y, 0.7)) // where the number of elements is not known
		if size, ok := y.Shape().Static(); ok {
			weights = g.Cast(f.Constant(random(rng, size...)), y.DType())
		}
		term := g.ReduceSum(g.Mul(y, weights))
		if term = g.Cast(term, tensor.Float64); sum != nil {
			term = g.Add(sum, term)
		}
		sum = term
	}
	var xs []*g.Node
	for _, in := range f.Inputs() {
		if in.DType().IsFloat() {
			xs = append(xs, in)
		}
	}
	if sum == nil || len(xs) == 0 {
		return nil
	}
	slopes, err := interp.Eval(f, inputs, autodiff.Gradient(sum, xs...)...)
	if err != nil {
		return err
	}
	var point, slope []float64
	at := make(map[string]*tensor.Tensor)
	for name, t := range inputs {
		at[name] = t
	}
	for i, x := range xs {
		slope = append(slope, slopes[i].Float64s()...)
		at[x.InputName()] = inputs[x.InputName()].AsFloat64()
		point = append(point, at[x.InputName()].Float64s()...)
	}
	report, err := gradcheck.Directional(func(p []float64) (float64, error) {
		for _, x := range xs {
			data := tensor.Data[float64](at[x.InputName()])
			copy(data, p)
			p = p[len(data):]
		}
		y, err := interp.Eval(f, at, sum)
		if err != nil {
			return 0, err
		}
		return y[0].Float64s()[0], nil
	}, point, slope, gradcheck.Directions{Random: 8, Step: 1e-4, Seed: 1})
	if err == nil && !(report.Relative() <= 1e-6) {
		err = fmt.Errorf("the gradient is %g along direction %d, differences give %g", report.Given, report.Worst, report.Difference)
	}
	return err
}

// TestEveryOperatorHasARow fails when the table has an operator that
// TestOperators does not try.
func TestEveryOperatorHasARow(t *testing.T) {
	var tried []string
	for _, row := range rows() {
		tried = append(tried, row.op)
	}
	// These are in tests of their own.
	tried = append(tried, "If", "CausalConvWithState", "ai.onnx.ml.LinearClassifier", "CumProd", "LinearAttention", "NonZero", "SwiGLU",
		"Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
		"Loop", "Scan", "ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase",
		"SequenceInsert", "SequenceLength", "SequenceMap", "SplitToSequence")
	for _, o := range onnximport.Operators() {
		if !slices.Contains(tried, o.Name) {
			t.Errorf("operator %s has no row", o.Name)
		}
	}
}
