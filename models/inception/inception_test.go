package inception

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// uniform is u(name, i) of testdata/make_golden.py.
func uniform(name string) func(i int) float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	start := h.Sum64()
	return func(i int) float64 {
		z := start + uint64(i+1)*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return float64((z^z>>31)>>40) / (1 << 24)
	}
}

// parameter makes the weights that testdata/make_golden.py makes.
func parameter(name string, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	u := uniform(name)
	value := func(i int) float64 { return u(i) - 0.5 }
	switch {
	case strings.HasSuffix(name, "conv.weight"):
		limit := math.Sqrt(6 / float64(t.Len()/shape[0]))
		value = func(i int) float64 { return (2*u(i) - 1) * limit }
	case strings.HasSuffix(name, "bn.weight"), strings.HasSuffix(name, "running_var"):
		value = func(i int) float64 { return u(i) + 0.5 }
	case strings.HasSuffix(name, "bn.bias"), strings.HasSuffix(name, "running_mean"):
		value = func(i int) float64 { return (u(i) - 0.5) * 0.4 }
	case name == "fc.weight":
		limit := math.Sqrt(3.0 / Features)
		value = func(i int) float64 { return (2*u(i) - 1) * limit }
	}
	for i := range t.Len() {
		tensor.Data[float32](t)[i] = float32(value(i))
	}
	return t
}

// pictures makes the input of the golden outputs, [2 3 299 299].
func pictures() *tensor.Tensor {
	const blocks = Size / 13
	t := tensor.New(tensor.Float32, 2, 3, Size, Size)
	coarse, noise := uniform("blocks"), uniform("noise")
	for i := range t.Len() {
		plane, y, x := i/(Size*Size), i/Size%Size, i%Size
		block := (plane*blocks+y/13)*blocks + x/13
		tensor.Data[float32](t)[i] = float32(0.8*(2*coarse(block)-1) + 0.2*(2*noise(i)-1))
	}
	return t
}

func input(name string) *graph.Node {
	return graph.New(name).Input("x", tensor.Float32, graph.Batch(3, Size, Size))
}

// parameters lists the names and shapes that the network asks for, sorted.
func parameters() []string {
	var lines []string
	build(input("names"), func(name string, shape ...int) *tensor.Tensor {
		text := strings.Trim(strings.ReplaceAll(fmt.Sprint(shape), " ", "x"), "[]")
		lines = append(lines, name+" "+text)
		return tensor.New(tensor.Float32, shape...)
	})
	slices.Sort(lines)
	return lines
}

// The published file has the names and shapes that pytorch-fid loads.
func TestParametersArePyTorchFIDs(t *testing.T) {
	want := strings.Fields(strings.ReplaceAll(string(tensor.Data[uint8](testkit.Arrays(t, "testdata/golden.npz")["names"])), " ", "="))
	slices.Sort(want)
	got := parameters()
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], " ", "=")
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d parameters, want %d:\n%v\n%v", len(got), len(want), got, want)
	}
}

func TestOutputsArePyTorchFIDs(t *testing.T) {
	testkit.Long(t)
	var set weights.Set
	for _, line := range strings.Split(strings.TrimSpace(string(tensor.Data[uint8](testkit.Arrays(t,
		"testdata/golden.npz")["names"]))), "\n") {
		name, sizes, _ := strings.Cut(line, " ")
		var shape []int
		for _, size := range strings.Split(sizes, "x") {
			n := 0
			if _, err := fmt.Sscan(size, &n); err != nil {
				t.Fatal(err)
			}
			shape = append(shape, n)
		}
		if err := set.Add(name, parameter(name, shape...)); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, &set)
}

// compare runs the network with the weights of the golden outputs.
func compare(t *testing.T, set *weights.Set) {
	t.Helper()
	x := input("inception")
	out, err := Build(x, set)
	if err != nil {
		t.Fatal(err)
	}
	g := x.Graph()
	g.Output("pool3", out.Pool3)
	g.Output("logits", out.Logits)
	g.Output("unbiased", out.UnbiasedLogits)
	for _, name := range Layers() {
		g.Output("layer_"+name, out.Layers[name])
	}
	onnx := testkit.Encode(t, g)
	ctx := context.Background()
	rt := testkit.Open(t, 0)
	session := testkit.Load(t, rt, onnx)
	got, err := session.Run(ctx, map[string]*tensor.Tensor{"x": pictures()})
	if err != nil {
		t.Fatal(err)
	}
	want := golden(t)
	for _, name := range Layers() {
		if off := testkit.Apart(got["layer_"+name], want["layer_"+name]); !(off < 5e-6) {
			t.Errorf("layer %s is off by %.2g of the largest, want 5e-6 at most", name, off)
		}
	}
	for _, name := range []string{"pool3", "logits"} {
		if off := testkit.Apart(got[name], want[name+"_64"]); !(off < 5e-6) {
			t.Errorf("%s is off by %.2g of the largest, want 5e-6 at most", name, off)
		} else {
			t.Logf("%s is off by %.2g of the largest", name, off)
		}
	}
	bias, _ := set.Get("fc.bias")
	for i, v := range tensor.Data[float32](got["unbiased"]) {
		if sum := v + tensor.Data[float32](bias)[i%Classes]; sum != tensor.Data[float32](got["logits"])[i] {
			t.Fatalf("logit %d is %g, without bias %g", i, tensor.Data[float32](got["logits"])[i], v)
		}
	}
}

func TestWrongWeights(t *testing.T) {
	testkit.Long(t)
	if _, err := Build(input("none"), &weights.Set{}); err == nil ||
		!strings.Contains(err.Error(), "Conv2d_1a_3x3.conv.weight: missing, want [32 3 3 3]") || !strings.Contains(err.Error(), "more") {
		t.Errorf("no weights: %v", err)
	}
	for _, test := range []struct {
		name  string
		value *tensor.Tensor
		want  string
	}{
		{"Conv2d_1a_3x3.conv.weight", tensor.New(tensor.Float32, 32, 1, 3, 3), "float32[32 1 3 3], want floats of shape [32 3 3 3]"},
		{"fc.bias", tensor.New(tensor.Float32, 1000), "float32[1000], want floats of shape [1008]"},
		{"fc.bias", tensor.New(tensor.Int64, 1008), "int64[1008], want floats"},
		{"Conv2d_2a_3x3.bn.running_var", negative(32), "element 0 is a variance of -1"},
		{"Conv2d_2a_3x3.bn.bias", notFinite(32), "element 0 is not finite"},
	} {
		var set weights.Set
		build(input("zeros"), func(name string, shape ...int) *tensor.Tensor {
			value := tensor.New(tensor.Float32, shape...)
			if name == test.name {
				if err := set.Add(name, test.value); err != nil {
					t.Fatal(err)
				}
			} else if err := set.Add(name, value); err != nil {
				t.Fatal(err)
			}
			return value
		})
		if _, err := Build(input("wrong"), &set); err == nil || !strings.Contains(err.Error(), test.name+": "+test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}

func TestWrongInput(t *testing.T) {
	x := graph.New("small").Input("x", tensor.Float32, graph.Batch(3, 32, 32))
	var set weights.Set
	if _, err := Build(x, &set); err == nil || !strings.Contains(err.Error(), "[N 3 299 299]") {
		t.Errorf("pictures of 32×32: %v", err)
	}
}

func negative(n int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, n)
	tensor.Data[float32](t)[0] = -1
	return t
}

func notFinite(n int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, n)
	tensor.Data[float32](t)[0] = float32(math.NaN())
	return t
}
