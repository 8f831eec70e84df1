package export_test

import (
	"testing"

	"ebm/export"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	g "ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// products are nodes of a model by whether they take values of 16 bits.
type products struct{ narrow, wide map[string]int }

func productsOf(t *testing.T, m *onnxpb.ModelProto, to onnxpb.TensorProto_DataType) products {
	t.Helper()
	p := products{make(map[string]int), make(map[string]int)}
	narrow, uses := make(map[string]bool), make(map[string]string)
	for _, n := range m.Graph.Node {
		for _, in := range n.Input {
			uses[in] = n.GetOpType()
		}
	}
	for _, n := range m.Graph.Node {
		switch op := n.GetOpType(); op {
		case "Cast":
			narrow[n.Output[0]] = onnxpb.TensorProto_DataType(n.Attribute[0].GetI()) == to
		case "Conv", "ConvTranspose", "MatMul":
			if narrow[n.Input[0]] != narrow[n.Input[1]] {
				t.Errorf("%s: one factor of two is narrow", n.GetName())
			}
			if !narrow[n.Input[0]] {
				p.wide[op]++
				continue
			}
			p.narrow[op]++
			if uses[n.Output[0]] != "Cast" {
				t.Errorf("%s: its result goes to a %s, want a Cast to float32", n.GetName(), uses[n.Output[0]])
			}
		}
	}
	return p
}

// Products of convolutions and matrices, of derivatives too, take 16 bits; those with a vector,
// and what CUDA has no form for, do not, and inputs and outputs are as they were.
func TestArithmetic(t *testing.T) {
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 16}
	w := energy.Init(n, rng.New(1))
	adam := mdsm.PaperAdam()
	score, train := mdsm.ScoreGraph(n, w), mdsm.TrainGraph(n, mdsm.Objective{Sigma0: 0.1, Weighting: mdsm.InverseVariance}, adam)
	for _, graph := range []*g.Graph{score, train} {
		plain := model(t, graph, export.Options{})
		all := operators(plain.Graph, map[string]int{})
		for _, c := range []struct {
			of      tensor.DType
			onnx    onnxpb.TensorProto_DataType
			version int64
		}{{tensor.Float16, onnxpb.TensorProto_FLOAT16, 17}, {tensor.BFloat16, onnxpb.TensorProto_BFLOAT16, 22}} {
			m := model(t, graph, export.Options{Arithmetic: export.Arithmetic{DType: c.of}})
			p := productsOf(t, m, c.onnx)
			if v := m.OpsetImport[0].GetVersion(); v != c.version {
				t.Errorf("%s in %v: version %d, want %d", graph.Name(), c.of, v, c.version)
			}
			if p.narrow["Conv"] != all["Conv"] || p.narrow["Conv"] == 0 {
				t.Errorf("%s in %v: %d of %d convolutions are narrow", graph.Name(), c.of, p.narrow["Conv"], all["Conv"])
			}
			transposed := p.narrow["ConvTranspose"]
			if c.of == tensor.BFloat16 {
				transposed = p.wide["ConvTranspose"]
			}
			if transposed != all["ConvTranspose"] || transposed == 0 {
				narrow, wide := p.narrow["ConvTranspose"], p.wide["ConvTranspose"]
				t.Errorf("%s in %v: %d narrow and %d wide transposed convolutions", graph.Name(), c.of, narrow, wide)
			}
			if p.wide["MatMul"] == 0 || graph == train && p.narrow["MatMul"] == 0 {
				t.Errorf("%s in %v: %d narrow and %d wide products of matrices, want the head's to be wide, and gradients narrow", graph.Name(), c.of,
					p.narrow["MatMul"], p.wide["MatMul"])
			}
			for i, v := range append(m.Graph.Input, m.Graph.Output...) {
				if want := append(plain.Graph.Input, plain.Graph.Output...)[i]; v.String() != want.String() {
					t.Errorf("%s in %v: %v, want %v", graph.Name(), c.of, v, want)
				}
			}
		}
	}
}

// Scores of rounded products are off by as much as the rounding says, not less, and those of a
// file with float16 in it, which the CPU reads, by no more.
func TestRoundedProducts(t *testing.T) {
	rt := testkit.Open(t, 1)
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 16}
	score := mdsm.ScoreGraph(n, energy.Init(n, rng.New(1)))
	in := testkit.Values{"x": uniform(4, 1, 16, 16)}
	want := testkit.Run(t, session(t, rt, model(t, score, export.Options{})), in)["score"]
	for _, c := range []struct {
		export.Arithmetic
		least, most float64
	}{
		{export.Arithmetic{DType: tensor.Float16, Rounding: true}, 0x1p-13, 0x1p-8},
		{export.Arithmetic{DType: tensor.BFloat16, Rounding: true}, 0x1p-10, 0x1p-5},
		{export.Arithmetic{DType: tensor.Float16}, 0x1p-16, 0x1p-8},
	} {
		got := testkit.Run(t, session(t, rt, model(t, score, export.Options{Arithmetic: c.Arithmetic})), in)["score"]
		off := testkit.Apart(got, want)
		t.Logf("%+v: %.1e", c.Arithmetic, off)
		if !(off >= c.least && off <= c.most) {
			t.Errorf("%+v: scores differ by %g of the largest, want %g to %g", c.Arithmetic, off, c.least, c.most)
		}
	}
}

// A maximum has the form of the version that the model imports.
func TestMaximumOfVersions(t *testing.T) {
	graph := g.New("maximum")
	x := graph.Input("x", tensor.Float32, g.Dims(2, 3, 4))
	graph.Output("y", g.ReduceMax(x, 1, 2))
	for of, inputs := range map[tensor.DType]int{tensor.Float16: 1, tensor.BFloat16: 2} {
		m := model(t, graph, export.Options{Arithmetic: export.Arithmetic{DType: of}})
		if got := len(m.Graph.Node[0].Input); got != inputs {
			t.Errorf("%v: ReduceMax of version %d has %d inputs, want %d", of, m.OpsetImport[0].GetVersion(), got, inputs)
		}
		rt := testkit.Open(t, 1)
		y := testkit.Run(t, session(t, rt, m), testkit.Values{"x": tensor.Of([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 24, 23, 22, 21,
			20, 19, 18, 17, 16, 15, 14, 13}, 2, 3, 4)})["y"]
		if got := tensor.Data[float32](y); got[0] != 12 || got[1] != 24 {
			t.Errorf("%v: maxima %v, want 12 and 24", of, got)
		}
	}
}
