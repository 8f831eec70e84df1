package onnximport_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnximport"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	g "ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// parse imports a model, and fails the test when that does.
func parse(t *testing.T, m *onnxpb.ModelProto, o onnximport.Options) *onnximport.Model {
	t.Helper()
	got, err := onnximport.Parse(bytesOf(m), o)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// symbolicInput declares an input whose first axis is a symbol.
func symbolicInput(m *onnxpb.ModelProto, name string) {
	for _, in := range m.Graph.Input {
		if in.GetName() == name {
			in.Type.GetTensorType().Shape.Dim[0].Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "N"}
		}
	}
}

// TestShapesAreFollowed imports what exporters write for x.view(x.size(0) * 2, -1):
// the new shape is computed by the model.
func TestShapesAreFollowed(t *testing.T) {
	m, inputs := viewModel()
	got := parse(t, m, onnximport.Options{})
	if s := got.Values["y"].Shape().String(); s != "[2·N 6]" {
		t.Errorf("y has shape %s, want [2·N 6]", s)
	}
	out := testkit.Interpret(t, got.Graph, inputs)
	if n := out["n"]; n.Len() != 1 || n.Float64s()[0] != 4 {
		t.Errorf("2·N is %v", n.Raw())
	}
	if n := out["float"]; n.Len() != 1 || n.Float64s()[0] != 3 {
		t.Errorf("the second dimension is %v", n.Raw())
	}
	fixed := parse(t, m, onnximport.Options{Sizes: map[string]int{"N": 5}})
	if s := fixed.Values["y"].Shape().String(); s != "[10 6]" {
		t.Errorf("y has shape %s, want [10 6]", s)
	}
}

// TestExpandIsFollowed imports what exporters write for
// x.expand(y.size(0), -1): −1 becomes 1, and the batch stays.
func TestExpandIsFollowed(t *testing.T) {
	m, inputs := expandModel()
	got := parse(t, m, onnximport.Options{})
	if s := got.Values["e"].Shape().String(); s != "[N 3]" {
		t.Errorf("e has shape %s, want [N 3]", s)
	}
	if _, err := interp.Run(got.Graph, inputs); err != nil {
		t.Error(err)
	}
}

// TestRangeOfSymbol counts to the size of a batch.
func TestRangeOfSymbol(t *testing.T) {
	m, inputs := rangeModel()
	got := parse(t, m, onnximport.Options{})
	rt := testkit.Open(t, 1)
	b := testkit.Encode(t, got.Graph)
	slow := testkit.Interpret(t, got.Graph, inputs)
	want := tensor.Of([]float64{0, 1, 2, 3}, 4)
	close(t, "y", slow["y"], want, 0)
	close(t, "y in ONNX Runtime", testkit.RunModel(t, rt, b, inputs)["y"], want, 0)
}

// TestMeanOverSymbol divides by a number of elements that is known at run
// time only.
func TestMeanOverSymbol(t *testing.T) {
	m, _ := model(13, map[string]arg{"x": v(2, 3)}, []string{"y"},
		node("ReduceMean", []string{"x"}, []string{"y"}, attrs{"axes": []int{0}, "keepdims": 0}))
	symbolicInput(m, "x")
	got := parse(t, m, onnximport.Options{})
	out := testkit.Interpret(t, got.Graph, map[string]*tensor.Tensor{"x": tensor.Of([]float32{1, 2, 3, 4, 5, 9}, 2, 3)})
	close(t, "y", out["y"], tensor.Of([]float64{2.5, 3.5, 6}, 3), 1e-12)
}

