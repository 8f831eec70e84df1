package onnximport_test

import (
	"path/filepath"
	"strings"
	"testing"

	"ebm/export/onnximport"
	"ebm/internal/testkit"
	g "ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
)

// TestGolden compares models exported by PyTorch, their gradients and Hessian
// products with PyTorch's in float64, and what ONNX Runtime makes of the
// written file with them in float32.
func TestGolden(t *testing.T) {
	rt := testkit.Open(t, 1)
	for _, test := range []struct {
		name, of, wrt string
		parameters    int // whose gradients PyTorch names alike, at least
	}{
		{"mlp", "y", "x", 6},
		{"cnn", "y", "x", 10},
		{"transformer", "y", "bias", 9},
		{"torchscript", "y", "bias", 9},
	} {
		t.Run(test.name, func(t *testing.T) {
			data := testkit.Arrays(t, filepath.Join("testdata", test.name+".npz"))
			m, err := onnximport.Read(filepath.Join("testdata", test.name+".onnx"), onnximport.Options{})
			if err != nil {
				t.Fatal(err)
			}
			// The golden gradients are those of Σ y².
			y := m.Values[test.of]
			m.Values["loss"] = g.Mul(y, y)
			added, err := m.Differentiate(onnximport.Derivatives{Of: []string{"loss"}, Wrt: []string{test.wrt}, Parameters: true})
			if err != nil {
				t.Fatal(err)
			}
			compared := checkGolden(t, rt, m, data, 1e-6, 2e-4)
			if compared < test.parameters+1 || len(added) < compared {
				t.Errorf("%d gradients compared of %d, want %d", compared, len(added), test.parameters+1)
			}

			// Another copy for the Hessian product, by one input or weight.
			first := firstVector(data)
			if m, err = onnximport.Read(filepath.Join("testdata", test.name+".onnx"), onnximport.Options{}); err != nil {
				t.Fatal(err)
			}
			y = m.Values[test.of]
			m.Values["loss"] = g.Mul(y, y)
			if _, err := m.Differentiate(onnximport.Derivatives{Of: []string{"loss"}, Wrt: []string{first}, HVP: true}); err != nil {
				t.Fatal(err)
			}
			checkGolden(t, rt, m, data, 1e-6, 2e-4)
		})
	}
}

func firstVector(data map[string]*tensor.Tensor) string {
	for name := range data {
		if v, ok := strings.CutPrefix(name, "v/"); ok {
			return v
		}
	}
	return ""
}

// checkGolden compares the outputs of m with the golden ones in the
// interpreter and in ONNX Runtime, and returns how many gradients there were.
func checkGolden(t *testing.T, rt *runtime.Runtime, m *onnximport.Model, data map[string]*tensor.Tensor, exact, single float64) int {
	t.Helper()
	inputs := make(map[string]*tensor.Tensor)
	for _, in := range m.Graph.Inputs() {
		name := in.InputName()
		if inputs[name] = data["in/"+name]; strings.HasPrefix(name, "v/") {
			inputs[name] = data[name]
		}
	}
	slow := testkit.Interpret(t, m.Graph, inputs)
	b := testkit.Encode(t, m.Graph)
	session := testkit.Load(t, rt, b)
	fast := testkit.Run(t, session, inputs)
	gradients := 0
	for _, out := range m.Graph.Outputs() {
		want := data[out.Name]
		if want == nil {
			want = data["out/"+out.Name]
		}
		if want == nil {
			continue // PyTorch has another name for it, or a transposed weight
		}
		if strings.HasPrefix(out.Name, "grad/") {
			gradients++
		}
		close(t, out.Name, slow[out.Name], want, exact)
		close(t, out.Name+" in ONNX Runtime", fast[out.Name], want, single)
	}
	return gradients
}

// BenchmarkRead reads a transformer as PyTorch writes it.
func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		if _, err := onnximport.Read("testdata/transformer.onnx", onnximport.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
