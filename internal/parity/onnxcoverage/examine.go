package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnximport"
	"ebm/export/onnxpb"
	"ebm/internal/gradcheck"
	"ebm/internal/interp"
	"ebm/models/autodiff"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// result is how far one model came.
type result struct {
	imported       bool
	correct        bool // the interpreter gives the expected outputs
	smooth         bool // an output and an input are floating-point and connected
	differentiable bool // the gradient agrees with differences
	problem        string
}

// examine imports the model in dir, runs it on the data beside it, and checks
// its gradient.
func examine(dir string) (r result) {
	m, err := onnximport.Read(filepath.Join(dir, "model.onnx"), onnximport.Options{})
	if err != nil {
		return result{problem: strings.TrimPrefix(err.Error(), filepath.Join(dir, "model.onnx")+": ")}
	}
	r.imported = true
	sets, _ := filepath.Glob(filepath.Join(dir, "test_data_set_*"))
	if len(sets) == 0 {
		r.problem = "no data"
		return r
	}
	var first map[string]*tensor.Tensor
	for _, set := range sets {
		inputs, err := run(m, set, readTolerances(dir))
		if err != nil {
			r.problem = err.Error()
			return r
		}
		if first == nil {
			first = inputs
		}
	}
	r.correct = true
	r.smooth, err = differences(m.Graph, first)
	r.differentiable = r.smooth && err == nil
	if err != nil {
		r.problem = "gradient: " + err.Error()
	}
	return r
}

// run compares the outputs for one set of data.
func run(m *onnximport.Model, set string, tol tolerances) (map[string]*tensor.Tensor, error) {
	inputs := make(map[string]*tensor.Tensor)
	names := map[string]bool{}
	for _, in := range m.Graph.Inputs() {
		names[in.InputName()] = true
	}
	files, _ := filepath.Glob(filepath.Join(set, "input_*.pb"))
	for i, path := range files {
		t, name, err := readPB(path)
		if err != nil {
			return nil, err
		}
		if name == "" && i < len(m.Graph.Inputs()) {
			name = m.Graph.Inputs()[i].InputName()
		}
		if names[name] {
			inputs[name] = t
		}
	}
	got, err := interp.Run(m.Graph, inputs)
	if err != nil {
		return nil, err
	}
	for i, out := range m.Graph.Outputs() {
		want, _, err := readPB(filepath.Join(set, "output_"+strconv.Itoa(i)+".pb"))
		if err != nil {
			return nil, err
		}
		if err := compare(got[out.Name], want, tol); err != nil {
			return nil, fmt.Errorf("output %q: %w", out.Name, err)
		}
	}
	return inputs, nil
}

func compare(got, want *tensor.Tensor, tol tolerances) error {
	if fmt.Sprint(got.Shape()) != fmt.Sprint(want.Shape()) {
		return fmt.Errorf("shape %v, wanted %v", got.Shape(), want.Shape())
	}
	a, b := got.Float64s(), want.Float64s()
	for i := range a {
		same := a[i] == b[i] || math.IsNaN(a[i]) && math.IsNaN(b[i])
		if !same && !(math.Abs(a[i]-b[i]) <= tol.Atol+tol.Rtol*math.Abs(b[i])) {
			return fmt.Errorf("element %d is %g, wanted %g", i, a[i], b[i])
		}
	}
	return nil
}

// readPB reads a tensor through the importer, as the constant of a model.
func readPB(path string) (*tensor.Tensor, string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	p := &onnxpb.TensorProto{}
	if err := proto.Unmarshal(b, p); err != nil {
		return nil, "", err
	}
	name := p.GetName()
	t, err := onnximport.Tensor(p)
	return t, name, err
}

// differences compares the gradient of a weighted sum of every floating-point
// output by every floating-point input with finite differences, at up to 40
// random directions. connected is false where there is nothing to compare.
func differences(g *graph.Graph, values map[string]*tensor.Tensor) (connected bool, err error) {
	sum, xs := objective(g)
	if sum == nil || len(xs) == 0 {
		return false, nil
	}
	var grads []*graph.Node
	if err := graph.Catch(func() { grads = autodiff.Gradient(sum, xs...) }); err != nil {
		return true, err
	}
	tensors, err := interp.Eval(g, values, grads...)
	if err != nil {
		return true, err
	}
	var gradient, point []float64
	at := make(map[string]*tensor.Tensor)
	for name, t := range values {
		at[name] = t
	}
	for i, x := range xs {
		gradient = append(gradient, tensors[i].Float64s()...)
		at[x.InputName()] = values[x.InputName()].AsFloat64().Clone()
		point = append(point, at[x.InputName()].Float64s()...)
	}
	f := func(v []float64) (float64, error) {
		for _, x := range xs {
			data := tensor.Data[float64](at[x.InputName()])
			copy(data, v)
			v = v[len(data):]
		}
		out, err := interp.Eval(g, at, sum)
		if err != nil {
			return 0, err
		}
		return out[0].Float64s()[0], nil
	}
	d := gradcheck.Directions{Step: 1e-5, Seed: 1}
	if len(point) > 40 {
		d.Random = 40
	}
	report, err := gradcheck.Directional(f, point, gradient, d)
	if err != nil {
		return true, err
	}
	if !(report.Relative() <= 1e-5) {
		return true, fmt.Errorf("%g along direction %d, differences give %g", report.Given, report.Worst, report.Difference)
	}
	return true, nil
}

// objective returns Σ c·y over all floating-point outputs, with weights c that
// differ, and the floating-point inputs that it depends on.
func objective(g *graph.Graph) (sum *graph.Node, xs []*graph.Node) {
	depends := make([]bool, 0, len(g.Nodes()))
	for _, n := range g.Nodes() {
		d := n.Op() == graph.OpInput && n.DType().IsFloat()
		for _, in := range n.Inputs() {
			d = d || depends[in.ID()]
		}
		depends = append(depends, d && n.DType().IsFloat())
	}
	used := false
	for _, out := range g.Outputs() {
		y := out.Node
		if !y.DType().IsFloat() || !depends[y.ID()] {
			continue
		}
		used = true
		y = graph.Cast(y, tensor.Float64)
		size, ok := y.Shape().Static()
		if !ok {
			continue
		}
		c := tensor.New(tensor.Float64, size...)
		for i := range tensor.Data[float64](c) {
			tensor.Data[float64](c)[i] = math.Sin(float64(i + 1))
		}
		term := graph.ReduceSum(graph.Mul(y, g.Constant(c)))
		if sum != nil {
			term = graph.Add(sum, term)
		}
		sum = term
	}
	if !used || sum == nil {
		return nil, nil
	}
	for _, in := range g.Inputs() {
		if in.DType().IsFloat() && reaches(g, in, sum) {
			xs = append(xs, in)
		}
	}
	return sum, xs
}

// reaches reports whether y depends on x through floating-point values.
func reaches(g *graph.Graph, x, y *graph.Node) bool {
	d := make([]bool, len(g.Nodes()))
	d[x.ID()] = true
	for _, n := range g.Nodes() {
		for _, in := range n.Inputs() {
			d[n.ID()] = d[n.ID()] || d[in.ID()] && n.DType().IsFloat()
		}
	}
	return d[y.ID()]
}
