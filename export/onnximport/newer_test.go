package onnximport_test

import (
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnximport"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	"ebm/models/tensor"
)

// Operators that are newer than the ONNX Runtime of these tests, against loops. Their
// gradients are compared with differences.

func newer(t *testing.T, version int, op string, a attrs, args []arg, want ...func(in [][]float64) []float64) {
	t.Helper()
	row := r(op, version, args...).outs(len(want))
	row.attrs = a
	p, inputs := row.file()
	m := parse(t, p, onnximport.Options{})
	got := testkit.Interpret(t, m.Graph, inputs)
	var in [][]float64
	for _, a := range args {
		if a.absent {
			in = append(in, nil)
			continue
		}
		in = append(in, a.value.Float64s())
	}
	for i, f := range want {
		out := m.Graph.Outputs()[i]
		w := f(in)
		close(t, out.Name, got[out.Name], tensor.Of(w, got[out.Name].Shape()...), 1e-6)
	}
	if err := gradients(m.Graph, inputs); err != nil {
		t.Error(err)
	}
}

func TestCumProd(t *testing.T) {
	args := []arg{v(2, 4), scalarInt(1)}
	newer(t, 26, "CumProd", nil, args, func(in [][]float64) []float64 {
		y := append([]float64(nil), in[0]...)
		for i := range y {
			if i%4 > 0 {
				y[i] *= y[i-1]
			}
		}
		return y
	})
	newer(t, 26, "CumProd", attrs{"exclusive": 1, "reverse": 1}, args, func(in [][]float64) []float64 {
		y := make([]float64, 8)
		for i := 7; i >= 0; i-- {
			if y[i] = 1; i%4 < 3 {
				y[i] = y[i+1] * in[0][i+1]
			}
		}
		return y
	})
}

func TestSwiGLU(t *testing.T) {
	newer(t, 28, "SwiGLU", attrs{"alpha": 1.5}, []arg{v(2, 3), small(2, 3)}, func(in [][]float64) []float64 {
		y := make([]float64, 6)
		for i, a := range in[0] {
			y[i] = a / (1 + math.Exp(-1.5*a)) * in[1][i]
		}
		return y
	})
}

func TestCausalConv(t *testing.T) {
	const channels, length, k = 2, 4, 3
	at := func(in [][]float64, c, i int) float64 { // of the past and then x
		if i < k-1 {
			return in[3][c*(k-1)+i]
		}
		return in[0][c*length+i-(k-1)]
	}
	newer(t, 27, "CausalConvWithState", attrs{"activation": "silu"}, []arg{v(1, channels, length), v(channels, 1, k), v(channels),
		v(1, channels, k-1)}, func(in [][]float64) []float64 {
		y := make([]float64, channels*length)
		for i := range y {
			c, sum := i/length, in[2][i/length]
			for j := range k {
				sum += in[1][c*k+j] * at(in, c, i%length+j)
			}
			y[i] = sum / (1 + math.Exp(-sum))
		}
		return y
	}, func(in [][]float64) []float64 {
		var y []float64
		for c := range channels {
			y = append(y, at(in, c, length), at(in, c, length+1))
		}
		return y
	})
}

// TestLinearAttention has two heads of queries for one of keys, and every rule.
func TestLinearAttention(t *testing.T) {
	const steps, heads, keys, values = 3, 2, 2, 3
	for _, rule := range []string{"linear", "gated", "delta", "gated_delta"} {
		gated, delta := rule == "gated" || rule == "gated_delta", rule == "delta" || rule == "gated_delta"
		run := func(in [][]float64) (y, state []float64) {
			s := append([]float64(nil), in[3]...)
			for i := range steps {
				k, v := in[1][i*keys:], in[2][i*values:]
				for a := range keys {
					for b := range values {
						if gated {
							s[a*values+b] *= math.Exp(in[4][i*keys+a])
						}
					}
				}
				add := make([]float64, values)
				for b := range values {
					if add[b] = v[b]; delta {
						for a := range keys {
							add[b] -= s[a*values+b] * k[a]
						}
						add[b] *= in[5][i]
					}
				}
				for a := range keys {
					for b := range values {
						s[a*values+b] += k[a] * add[b]
					}
				}
				for h := range heads {
					for b := range values {
						sum := 0.0
						for a := range keys {
							sum += in[0][(i*heads+h)*keys+a] * s[a*values+b]
						}
						y = append(y, sum/math.Sqrt(keys))
					}
				}
			}
			return y, s
		}
		args := []arg{v(1, steps, heads*keys), v(1, steps, keys), v(1, steps, values), v(1, 1, keys, values), none, none}
		if gated {
			args[4] = small(1, steps, keys)
		}
		if delta {
			args[5] = positive(1, steps, 1)
		}
		newer(t, 27, "LinearAttention", attrs{"q_num_heads": heads, "kv_num_heads": 1, "update_rule": rule}, args,
			func(in [][]float64) []float64 { y, _ := run(in); return y },
			func(in [][]float64) []float64 { _, s := run(in); return s })
	}
}

