package onnximport_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnximport"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	"ebm/models/tensor"
)

// bodyOf returns a graph whose inputs have the types of values.
func bodyOf(inputs []string, types []arg, outputs []*onnxpb.ValueInfoProto, nodes ...*onnxpb.NodeProto) *onnxpb.GraphProto {
	g := &onnxpb.GraphProto{Name: proto.String("body"), Node: nodes, Output: outputs}
	for i, name := range inputs {
		g.Input = append(g.Input, inputInfo(name, types[i].value))
	}
	return g
}

func infos(names []string, types ...arg) (list []*onnxpb.ValueInfoProto) {
	for i, name := range names {
		list = append(list, inputInfo(name, types[i].value))
	}
	return list
}

func one(v any) arg {
	switch v := v.(type) {
	case bool:
		return arg{value: tensor.Of([]bool{v}), fixed: true}
	case int:
		return arg{value: tensor.Of([]int64{int64(v)}), fixed: true}
	}
	panic(v)
}

// loopModel repeats h ← tanh(h + w·x[i]) and stacks 2h; it ends at a number of steps, or
// before where the sum of h is 1 or more, if so wanted.
func loopModel(steps int, ends bool) (*onnxpb.ModelProto, map[string]*tensor.Tensor) {
	state := small(2, 3)
	nodes := []*onnxpb.NodeProto{
		node("Gather", []string{"x", "i"}, []string{"xi"}, attrs{"axis": 0}),
		node("Mul", []string{"xi", "w"}, []string{"wx"}, nil),
		node("Add", []string{"h", "wx"}, []string{"s"}, nil),
		node("Tanh", []string{"s"}, []string{"next"}, nil),
	}
	inputs, types := []string{"i", "go", "h"}, []arg{one(0), one(true), state}
	if ends {
		nodes = append(nodes, node("ReduceSum", []string{"next"}, []string{"sum"}, attrs{"keepdims": 0}),
			node("Less", []string{"sum", "limit"}, []string{"on"}, nil))
		body := bodyOf(inputs, types, infos([]string{"on", "next"}, one(true), state), nodes...)
		return model(17, map[string]arg{"x": v(steps, 2, 3), "w": v(3), "h0": state, "n": one(steps), "yes": one(true), "limit": scalar(1)},
			[]string{"y"}, node("Loop", []string{"n", "yes", "h0"}, []string{"y"}, attrs{"body": body}))
	}
	nodes = append(nodes, node("Identity", []string{"go"}, []string{"on"}, nil), node("Add", []string{"next", "next"}, []string{"twice"}, nil))
	body := bodyOf(inputs, types, infos([]string{"on", "next", "twice"}, one(true), state, state), nodes...)
	return model(17, map[string]arg{"x": v(steps, 2, 3), "w": v(3), "h0": state, "n": one(steps)}, []string{"y", "all"},
		node("Loop", []string{"n", "", "h0"}, []string{"y", "all"}, attrs{"body": body}))
}

// scanModel carries a sum along two axes at once, one of them backwards.
func scanModel() (*onnxpb.ModelProto, map[string]*tensor.Tensor) {
	row := v(3)
	body := bodyOf([]string{"sum", "a", "b"}, []arg{row, row, row}, infos([]string{"next", "out"}, row, row),
		node("Mul", []string{"a", "b"}, []string{"ab"}, nil),
		node("Mul", []string{"ab", "w"}, []string{"wab"}, nil),
		node("Add", []string{"sum", "wab"}, []string{"next"}, nil),
		node("Sin", []string{"next"}, []string{"out"}, nil))
	return model(17, map[string]arg{"s": row, "x": v(4, 3), "z": v(3, 4), "w": v(3)}, []string{"y", "all"},
		node("Scan", []string{"s", "x", "z"}, []string{"y", "all"}, attrs{"body": body, "num_scan_inputs": 2, "scan_input_axes": []int{0, 1},
			"scan_input_directions": []int{0, 1}, "scan_output_axes": []int{1}, "scan_output_directions": []int{1}}))
}

