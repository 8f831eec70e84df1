package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnximport"
	"ebm/export/onnxpb"
	"ebm/models/autodiff"
	"ebm/models/gradcheck"
	"ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// result is how far one model came.
type result struct {
	imported, importedFixed bool   // with all inputs left as inputs, or else with some as constants
	correct, correctFixed   bool   // and the interpreter gives the expected outputs
	smooth                  bool   // an output and an input are floating-point and connected
	differentiable          bool   // the gradient agrees with differences
	operator, problem       string // what is in the way of correct, or else of differentiable
}

// examine imports the model in dir, runs it on the data beside it, and checks
// its gradient. A model that needs some inputs as constants, such as a shape,
// gets those from the data, and is counted apart.
func examine(dir string, directions int) (r result) {
	sets, _ := filepath.Glob(filepath.Join(dir, "test_data_set_*"))
	if len(sets) == 0 {
		return result{problem: "no data"}
	}
	fixed := false
	for _, set := range sets {
		data, err := readSet(dir, set)
		if err != nil {
			return result{problem: err.Error()}
		}
		m, constants, err := data.read(dir)
		if err != nil {
			r.operator, r.problem = cause(err)
		}
		if m == nil {
			return r
		}
		fixed = fixed || constants
		r.imported, r.importedFixed = !fixed, fixed
		inputs, err := data.run(m, readTolerances(dir))
		if err != nil {
			r.operator, r.problem = operatorOf(dir), err.Error()
			return r
		}
		if set != sets[0] || directions == 0 {
			continue
		}
		if symbolic(m.Graph) { // the objective needs shapes that are numbers
			if fixed, err := onnximport.Read(filepath.Join(dir, "model.onnx"), onnximport.Options{Sizes: data.sizes}); err == nil {
				m = fixed
			}
		}
		r.smooth, err = differences(m.Graph, moved(inputs), directions)
		r.differentiable = r.smooth && err == nil
		if err != nil && !fixed {
			r.operator, r.problem = operatorOf(dir), "gradient: "+err.Error()
		}
	}
	r.correct, r.correctFixed = !fixed, fixed
	return r
}

// cause returns the operator and the reason of the first thing that stands in the way
// of a model.
func cause(err error) (operator, reason string) {
	if e := new(onnximport.Unreadable); errors.As(err, &e) {
		return e.Problems[0].Operator, e.Problems[0].Reason
	}
	return "", err.Error()
}

// operatorOf returns the operators of the model in dir.
func operatorOf(dir string) string {
	p := &onnxpb.ModelProto{}
	if b, err := os.ReadFile(filepath.Join(dir, "model.onnx")); err != nil || proto.Unmarshal(b, p) != nil {
		return ""
	}
	var names []string
	for _, n := range p.GetGraph().GetNode() {
		if !slices.Contains(names, n.GetOpType()) {
			names = append(names, n.GetOpType())
		}
	}
	return strings.Join(names, "+")
}

func symbolic(g *graph.Graph) bool {
	for _, in := range g.Inputs() {
		if _, ok := in.Shape().Static(); !ok {
			return true
		}
	}
	return false
}

// dataSet is the inputs and outputs of one run, in the order of the model's.
type dataSet struct {
	names           []string
	sizes           map[string]int // of the symbols in the inputs' shapes
	inputs, outputs map[string]*tensor.Tensor
}

func readSet(dir, set string) (d dataSet, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "model.onnx"))
	if err != nil {
		return d, err
	}
	p := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(b, p); err != nil {
		return d, err
	}
	read := func(stem string, list []*onnxpb.ValueInfoProto) (map[string]*tensor.Tensor, error) {
		values := make(map[string]*tensor.Tensor)
		for i, v := range list {
			t, err := readPB(filepath.Join(set, fmt.Sprintf("%s_%d.pb", stem, i)))
			if os.IsNotExist(err) {
				continue // an initialiser, or what is no tensor
			}
			if err != nil {
				return nil, fmt.Errorf("%s %q: %w", stem, v.GetName(), err)
			}
			values[v.GetName()] = t
		}
		return values, nil
	}
	if d.inputs, err = read("input", p.GetGraph().GetInput()); err != nil {
		return d, err
	}
	d.sizes = make(map[string]int)
	for _, in := range p.GetGraph().GetInput() {
		d.names = append(d.names, in.GetName())
		for axis, dim := range in.GetType().GetTensorType().GetShape().GetDim() {
			if _, fixed := dim.GetValue().(*onnxpb.TensorShapeProto_Dimension_DimValue); fixed {
				continue
			}
			name := dim.GetDimParam()
			if name == "" || name == "?" {
				name = fmt.Sprintf("%s.%d", in.GetName(), axis)
			}
			if t := d.inputs[in.GetName()]; t != nil && axis < t.Rank() {
				d.sizes[name] = t.Shape()[axis]
			}
		}
	}
	d.outputs, err = read("output", p.GetGraph().GetOutput())
	return d, err
}

