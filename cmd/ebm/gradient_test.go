package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	"ebm/models/tensor"
	"ebm/runtime"
)

const goldenModels = "../../export/onnximport/testdata/"

func TestGradient(t *testing.T) {
	out := filepath.Join(t.TempDir(), "grad.onnx")
	text := mustRun(t, "gradient", goldenModels+"mlp.onnx", "--wrt", "x", "--hvp", "--out", out)
	for _, want := range []string{"in\tx\tfloat32[batch 5]\n", "in\tv/x\tfloat32[batch 5]\n", "out\ty\tfloat32[batch 3]\n",
		"out\tgrad/x\tfloat32[batch 5]\n", "out\thvp/x\tfloat32[batch 5]\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	rt := testkit.Open(t, 1)
	session, err := rt.LoadFile(out, runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	x := tensor.Of([]float32{1, 2, 3, 4, 5, 5, 4, 3, 2, 1}, 2, 5)
	got := testkit.Run(t, session, map[string]*tensor.Tensor{"x": x, "v/x": x})
	if g := got["grad/x"]; g == nil || g.String() != "float32[2 5]" {
		t.Errorf("grad/x is %v", g)
	}
}

func TestGradientJSONAndSizes(t *testing.T) {
	out := filepath.Join(t.TempDir(), "grad.onnx")
	text := mustRun(t, "gradient", goldenModels+"cnn.onnx", "--of", "y", "--wrt-parameters", "--size", "batch=2", "--json", "--out", out)
	var report gradientReport
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Inputs) != 1 || report.Inputs[0].Type != "float32[2 3 13 13]" || len(report.Outputs) < 10 || report.Path != out {
		t.Errorf("the report is %+v", report)
	}
}

func TestKindsOfDerivative(t *testing.T) {
	out := filepath.Join(t.TempDir(), "grad.onnx")
	for _, c := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--seed", "--grad"}, "in x float32[batch 5], in seed/y float32[batch 3], out y float32[batch 3], out grad/x float32[batch 5]"},
		{[]string{"--jvp"}, "in x float32[batch 5], in tangent/x float32[batch 5], out y float32[batch 3], out jvp/y float32[batch 3]"},
		{[]string{"--jacobian", "--select", "y=2,0"}, "in x float32[batch 5], out y float32[batch 3], out jac/x float32[2 batch 5]"},
		{[]string{"--hessian"}, "in x float32[batch 5], out y float32[batch 3], out hess/x/x float32[5 batch 5]"},
		{[]string{"--select", "y=@label"}, "in x float32[batch 5], in label int64[batch], out y float32[batch 3], out grad/x float32[batch 5]"},
		{[]string{"--seed", "--names", "casadi"}, "in x float32[batch 5], in adj_y float32[batch 3], out y float32[batch 3], out adj_x " +
			"float32[batch 5]"},
	} {
		text := mustRun(t, append([]string{"gradient", goldenModels + "mlp.onnx", "--wrt", "x", "--out", out}, c.flags...)...)
		if got := strings.NewReplacer("\t", " ", "\n", ", ").Replace(strings.TrimSpace(text)); got != c.want {
			t.Errorf("%v: %s, want %s", c.flags, got, c.want)
		}
	}
}

// TestGradientCheck lists two operators that are not read, behind one another,
// and reads the output that needs neither.
func TestGradientCheck(t *testing.T) {
	dir := t.TempDir()
	two := filepath.Join(dir, "two.onnx")
	value := func(name string) *onnxpb.ValueInfoProto {
		return &onnxpb.ValueInfoProto{Name: proto.String(name), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
			TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(1), Shape: &onnxpb.TensorShapeProto{}}}}}
	}
	node := func(op, in, out string) *onnxpb.NodeProto {
		return &onnxpb.NodeProto{OpType: proto.String(op), Input: []string{in}, Output: []string{out}}
	}
	b, err := proto.Marshal(&onnxpb.ModelProto{
		IrVersion: proto.Int64(8), OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name: proto.String("two"), Input: []*onnxpb.ValueInfoProto{value("x")}, Output: []*onnxpb.ValueInfoProto{value("y"), value("z")},
			Node: []*onnxpb.NodeProto{node("Frobnicate", "x", "a"), node("Sideways", "a", "z"), node("Exp", "x", "y")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Write(t, two, b)
	code, stdout, stderr := ebmRun(t, "gradient", "--check", two)
	if code != 1 || !strings.Contains(stderr, "2 things stand in the way") ||
		!strings.Contains(stdout, `"a" (Frobnicate) of operator set 17`) || !strings.Contains(stdout, `"z" (Sideways)`) {
		t.Errorf("status %d, %q, %q", code, stdout, stderr)
	}
	if text := mustRun(t, "gradient", "--check", two, "--of", "y", "--json"); strings.TrimSpace(text) != "[]" {
		t.Errorf("of y stand in the way %q, want nothing", text)
	}
	out := filepath.Join(dir, "grad.onnx")
	if text := mustRun(t, "gradient", two, "--of", "y", "--wrt", "x", "--out", out); !strings.Contains(text,
		"dropped\tz\tnode \"a\" (Frobnicate)") {
		t.Errorf("the report does not say that z is dropped: %q", text)
	}
}

func TestGradientRefuses(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "grad.onnx")
	broken := filepath.Join(dir, "broken.onnx")
	testkit.Write(t, broken, []byte("not a model"))
	mlp := goldenModels + "mlp.onnx"
	for _, c := range []struct {
		code int
		args []string
		want string
	}{
		{2, []string{mlp, "--wrt", "x"}, "want --out"},
		{2, []string{mlp, "--out", out}, "want --wrt NAME or --wrt-parameters"},
		{2, []string{mlp, "--wrt", "x", "--out", out, "--size", "batch"}, "want NAME=NUMBER"},
		{2, []string{mlp, "--wrt", "x", "--out", out, "--value", "x=a"}, "want NAME=NUMBER"},
		{2, []string{mlp, "--wrt", "x", "--out", out, "--select", "y=a"}, "want OUTPUT=NUMBER,NUMBER… or OUTPUT=@INPUT"},
		{2, []string{mlp, "--wrt", "x", "--out", out, "--names", "short"}, `--names "short", want default or casadi`},
		{1, []string{mlp, "--wrt", "x", "--of", "y", "--of", "y", "--out", out}, "differentiated twice"},
		{2, []string{mlp, "--wrt", "x", "--out", out, "--size", "N=3"}, `size "N", want one of ["batch"]`},
		{2, []string{mlp, "--wrt", "x", "--out", out, "--value", "n=3"}, `value of input "n", want one of ["x"]`},
		{2, []string{mlp, "--wrt", "z", "--out", out}, `value "z", want one of`},
		{1, []string{goldenModels + "transformer.onnx", "--wrt", "bias", "--out", out}, "which of the outputs"},
		{1, []string{goldenModels + "transformer.onnx", "--of", "y", "--wrt", "tokens", "--out", out}, "want floating-point numbers"},
		{1, []string{broken, "--wrt", "x", "--out", out}, "not an ONNX model"},
		{1, []string{filepath.Join(dir, "none.onnx"), "--wrt", "x", "--out", out}, "no such file"},
	} {
		code, _, stderr := ebmRun(t, append([]string{"gradient"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: status %d, %q, want %d and %q", c.args, code, stderr, c.code, c.want)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written all the same")
	}
}