// sequenceModel takes parts of x apart, and puts others together.
func sequenceModel() (*onnxpb.ModelProto, map[string]*tensor.Tensor) {
	body := bodyOf([]string{"part"}, []arg{v(1, 3)}, infos([]string{"out"}, v(1, 3)), node("Sin", []string{"part"}, []string{"out"}, nil))
	return model(17, map[string]arg{"x": v(4, 3), "one": one(1), "minus": one(-1), "sizes": ints(1, 3)}, []string{"y", "z", "n", "twice"},
		node("SplitToSequence", []string{"x", "one"}, []string{"rows"}, nil),
		node("SequenceAt", []string{"rows", "minus"}, []string{"last"}, nil),
		node("SequenceErase", []string{"rows", "one"}, []string{"fewer"}, nil),
		node("SequenceInsert", []string{"fewer", "last", "one"}, []string{"more"}, nil),
		node("SequenceMap", []string{"more"}, []string{"sines"}, attrs{"body": body}),
		node("ConcatFromSequence", []string{"sines"}, []string{"y"}, attrs{"axis": 0}),
		node("SequenceEmpty", nil, []string{"none"}, nil),
		node("SequenceInsert", []string{"none", "x"}, []string{"single"}, nil),
		node("ConcatFromSequence", []string{"single"}, []string{"z"}, attrs{"axis": -1, "new_axis": 1}),
		node("SequenceLength", []string{"more"}, []string{"n"}, nil),
		node("SequenceConstruct", []string{"x", "last"}, []string{"both"}, nil),
		node("ConcatFromSequence", []string{"both"}, []string{"twice"}, attrs{"axis": 0}))
}

// TestLoopsAndSequences runs each model in ONNX Runtime, and compares with the graph,
// with its file, and with differences. Loops become nodes or a Scan.
func TestLoopsAndSequences(t *testing.T) {
	rt := testkit.Open(t, 1)
	for name, build := range map[string]func() (*onnxpb.ModelProto, map[string]*tensor.Tensor){
		"3 steps":        func() (*onnxpb.ModelProto, map[string]*tensor.Tensor) { return loopModel(3, false) },
		"30 steps":       func() (*onnxpb.ModelProto, map[string]*tensor.Tensor) { return loopModel(30, false) },
		"to a condition": func() (*onnxpb.ModelProto, map[string]*tensor.Tensor) { return loopModel(6, true) },
		"scan":           scanModel,
		"sequences":      sequenceModel,
	} {
		t.Run(name, func(t *testing.T) {
			p, inputs := build()
			rename(p.Graph)
			m := parse(t, p, onnximport.Options{})
			if scans := strings.Contains(m.Graph.String(), "Scan"); scans != (name == "30 steps" || name == "scan") {
				t.Errorf("a Scan: %v\n%v", scans, m.Graph)
			}
			want := original(t, rt, p, m, inputs)
			got := testkit.Interpret(t, m.Graph, inputs)
			for out, w := range want {
				close(t, out, got[out], w, 2e-5)
			}
			for out, y := range testkit.RunModel(t, rt, testkit.Encode(t, m.Graph), inputs) {
				close(t, out+" exported", y, want[out], 2e-5)
			}
			if err := gradients(m.Graph, inputs); err != nil {
				t.Error(err)
			}
		})
	}
}

// rename calls nodes by what they compute, so that all names differ.
func rename(g *onnxpb.GraphProto) {
	for _, n := range g.Node {
		n.Name = proto.String("to_" + n.Output[0])
		for _, a := range n.Attribute {
			if a.G != nil {
				rename(a.G)
			}
		}
	}
}