// read imports the model as it is; or else with the sizes of the data. Where neither
// can be read, it returns why, and what comes with the integers among the inputs fixed
// too, or with all but the first fixed, nil for nothing.
func (d dataSet) read(dir string) (m *onnximport.Model, fixed bool, err error) {
	path := filepath.Join(dir, "model.onnx")
	if m, err = onnximport.Read(path, onnximport.Options{}); err == nil {
		return m, false, nil
	}
	if m, err = onnximport.Read(path, onnximport.Options{Sizes: d.sizes}); err == nil {
		return m, false, nil
	}
	integers, rest := make(map[string]*tensor.Tensor), make(map[string]*tensor.Tensor)
	for i, name := range d.names {
		if t := d.inputs[name]; t != nil {
			if !t.DType().IsFloat() {
				integers[name] = t
			}
			if i > 0 {
				rest[name] = t
			}
		}
	}
	for _, values := range []map[string]*tensor.Tensor{integers, rest} {
		if m, failed := onnximport.Read(path, onnximport.Options{Sizes: d.sizes, Values: values}); failed == nil {
			return m, true, err
		}
	}
	return nil, true, err
}

// run compares the outputs with those of the data, and returns the inputs.
func (d dataSet) run(m *onnximport.Model, tol tolerances) (map[string]*tensor.Tensor, error) {
	inputs := make(map[string]*tensor.Tensor)
	for _, in := range m.Graph.Inputs() {
		if inputs[in.InputName()] = d.inputs[in.InputName()]; in.InputName() == onnximport.SeedInput {
			inputs[in.InputName()] = tensor.New(tensor.Int64, 1) // of dropout, which some tests turn off
		}
	}
	got, err := interp.Run(m.Graph, inputs)
	if err != nil {
		return nil, err
	}
	for _, out := range m.Graph.Outputs() {
		if d.outputs[out.Name] == nil {
			return nil, fmt.Errorf("output %q is not in the data", out.Name)
		}
		if err := compare(rounded(got[out.Name], out.Node.DType()), d.outputs[out.Name], tol); err != nil {
			return nil, fmt.Errorf("output %q: %w", out.Name, err)
		}
	}
	return inputs, nil
}

// rounded returns values of the interpreter, which computes in float64, in the precision
// of an output.
func rounded(t *tensor.Tensor, dtype tensor.DType) *tensor.Tensor {
	switch dtype {
	case tensor.Float16:
		return t.AsFloat16()
	case tensor.BFloat16:
		out := tensor.New(dtype, t.Shape()...)
		for i, v := range t.Float64s() {
			b := math.Float32bits(float32(v))
			if b += 0x7fff + b>>16&1; v != v {
				b = math.Float32bits(float32(v))
			}
			tensor.Data[tensor.BFloat16Bits](out)[i] = tensor.BFloat16Bits(b >> 16)
		}
		return out
	}
	return t
}

// moved returns inputs moved up a little, away from where functions bend: the
// data of the tests lie at 0 and at whole numbers. What is not finite or huge
// becomes ½.
func moved(inputs map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	out := make(map[string]*tensor.Tensor)
	for name, t := range inputs {
		out[name] = t
		if t == nil || !t.DType().IsFloat() {
			continue
		}
		t = t.AsFloat64().Clone()
		for i, v := range tensor.Data[float64](t) {
			if !(math.Abs(v) <= 1e6) {
				v = 0.5
			}
			tensor.Data[float64](t)[i] = v + 0.003*(1+math.Abs(v))*(0.65+0.35*math.Sin(float64(i)))
		}
		out[name] = t
	}
	return out
}

func compare(got, want *tensor.Tensor, tol tolerances) error {
	if fmt.Sprint(got.Shape()) != fmt.Sprint(want.Shape()) {
		return fmt.Errorf("shape %v, want %v", got.Shape(), want.Shape())
	}
	a, b := got.Float64s(), want.Float64s()
	for i := range a {
		same := a[i] == b[i] || math.IsNaN(a[i]) && math.IsNaN(b[i])
		if !same && !(math.Abs(a[i]-b[i]) <= tol.Atol+tol.Rtol*math.Abs(b[i])) {
			return fmt.Errorf("element %d is %g, want %g", i, a[i], b[i])
		}
	}
	return nil
}

func readPB(path string) (*tensor.Tensor, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := &onnxpb.TensorProto{}
	if err := proto.Unmarshal(b, p); err != nil {
		return nil, err
	}
	return onnximport.Tensor(p)
}

// differences compares the gradient of a weighted sum of every floating-point
// output by every floating-point input with finite differences, by element, or
// at random directions where there are more elements. connected is false where there is nothing to compare.
func differences(g *graph.Graph, values map[string]*tensor.Tensor, directions int) (connected bool, err error) {
	sum, xs := objective(g)
	if sum == nil || len(xs) == 0 {
		return false, nil
	}
	var grads []*graph.Node
	back := func() { grads = autodiff.GradientsBySlopes([]*graph.Node{sum}, []*graph.Node{graph.Like(sum, 1)}, xs) }
	if err := graph.Catch(back); err != nil {
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
	d := gradcheck.Directions{Seed: 1}
	if len(point) > directions {
		d.Random = directions
	}
	// A large network bends somewhere within a long step, and rounding spoils
	// short ones: the gradient is right if differences agree at any length.
	var report gradcheck.Report
	for _, d.Step = range []float64{1e-5, 1e-6, 1e-7} {
		if report, err = gradcheck.Directional(f, point, gradient, d); err != nil || report.Relative() <= 1e-5 {
			break
		}
	}
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
		weights := graph.Cos(graph.Scale(y, 0.7)) // where only values say how many elements there are
		if size, ok := y.Shape().Static(); ok {
			c := tensor.New(tensor.Float64, size...)
			for i := range tensor.Data[float64](c) {
				tensor.Data[float64](c)[i] = math.Sin(float64(i + 1))
			}
			weights = g.Constant(c)
		}
		term := graph.ReduceSum(graph.Mul(y, weights))
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