// TestLinearClassifier leaves out the labels, which are no numbers to differentiate.
func TestLinearClassifier(t *testing.T) {
	rt := testkit.Open(t, 1)
	for _, test := range []struct {
		classes int
		a       attrs
	}{
		{3, attrs{"coefficients": []float64{1, -1, 0.5, 2, 0.3, -0.2}, "intercepts": []float64{0.1, 0.2, 0.3}, "post_transform": "SOFTMAX"}},
		{2, attrs{"coefficients": []float64{1, -1}, "intercepts": []float64{0.1}, "post_transform": "LOGISTIC"}},
	} {
		test.a["classlabels_ints"] = []int{7, 8, 9}[:test.classes]
		p, inputs := model(17, map[string]arg{"x": v(4, 2)}, []string{"label", "scores"},
			node("ai.onnx.ml.LinearClassifier", []string{"x"}, []string{"label", "scores"}, test.a))
		p.Graph.Output = infos([]string{"label", "scores"}, whole([]int{4}, 0, 0, 0, 0), v(4, test.classes))
		m := parse(t, p, onnximport.Options{Of: []string{"scores"}})
		if len(m.Dropped) != 1 || m.Dropped[0].Name != "label" {
			t.Errorf("dropped are %v, want the labels", m.Dropped)
		}
		want := testkit.RunModel(t, rt, bytesOf(p), inputs)
		close(t, "scores", testkit.Interpret(t, m.Graph, inputs)["scores"], want["scores"], 1e-5)
		if err := gradients(m.Graph, inputs); err != nil {
			t.Error(err)
		}
	}
}

// TestBatchFirst compares the two layouts of recurrent operators.
func TestBatchFirst(t *testing.T) {
	args := map[string]arg{"x": v(2, 4, 3), "w": v(1, 20, 3), "r": v(1, 20, 5), "h": v(2, 1, 5), "c": small(2, 1, 5)}
	first, inputs := model(14, args, []string{"y", "yh", "yc"},
		node("LSTM", []string{"x", "w", "r", "", "", "h", "c"}, []string{"y", "yh", "yc"}, attrs{"hidden_size": 5, "layout": 1}))
	turn := func(from, to string, perm ...int) *onnxpb.NodeProto {
		return node("Transpose", []string{from}, []string{to}, attrs{"perm": perm})
	}
	other, _ := model(14, args, []string{"y", "yh", "yc"}, turn("x", "xt", 1, 0, 2), turn("h", "ht", 1, 0, 2), turn("c", "ct", 1, 0, 2),
		node("LSTM", []string{"xt", "w", "r", "", "", "ht", "ct"}, []string{"yt", "yht", "yct"}, attrs{"hidden_size": 5}),
		turn("yt", "y", 2, 0, 1, 3), turn("yht", "yh", 1, 0, 2), turn("yct", "yc", 1, 0, 2))
	sameValues(t, parse(t, other, onnximport.Options{}).Graph, parse(t, first, onnximport.Options{}).Graph, inputs, 1e-12)
}

// TestNonZero takes as many elements as only their values say.
func TestNonZero(t *testing.T) {
	rt := testkit.Open(t, 1)
	p, inputs := model(17, map[string]arg{"x": apart(3, 4), "limit": scalar(0.5)}, []string{"y", "at"},
		node("Greater", []string{"x", "limit"}, []string{"mask"}, nil),
		node("NonZero", []string{"mask"}, []string{"at"}, nil),
		node("Transpose", []string{"at"}, []string{"places"}, nil),
		node("GatherND", []string{"x", "places"}, []string{"taken"}, nil),
		node("ReduceSumSquare", []string{"taken"}, []string{"y"}, attrs{"keepdims": 0}))
	m := parse(t, p, onnximport.Options{})
	p.Graph.Output[0] = inputInfo("y", tensor.New(tensor.Float32))
	p.Graph.Output[1].Type = &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
		TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(onnxpb.TensorProto_INT64))}}}
	want := testkit.RunModel(t, rt, bytesOf(p), inputs)
	for name, got := range map[string]map[string]*tensor.Tensor{
		"interpreted": testkit.Interpret(t, m.Graph, inputs), "exported": testkit.RunModel(t, rt, testkit.Encode(t, m.Graph), inputs),
	} {
		close(t, name, got["y"], want["y"], 1e-5)
		close(t, name, got["at"], want["at"], 0)
	}
	if err := gradients(m.Graph, inputs); err != nil {
		t.Error(err)
	}
}