// TestSymbolicLoop has as many steps as x has rows.
func TestSymbolicLoop(t *testing.T) {
	p, inputs := loopModel(5, false)
	p.Graph.Node = append([]*onnxpb.NodeProto{
		node("Shape", []string{"x"}, []string{"dims"}, attrs{"end": 1}),
		node("Squeeze", []string{"dims"}, []string{"steps"}, nil),
	}, p.Graph.Node...)
	p.Graph.Node[2].Input[0] = "steps"
	for _, in := range p.Graph.Input {
		if in.GetName() == "x" {
			in.Type.GetTensorType().Shape.Dim[0].Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "T"}
		}
	}
	m := parse(t, p, onnximport.Options{})
	fixed, _ := loopModel(5, false)
	sameValues(t, parse(t, fixed, onnximport.Options{}).Graph, m.Graph, inputs, 1e-12)
}

func TestLoopRefusals(t *testing.T) {
	endless, _ := loopModel(6, true)
	endless.Graph.Node[0].Input[0] = ""
	stacked, _ := loopModel(3, false)
	stacked.Graph.Node[0].GetAttribute()[0].G.Node[4].Input[0] = "none"
	for name, test := range map[string]struct {
		model *onnxpb.ModelProto
		want  string
	}{
		"no bound":        {endless, "want a number of steps that bounds it"},
		"unknown operand": {stacked, `operand "none"`},
	} {
		if _, err := onnximport.Parse(bytesOf(test.model), onnximport.Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q in it", name, err, test.want)
		}
	}
}

// TestRandom has random numbers as inputs.
func TestRandom(t *testing.T) {
	p, inputs := model(22, map[string]arg{"x": v(2, 3)}, []string{"y", "u", "z", "w", "b"},
		node("RandomNormalLike", []string{"x"}, []string{"n"}, attrs{"mean": 1.0, "scale": 2.0}),
		node("Add", []string{"x", "n"}, []string{"y"}, nil),
		node("RandomUniformLike", []string{"x"}, []string{"u"}, attrs{"low": -1.0, "high": 3.0}),
		node("RandomUniform", nil, []string{"z"}, attrs{"shape": []int{2}}),
		node("RandomNormal", nil, []string{"w"}, attrs{"shape": []int{2}, "seed": 3.0}),
		node("Sigmoid", []string{"x"}, []string{"p"}, nil),
		node("Bernoulli", []string{"p"}, []string{"b"}, nil))
	m := parse(t, p, onnximport.Options{})
	noise := map[string][]int{"n": {2, 3}, "u": {2, 3}, "z": {2}, "w": {2}, "b": {2, 3}}
	for name, shape := range noise {
		in := onnximport.NoiseInput(name)
		if m.Docs[in] == "" {
			t.Errorf("nothing says what %q is", in)
		}
		inputs[in] = positive(shape...).value
		for i, v := range tensor.Data[float32](inputs[in]) {
			tensor.Data[float32](inputs[in])[i] = v / 2 // from ¼ to 1
		}
	}
	out := testkit.Interpret(t, m.Graph, inputs)
	for i := range 6 {
		x, n, u := inputs["x"].Float64s()[i], inputs["noise/n"].Float64s()[i], inputs["noise/u"].Float64s()[i]
		if got := out["y"].Float64s()[i]; got-(x+2*n+1) > 1e-6 || got-(x+2*n+1) < -1e-6 {
			t.Errorf("y[%d] = %g", i, got)
		}
		if got := out["u"].Float64s()[i]; got-(4*u-1) > 1e-6 || got-(4*u-1) < -1e-6 {
			t.Errorf("u[%d] = %g", i, got)
		}
		if b := out["b"].Float64s()[i]; b != 0 && b != 1 {
			t.Errorf("b[%d] = %g", i, b)
		}
	}
	for _, name := range []string{"z", "w"} {
		if got, want := fmt.Sprint(out[name].Float64s()), fmt.Sprint(inputs["noise/"+name].Float64s()); got != want {
			t.Errorf("%s is %s, want its input %s", name, got, want)
		}
	}
}
