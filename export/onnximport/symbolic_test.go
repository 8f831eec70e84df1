package onnximport_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export"
	"ebm/export/onnximport"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	"ebm/models/autodiff"
	g "ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
	"ebm/runtime"
)

// symbolicSize declares as "D" all axes of inputs that have a size, and reports
// whether there is one.
func symbolicSize(m *onnxpb.ModelProto, size int64) (found bool) {
	for _, in := range m.Graph.Input {
		for _, d := range in.Type.GetTensorType().Shape.Dim {
			if d.GetDimValue() == size {
				d.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "D"}
				found = true
			}
		}
	}
	return found
}

// TestSymbolicOperators imports every row with axes of one size left symbolic,
// for every size that it has. What imports gives what it gives with numbers,
// and so does its gradient, in the interpreter and in ONNX Runtime.
func TestSymbolicOperators(t *testing.T) {
	testkit.Long(t)
	rt, err := runtime.Open(t.Context(), runtime.Config{Provider: runtime.CPU, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	imported := make(map[string]bool)
	for i, row := range rows() {
		for size := range int64(12) {
			p, inputs := row.file()
			if size < 2 || !symbolicSize(p, size) {
				continue
			}
			m, err := onnximport.Parse(bytesOf(p), onnximport.Options{})
			if err != nil {
				continue // the operator asks for a number there
			}
			name := fmt.Sprintf("%s %d with %d symbolic", row.op, i, size)
			fixed, err := onnximport.Parse(bytesOf(p), onnximport.Options{Sizes: map[string]int{"D": int(size)}})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			imported[row.op] = true
			addGradient(m)
			addGradient(fixed)
			want, err := interp.Run(fixed.Graph, inputs)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			got, err := interp.Run(m.Graph, inputs)
			if err != nil && len(m.Assumes) > 0 {
				continue // this size is not as assumed
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			b, err := export.Bytes(m.Graph, export.Options{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			session, err := rt.Load(b, runtime.SessionOptions{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			fast, err := session.Run(t.Context(), inputs)
			session.Close()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for out, w := range want {
				close(t, name+" "+out, got[out], w, 1e-6)
				close(t, name+" "+out+" in ONNX Runtime", fast[out], w, 2e-4)
			}
		}
	}
	for _, op := range []string{
		"Attention", "AveragePool", "Concat", "Conv", "ConvTranspose", "CumSum", "EyeLike", "Gather", "GatherElements",
		"GatherND", "GroupNormalization",
		"InstanceNormalization", "LayerNormalization", "LpPool", "MatMul", "MaxPool", "Pad", "ReduceMean", "Resize", "ScatterElements",
		"ScatterND", "Slice", "Softmax", "Split", "Trilu", "Upsample",
	} {
		if !imported[op] {
			t.Errorf("%s was imported with no symbolic size", op)
		}
	}
}

// addGradient adds the gradient of Σ y³/3 over floating-point outputs by all
// floating-point inputs.
func addGradient(m *onnximport.Model) {
	var ys, cotangents, xs []*g.Node
	var names []string
	for _, out := range m.Graph.Outputs() {
		if out.Node.DType().IsFloat() {
			ys, cotangents = append(ys, out.Node), append(cotangents, g.Mul(out.Node, out.Node))
		}
	}
	for _, in := range m.Graph.Inputs() {
		if in.DType().IsFloat() {
			xs, names = append(xs, in), append(names, in.InputName())
		}
	}
	if len(ys) == 0 || len(xs) == 0 {
		return
	}
	for i, slope := range autodiff.Gradients(ys, cotangents, xs) {
		m.Graph.Output("grad/"+names[i], slope)
	}
}

// TestAssumptions has what a model says of symbolic sizes, and does not say
// where it follows.
func TestAssumptions(t *testing.T) {
	for _, test := range []struct {
		row  row
		want []string
	}{
		{r("Slice", 13, v(7), ints(2), ints(-1)), []string{"3 ≤ N"}},
		{r("Slice", 13, v(7), ints(-1), ints(1<<40)), nil},
		{r("Slice", 13, v(7), ints(0), ints(5)), []string{"5 ≤ N"}},
		{r("Gather", 13, v(7, 2), ints(3)), []string{"4 ≤ N"}},
		{r("Gather", 13, v(7, 2), ints(-1)), nil},
		{r("Conv", 11, v(7, 2, 4), weight(v(2, 2, 3))), nil},
	} {
		p, _ := test.row.file()
		symbolicInput(p, "in0")
		m := parse(t, p, onnximport.Options{})
		if !slices.Equal(m.Assumes, test.want) {
			t.Errorf("%s assumes %v, want %v", test.row.op, m.Assumes, test.want)
		}
	}
}

// TestExpressionsAsSizes reads dimensions that are expressions over others, and
// names that look like expressions.
func TestExpressionsAsSizes(t *testing.T) {
	m, _ := model(13, map[string]arg{"a": v(4), "b": v(5), "c": v(2)}, []string{"y"},
		node("Concat", []string{"a", "b"}, []string{"y"}, attrs{"axis": 0}), node("Exp", []string{"c"}, []string{"z"}, nil))
	for name, dim := range map[string]string{"a": "T", "b": "⌊(T+7)/2⌋", "c": "half-size"} {
		for _, in := range m.Graph.Input {
			if in.GetName() == name {
				in.Type.GetTensorType().Shape.Dim[0].Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: dim}
			}
		}
	}
	m.Graph.Output = append(m.Graph.Output, &onnxpb.ValueInfoProto{Name: proto.String("z")})
	got := parse(t, m, onnximport.Options{})
	if s := got.Values["y"].Shape().String(); s != "[⌊(T+1)/2⌋+T+3]" {
		t.Errorf("y has shape %s", s)
	}
	if s := got.Values["c"].Shape(); s[0] != g.Sym("half-size") {
		t.Errorf("c has shape %v", s)
	}
	out, err := interp.Run(got.Graph, map[string]*tensor.Tensor{
		"a": tensor.New(tensor.Float32, 4), "b": tensor.New(tensor.Float32, 5), "c": tensor.New(tensor.Float32, 3)})
	if err != nil || out["y"].Len() != 9 {
		t.Errorf("y is %v, %v", out["y"], err)
	}
	_, err = interp.Run(got.Graph, map[string]*tensor.Tensor{
		"a": tensor.New(tensor.Float32, 4), "b": tensor.New(tensor.Float32, 6), "c": tensor.New(tensor.Float32, 3)})
	if err == nil || !strings.Contains(err.Error(), "with ⌊(T+1)/2⌋+3 = 5") {
		t.Errorf("other sizes: error %v", err)
	}
}

// TestLongSequences has one loop for a sequence of any length: files of the same
// size for 100 and 1,000 steps, which compute what short unrolled ones do.
func TestLongSequences(t *testing.T) {
	size := func(steps int) int {
		p, _ := r("LSTM", 14, v(steps, 2, 2), weight(v(1, 12, 2)), weight(v(1, 12, 3)), weight(v(1, 24))).with("hidden_size", 3).file()
		m := parse(t, p, onnximport.Options{})
		addGradient(m)
		b, err := export.Bytes(m.Graph, export.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return len(b)
	}
	if a, b := size(100), size(1000); b > a+100 {
		t.Errorf("%d bytes for 100 steps, %d for 1000", a, b)
	}
}