func TestValuesBecomeConstants(t *testing.T) {
	m, inputs := model(13, map[string]arg{"x": v(2, 3), "shape": whole([]int{2}, 3, 2)}, []string{"y"},
		node("Reshape", []string{"x", "shape"}, []string{"y"}, nil))
	if open := parse(t, m, onnximport.Options{}); open.Values["y"].Shape().String() != "[size1 size2]" {
		t.Errorf("an open shape gives %v", open.Values["y"])
	}
	got := parse(t, m, onnximport.Options{Values: map[string]*tensor.Tensor{"shape": inputs["shape"]}})
	if len(got.Graph.Inputs()) != 1 || got.Values["y"].Shape().String() != "[3 2]" {
		t.Errorf("the graph is %v", got.Graph)
	}
	for _, bad := range []*tensor.Tensor{tensor.Of([]int64{3, 2, 1}, 3), tensor.Of([]float32{3, 2}, 2), tensor.Of([]int64{6})} {
		if _, err := onnximport.Parse(bytesOf(m), onnximport.Options{Values: map[string]*tensor.Tensor{"shape": bad}}); err == nil {
			t.Errorf("the value %v gives no error", bad)
		}
	}
}

// half precision is computed in float32 and rounded at the ends.
func TestHalfPrecision(t *testing.T) {
	x := tensor.Of([]tensor.Float16Bits{0x3c00, 0x4000}, 2) // 1, 2
	for _, w := range []*tensor.Tensor{
		tensor.Of([]tensor.Float16Bits{0x3e00, 0xb800}, 2),  // 1.5, −0.5
		tensor.Of([]tensor.BFloat16Bits{0x3fc0, 0xbf00}, 2), // the same
	} {
		m, inputs := model(13, map[string]arg{"x": {value: x}, "w": {value: w, fixed: true}}, []string{"y"},
			node("Mul", []string{"x", "w"}, []string{"y"}, nil))
		m.Graph.Output[0] = inputInfo("y", x)
		got := parse(t, m, onnximport.Options{})
		if d := got.Graph.Inputs()[0].DType(); d != tensor.Float16 {
			t.Errorf("the input is %v", d)
		}
		if d := got.Graph.Outputs()[0].Node.DType(); d != tensor.Float16 {
			t.Errorf("the output is %v", d)
		}
		out := testkit.Interpret(t, got.Graph, inputs)
		close(t, "y", out["y"], tensor.Of([]float64{1.5, -1}, 2), 0)
	}
}

func TestExternalData(t *testing.T) {
	dir := t.TempDir()
	raw := make([]byte, 4+8)
	binary.LittleEndian.PutUint32(raw[4:], math.Float32bits(2))
	binary.LittleEndian.PutUint32(raw[8:], math.Float32bits(3))
	testkit.Write(t, filepath.Join(dir, "weights.bin"), raw)
	testkit.Write(t, filepath.Join(filepath.Dir(dir), "secret.bin"), raw)
	external := func(pairs ...string) *onnxpb.ModelProto {
		m, _ := model(13, map[string]arg{"x": v(2), "w": weight(v(2))}, []string{"y"}, node("Mul", []string{"x", "w"}, []string{"y"}, nil))
		w := m.Graph.Initializer[0]
		w.FloatData, w.DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum()
		for i := 0; i < len(pairs); i += 2 {
			w.ExternalData = append(w.ExternalData, &onnxpb.StringStringEntryProto{Key: proto.String(pairs[i]), Value: proto.String(pairs[i+1])})
		}
		return m
	}
	path := filepath.Join(dir, "model.onnx")
	testkit.Write(t, path, bytesOf(external("location", "weights.bin", "offset", "4", "length", "8")))
	m, err := onnximport.Read(path, onnximport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if w := m.Values["w"].ConstantValue().Raw().([]float32); w[0] != 2 || w[1] != 3 {
		t.Errorf("external weights are %v", w)
	}
	if err := exec.Command("mkfifo", filepath.Join(dir, "fifo")).Run(); err != nil {
		testkit.Mkdir(t, dir, "fifo") // where there are none
	}
	for _, test := range []struct {
		pairs []string
		want  string
	}{
		{[]string{"location", "../secret.bin", "offset", "4"}, "want a file in the model's folder"},
		{[]string{"location", "/etc/passwd"}, "want a file in the model's folder"},
		{[]string{"location", "none.bin"}, "no such file"},
		{[]string{"location", "weights.bin", "offset", "8"}, "bytes 8 to 16 of weights.bin, which has 12"},
		{[]string{"location", "weights.bin", "offset", "-4"}, "bytes -4"},
		{[]string{"location", "weights.bin", "length", "4"}, "4 bytes, want 8"},
		{[]string{"location", "weights.bin", "offset", "x"}, "not a number"},
		{[]string{"location", "."}, "want a file"},
		{[]string{"location", "fifo"}, "want a file"}, // where opening would wait
	} {
		_, err := onnximport.Parse(bytesOf(external(test.pairs...)), onnximport.Options{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, want one with %q", test.pairs, err, test.want)
		}
	}
	if _, err := onnximport.Parse(bytesOf(external("location", "weights.bin")), onnximport.Options{}); err == nil {
		t.Error("external data without a folder: no error")
	}
}

// TestBombs has files of some hundred bytes with results of terabytes.
func TestBombs(t *testing.T) {
	const side = 1 << 20
	huge := ints(side, side)
	for op, nodes := range map[string][]*onnxpb.NodeProto{
		"ConstantOfShape": {node("ConstantOfShape", []string{"shape"}, []string{"big"}, nil)},
		"Expand":          {node("Expand", []string{"one", "shape"}, []string{"big"}, nil)},
		"Tile": {node("Reshape", []string{"one", "ones"}, []string{"flat"}, nil),
			node("Tile", []string{"flat", "shape"}, []string{"big"}, nil)},
		"Resize": {node("Reshape", []string{"one", "picture"}, []string{"pixel"}, nil),
			node("Resize", []string{"pixel", "", "", "sizes"}, []string{"big"}, attrs{"mode": "nearest"})},
		"Range": {node("Range", []string{"from", "to", "step"}, []string{"big"}, nil)},
	} {
		m, _ := model(13, map[string]arg{"x": v(2), "shape": huge, "one": floats(1), "ones": ints(1, 1), "picture": ints(1, 1, 1, 1),
			"sizes": ints(1, 1, side, side), "from": scalarInt(0), "to": scalarInt(side * side), "step": scalarInt(1)},
			[]string{"y"}, append(nodes, node("ReduceMax", []string{"big"}, []string{"max"}, attrs{"keepdims": 0}),
				node("Cast", []string{"max"}, []string{"float"}, attrs{"to": 1}), node("Mul", []string{"x", "float"}, []string{"y"}, nil))...)
		if _, err := onnximport.Parse(bytesOf(m), onnximport.Options{}); err == nil || !strings.Contains(err.Error(), op) {
			t.Errorf("%s: error %v, want one that names it", op, err)
		} else {
			t.Log(err)
		}
	}
}

// branches returns a model y = If(cond, 2·x, x + 1) with cond as an operand.
func branches(cond arg) (*onnxpb.ModelProto, map[string]*tensor.Tensor) {
	branch := func(op string, c float32) *onnxpb.GraphProto {
		return &onnxpb.GraphProto{
			Name:        proto.String("branch"),
			Initializer: []*onnxpb.TensorProto{protoOf("c", tensor.Of([]float32{c}))},
			Node:        []*onnxpb.NodeProto{node(op, []string{"x", "c"}, []string{"z"}, nil)},
			Output:      []*onnxpb.ValueInfoProto{{Name: proto.String("z")}},
		}
	}
	return model(13, map[string]arg{"x": v(2, 3), "cond": cond}, []string{"y"},
		node("If", []string{"cond"}, []string{"y"}, attrs{"then_branch": branch("Mul", 2), "else_branch": branch("Add", 1)}))
}

func TestBranches(t *testing.T) {
	for _, fixed := range []bool{true, false} {
		for _, yes := range []bool{true, false} {
			m, inputs := branches(arg{value: tensor.Of([]bool{yes}), fixed: fixed})
			got := parse(t, m, onnximport.Options{})
			if fixed && strings.Contains(got.Graph.String(), "Where") {
				t.Errorf("a branch that is known is chosen at run time:\n%v", got.Graph)
			}
			out := testkit.Interpret(t, got.Graph, inputs)
			want := inputs["x"].AsFloat64().Clone()
			for i, x := range tensor.Data[float64](want) {
				if tensor.Data[float64](want)[i] = x + 1; yes {
					tensor.Data[float64](want)[i] = 2 * x
				}
			}
			close(t, fmt.Sprintf("fixed %v, %v", fixed, yes), out["y"], want, 1e-12)
			if err := gradients(got.Graph, inputs); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestFunctions imports a function of the model's own: y = elu(x + b, alpha) with
// b optional, once with and once without b, and once inside of another.
func TestFunctions(t *testing.T) {
	m, inputs := functionModel()
	got := parse(t, m, onnximport.Options{})
	plain, _ := model(18, map[string]arg{"x": apart(2, 3), "b": v(3)}, []string{"with", "without"},
		node("Add", []string{"x", "b"}, []string{"s"}, nil),
		node("Elu", []string{"s"}, []string{"with"}, attrs{"alpha": 0.5}),
		node("Elu", []string{"x"}, []string{"without"}, attrs{"alpha": 2.0}))
	sameValues(t, parse(t, plain, onnximport.Options{}).Graph, got.Graph, inputs, 1e-12)

	call := m.Functions[1].Node[1]
	call.OpType, call.Input = proto.String("Outer"), []string{"s", "q"} // itself
	if _, err := onnximport.Parse(bytesOf(m), onnximport.Options{}); err == nil ||
		!strings.Contains(err.Error(), "functions inside of more than 32 others") {
		t.Errorf("a function that calls itself: error %v", err)
	}
}

// TestLegacyForms compares forms of old operator sets, which ONNX Runtime does not
// run, with those of new ones.
func TestLegacyForms(t *testing.T) {
	for _, test := range []struct {
		name     string
		old, new row
	}{
		{"broadcast on request", r("Add", 6, v(2, 3, 4), v(3)).with("broadcast", 1, "axis", 1),
			r("Add", 13, v(2, 3, 4), weight(arg{value: v(3).value.Reshape(3, 1)}))},
		{"broadcast of the last axes", r("Mul", 6, v(2, 3), v(3)).with("broadcast", 1), r("Mul", 13, v(2, 3), v(3))},
		{"shape as an attribute", r("Reshape", 1, v(2, 3)).with("shape", []int{-1, 2}), r("Reshape", 13, v(2, 3), ints(-1, 2))},
		{"default axis of Concat", r("Concat", 1, v(2, 3), v(2, 1)), r("Concat", 13, v(2, 3), v(2, 1)).with("axis", 1)},
		{"paddings", r("Pad", 1, v(2, 3)).with("paddings", []int{0, 1, 0, 1}, "value", 2.0), r("Pad", 13, v(2, 3), ints(0, 1, 0, 1), scalar(2))},
		{"a word for a type", r("Cast", 1, v(3)).with("to", "DOUBLE"), r("Cast", 13, v(3)).with("to", 11)},
		{"bounds as attributes", r("Clip", 6, apart(6)).with("min", -1.0, "max", 2.0), r("Clip", 13, apart(6), scalar(-1), scalar(2))},
		{"slopes of channels", r("PRelu", 6, apart(2, 3, 4), v(3)), r("PRelu", 13, apart(2, 3, 4), weight(arg{value: v(3).value.Reshape(3, 1)}))},
		{"hints", r("Relu", 1, apart(3)).with("consumed_inputs", []int{0}), r("Relu", 13, apart(3))},
		{"dropout", r("Dropout", 6, v(3)).with("is_test", 1), r("Identity", 13, v(3))},
	} {
		old, inputs := test.old.file()
		new, more := test.new.file()
		for name, x := range more {
			inputs[name] = x
		}
		a, b := parse(t, old, onnximport.Options{}), parse(t, new, onnximport.Options{})
		only := func(f *g.Graph) map[string]*tensor.Tensor {
			chosen := make(map[string]*tensor.Tensor)
			for _, in := range f.Inputs() {
				chosen[in.InputName()] = inputs[in.InputName()]
			}
			return chosen
		}
		x, err := interp.Run(a.Graph, only(a.Graph))
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		y, err := interp.Run(b.Graph, only(b.Graph))
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		close(t, test.name, x["out0"], y["out0"], 1e-12)
	}
}

// TestRefusals has what is wrong with a model, and what its error says.
func TestRefusals(t *testing.T) {
	spoil := func(change func(m *onnxpb.ModelProto)) []byte {
		m, _ := r("Relu", 13, v(2, 3)).file()
		change(m)
		return bytesOf(m)
	}
	of := func(r row) []byte {
		m, _ := r.file()
		return bytesOf(m)
	}
	for _, test := range []struct {
		name, want string
		b          []byte
	}{
		{"no model", "not an ONNX model", []byte("PK\x03\x04 something else")},
		{"nothing", "it has no graph", nil},
		{"operator", `node "Frobnicate_node" (Frobnicate) of operator set 13: the operator is not supported`, of(r("Frobnicate", 13, v(2)))},
		{"domain", `(com.example.Relu) of operator set 13: operators of domain "com.example" are not supported`,
			spoil(func(m *onnxpb.ModelProto) { m.Graph.Node[0].Domain = proto.String("com.example") })},
		{"too early", "the operator is read since version 20", of(r("Gelu", 13, v(2)))},
		{"future", "operator set 99 is not supported", spoil(func(m *onnxpb.ModelProto) { m.OpsetImport[0].Version = proto.Int64(99) })},
		{"unknown attribute", `attribute "frob" is not supported`, of(r("Relu", 13, v(2)).with("frob", 1))},
		{"attribute of another type", `attribute "alpha" is of type string, want float32`, of(r("Elu", 13, v(2)).with("alpha", "one"))},
		{"missing operand", `operand "nowhere" comes from no node, input or initialiser`,
			spoil(func(m *onnxpb.ModelProto) { m.Graph.Node[0].Input[0] = "nowhere" })},
		{"absent operand", "operand 1 is missing", of(r("MatMul", 13, v(2, 2)))},
		{"shapes", "dimensions 3 and 4 do not fit", of(r("Add", 13, v(3), v(4)))},
		{"product", "[… m k] and [… k n]", of(r("MatMul", 13, v(2, 3), v(4, 2)))},
		{"reshape", "does not reshape", of(r("Reshape", 13, v(2, 3), ints(4, -1)))},
		{"types", "want operands of one type", of(r("Add", 13, v(3), whole([]int{3}, 1, 2, 3)))},
		{"no outputs", "the model has no outputs", spoil(func(m *onnxpb.ModelProto) { m.Graph.Output = nil })},
		{"unknown output", `output "frob" is not computed by any node`,
			spoil(func(m *onnxpb.ModelProto) { m.Graph.Output[0].Name = proto.String("frob") })},
		{"output of another kind", `output "out1": output 1 of "BatchNormalization_node" (BatchNormalization) is not computed`,
			of(r("BatchNormalization", 13, v(2, 3), v(3), v(3), v(3), positive(3)).outs(2))},
		{"twice", `value "out0" is computed twice`, spoil(func(m *onnxpb.ModelProto) { m.Graph.Node = append(m.Graph.Node, m.Graph.Node[0]) })},
		{"input without shape", "its shape is not in the file",
			spoil(func(m *onnxpb.ModelProto) { m.Graph.Input[0].Type.GetTensorType().Shape = nil })},
		{"element type", "elements of type FLOAT8E5M2 are not supported",
			spoil(func(m *onnxpb.ModelProto) { m.Graph.Input[0].Type.GetTensorType().ElemType = proto.Int32(19) })},
		{"negative dimension", "is not that of a tensor", spoil(func(m *onnxpb.ModelProto) {
			m.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: -7}
		})},
		{"large input", "is too large", spoil(func(m *onnxpb.ModelProto) {
			shape := m.Graph.Input[0].Type.GetTensorType().Shape
			for range 4 {
				shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: 1 << 30}})
			}
		})},
		{"fewer elements", "3 elements for shape [1000000000] of FLOAT", spoil(func(m *onnxpb.ModelProto) {
			w := protoOf("w", tensor.Of([]float32{1, 2, 3}, 3))
			w.Dims[0] = 1e9
			m.Graph.Initializer = append(m.Graph.Initializer, w)
			m.Graph.Node[0].Input[0] = "w"
		})},
		{"fewer bytes", "2 bytes of data for shape [3] of FLOAT, want 12", spoil(func(m *onnxpb.ModelProto) {
			w := protoOf("w", tensor.Of([]float32{1, 2, 3}, 3))
			w.FloatData, w.RawData = nil, []byte{1, 2}
			m.Graph.Initializer = append(m.Graph.Initializer, w)
			m.Graph.Node[0].Input[0] = "w"
		})},
		{"large result", "is too large", of(r("ConstantOfShape", 13, ints(1<<31, 1<<31)))},
		{"repeats", "is too large", of(r("Tile", 13, v(2), ints(1<<50)))},
		{"no sequence", "a sequence of 0 steps", of(r("RNN", 14, v(0, 1, 1), v(1, 1, 1), v(1, 1, 1)))},
		{"index", "index 7 of 3 elements", of(r("Gather", 13, v(3), ints(7)))},
		{"many large constants", "constants of more than", func() []byte {
			var nodes []*onnxpb.NodeProto
			for i := range 40 {
				nodes = append(nodes, node("CumSum", []string{"x", "axis"}, []string{fmt.Sprint("y", i)}, nil))
			}
			m, _ := model(13, map[string]arg{"x": v(1000), "axis": scalarInt(0)}, []string{"y39"}, nodes...)
			return bytesOf(m)
		}()},
		{"sparse", "sparse initialisers", spoil(func(m *onnxpb.ModelProto) {
			m.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{{}}
		})},
	} {
		_, err := onnximport.Parse(test.b, onnximport.Options{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
}

// TestDifferentiateRefuses also has what is left as it was.
func TestDifferentiateRefuses(t *testing.T) {
	b := testkit.Encode(t, network())
	m, err := onnximport.Parse(b, onnximport.Options{Sizes: map[string]int{"N": 2}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		d    onnximport.Derivatives
		want string
	}{
		{onnximport.Derivatives{Wrt: []string{"x"}}, `which of the outputs ["y" "top"]`},
		{onnximport.Derivatives{Of: []string{"y"}}, "nothing to differentiate"},
		{onnximport.Derivatives{Of: []string{"z"}, Wrt: []string{"x"}}, `value "z", want one of`},
		{onnximport.Derivatives{Of: []string{"conv1.weight"}, Wrt: []string{"x"}}, `value "conv1.weight" does not depend on "x"`},
	} {
		if _, err := m.Differentiate(test.d); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want one with %q", test.d, err, test.want)
		}
	}
	if n := len(m.Graph.Outputs()); n != 2 {
		t.Errorf("%d outputs after errors", n)
	}
	added, err := m.Differentiate(onnximport.Derivatives{Of: []string{"y"}, Wrt: []string{"x", "x"}, HVP: true})
	if err != nil || strings.Join(added, " ") != "grad/x hvp/x" {
		t.Errorf("added %v, %v", added, err)
	}
	if _, err := m.Differentiate(onnximport.Derivatives{Of: []string{"y"}, Wrt: []string{"x"}}); err == nil {
		t.Error("a second gradient of the same name: no error")
	}
}
