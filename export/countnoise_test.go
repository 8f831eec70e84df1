package export_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	g "ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

const countedKey = 0x3bc8bca4d301945b

// counted is a model that adds counted noise of K steps to x and gives the noise and its words.
func counted(t *testing.T, halves bool, steps g.Dim, shape ...int) *onnxpb.ModelProto {
	t.Helper()
	body := g.New("walk")
	x := body.Input("x", tensor.Float32, g.Batch(shape...))
	noise := body.Input("noise", tensor.Float32, x.Shape())
	scale := body.Input("t", tensor.Float32, nil)
	body.Output("x", g.Add(x, g.Mul(noise, g.Broadcast(scale, x.Shape()))))
	body.Output("noise", noise)

	f := g.New("walk")
	start := f.Input("x", tensor.Float32, g.Batch(shape...))
	noises := f.Input("noise", tensor.Float32, append(g.Shape{steps}, start.Shape()...))
	out := g.Scan(body, []*g.Node{start}, []*g.Node{noises, f.Input("scale", tensor.Float32, g.Shape{steps})})
	f.Output("x_next", out[0])
	f.Output("drawn", out[1])
	m := model(t, f, export.Options{Count: &export.Counted{Input: "noise", Key: countedKey, Halves: halves}})

	// The words are what the normals are made of: the operand of the cast to float.
	for _, scan := range m.Graph.Node {
		if scan.GetOpType() != "Scan" {
			continue
		}
		for _, a := range scan.Attribute {
			if a.G == nil {
				continue
			}
			at := slices.IndexFunc(a.G.Node, func(n *onnxpb.NodeProto) bool { return n.GetOpType() == "Split" })
			toFloat := a.G.Node[at-1]
			whole := proto.Clone(toFloat).(*onnxpb.NodeProto)
			whole.Name, whole.Output = proto.String("Cast_words"), []string{"body_words"}
			whole.Attribute[0].I = proto.Int64(int64(onnxpb.TensorProto_INT64))
			a.G.Node = append(a.G.Node, whole)
			words := proto.Clone(m.Graph.Output[1]).(*onnxpb.ValueInfoProto)
			words.Name = proto.String("body_words")
			words.Type.GetTensorType().ElemType = proto.Int32(int32(onnxpb.TensorProto_INT64))
			words.Type.GetTensorType().Shape = nil
			a.G.Output = append(a.G.Output, words)
			top := proto.Clone(words).(*onnxpb.ValueInfoProto)
			top.Name = proto.String("words")
			scan.Output, m.Graph.Output = append(scan.Output, "words"), append(m.Graph.Output, top)
		}
	}
	return m
}

func countFrom(halves bool, from, n int) *tensor.Tensor {
	var list []int64
	for i := range n {
		list = append(list, int64(from+i))
	}
	return export.Counted{Halves: halves}.Integers(list...)
}

func allOnes(n int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, n)
	for i := range n {
		tensor.Data[float32](t)[i] = 1
	}
	return t
}

// Words are those of rng.Squares, bit for bit, normals those of Box and Muller's transformation
// of them, for even and odd numbers of elements, with integers of 64 bits and of 32.
func TestCountNoise(t *testing.T) {
	for _, halves := range []bool{false, true} {
		t.Run(fmt.Sprint("halves=", halves), func(t *testing.T) { testCountNoise(t, halves) })
	}
}

func testCountNoise(t *testing.T, halves bool) {
	rt := testkit.Open(t, 1)
	const steps, batch, first, step = 3, 5, 1<<28 - 5, 65533
	for _, shape := range [][]int{{2, 3, 4}, {7}, {1}, {600}} {
		each, half := tensor.Volume(shape), (tensor.Volume(shape)+1)/2
		m := counted(t, halves, g.Sym("K"), shape...)
		out := testkit.Run(t, session(t, rt, m), map[string]*tensor.Tensor{
			"x": tensor.New(tensor.Float32, append([]int{batch}, shape...)...), "scale": allOnes(steps),
			export.SamplesInput: countFrom(halves, first, batch), export.StepsInput: countFrom(halves, step, steps)})
		words, drawn := tensor.Data[int64](out["words"]), tensor.Data[float32](out["drawn"])
		for k := range steps {
			for n := range batch {
				for j := range half {
					var want [2]uint32
					for lane := range want {
						want[lane] = rng.Squares(rng.SquaresCounter(uint64(first+n), uint64(step+k), uint64(lane<<19|j)), countedKey)
						if got := words[(k*batch+n)*2*half+lane*half+j]; got != int64(want[lane]) {
							t.Fatalf("%v: word %d of lane %d, sample %d, step %d is %#x, want %#x", shape, j, lane, n, k, got, want[lane])
						}
					}
					part := float32(float32(want[0])*0x1p-32) + 0x1p-33
					radius := math.Sqrt(-2 * math.Log(float64(part)))
					angle := float64(float32(want[1]) * float32(2*math.Pi*0x1p-32))
					for lane, normal := range []float64{radius * math.Cos(angle), radius * math.Sin(angle)} {
						i := lane*half + j
						if i >= each {
							continue
						}
						if got := float64(drawn[(k*batch+n)*each+i]); math.Abs(got-normal) > 1e-5 {
							t.Fatalf("%v: element %d of sample %d, step %d is %g, want %g", shape, i, n, k, got, normal)
						}
					}
				}
			}
		}
	}
}

// A sample's noise is the same alone, in any order, and with its steps in several runs.
func TestCountNoiseIsOfSampleAndStep(t *testing.T) {
	rt := testkit.Open(t, 1)
	s := session(t, rt, counted(t, false, g.Sym("K"), 3, 5))
	run := func(samples *tensor.Tensor, from, steps int) []float32 {
		n := samples.Len()
		out := testkit.Run(t, s, map[string]*tensor.Tensor{"x": tensor.New(tensor.Float32, n, 3, 5), "scale": allOnes(steps),
			export.SamplesInput: samples, export.StepsInput: countFrom(false, from, steps)})
		return tensor.Data[float32](out["drawn"])
	}
	all := run(countFrom(false, 10, 6), 0, 8)
	order := []int64{15, 10, 12}
	later := run(tensor.Of(order, 3), 5, 3)
	for k := range 3 {
		for at, sample := range order {
			got, want := later[(k*3+at)*15:][:15], all[((5+k)*6+int(sample)-10)*15:][:15]
			testkit.SameBits(t, fmt.Sprintf("sample %d at step %d", sample, 5+k), got, want)
		}
	}
}

// Without a Scan, all steps are drawn at once, and are the same; so is a step alone, and all of
// them with integers of 32 bits, up to the rounding of the logarithm and the angle.
func TestCountNoiseWithoutScan(t *testing.T) {
	rt := testkit.Open(t, 1)
	const first, step, steps = 1<<28 - 4, 65000, 6
	f := g.New("sum")
	x := f.Input("x", tensor.Float32, g.Batch(3, 5))
	noise := f.Input("noise", tensor.Float32, append(g.Shape{g.Sym("K")}, x.Shape()...))
	f.Output("drawn", g.Add(noise, g.Broadcast(x, noise.Shape())))
	single := g.New("sum")
	x = single.Input("x", tensor.Float32, g.Batch(3, 5))
	single.Output("drawn", g.Add(single.Input("momentum", tensor.Float32, x.Shape()), x))
	drawn := func(rt *runtime.Runtime, graph *g.Graph, c export.Counted, step, steps int) []float32 {
		t.Helper()
		in := map[string]*tensor.Tensor{"x": tensor.New(tensor.Float32, 4, 3, 5),
			export.SamplesInput: countFrom(c.Halves, first, 4), export.StepsInput: countFrom(c.Halves, step, steps)}
		if c.Key == 0 {
			in[export.KeyInput] = c.KeyBits(countedKey)
		}
		return tensor.Data[float32](testkit.Run(t, session(t, rt, model(t, graph, export.Options{Count: &c})), in)["drawn"])
	}
	var want []float32
	for _, halves := range []bool{false, true} {
		scan := session(t, rt, counted(t, halves, g.Sym("K"), 3, 5))
		all := tensor.Data[float32](testkit.Run(t, scan, map[string]*tensor.Tensor{
			"x": tensor.New(tensor.Float32, 4, 3, 5), "scale": allOnes(steps),
			export.SamplesInput: countFrom(halves, first, 4), export.StepsInput: countFrom(halves, step, steps)})["drawn"])
		if want == nil {
			want = all
		}
		for i, v := range all {
			testkit.Within(t, "noise of halves", float64(v), float64(want[i]), 1e-5)
		}
		of := export.Counted{Input: "noise", Key: countedKey, Halves: halves}
		testkit.SameBits(t, "noise without a Scan", drawn(rt, f, of, step, steps), all)
		of.Key = 0
		testkit.SameBits(t, "noise with a key from outside", drawn(rt, f, of, step, steps), all)
		for k := range steps {
			got := drawn(rt, single, export.Counted{Input: "momentum", Single: true, Halves: halves}, step+k, 1)
			testkit.SameBits(t, "noise of one step", got, all[k*len(got):][:len(got)])
		}
	}
	for _, rt := range testkit.Players(t, 1) {
		for i, v := range drawn(rt, single, export.Counted{Input: "momentum", Single: true, Halves: true}, step, 1) {
			testkit.Within(t, fmt.Sprintf("noise on %s", rt.Info().Provider), float64(v), float64(want[i]), 1e-5)
		}
	}
}

// The noise is standard normal, and neither neighbours nor samples nor steps are correlated.
func TestCountNoiseDistribution(t *testing.T) {
	rt := testkit.Open(t, 1)
	const steps, batch, each = 20, 100, 64
	out := testkit.Run(t, session(t, rt, counted(t, false, g.Const(steps), each)), map[string]*tensor.Tensor{
		"x": tensor.New(tensor.Float32, batch, each), "scale": allOnes(steps), export.SamplesInput: countFrom(false, 0, batch)})
	drawn := tensor.Data[float32](out["drawn"])
	n := float64(len(drawn))
	var moments [5]float64
	for _, v := range drawn {
		for p := range moments {
			moments[p] += math.Pow(float64(v), float64(p)) / n
		}
	}
	// Five deviations of each mean.
	for p, want := range []struct{ mean, variance float64 }{{1, 1}, {0, 1}, {1, 2}, {0, 15}, {3, 96}} {
		testkit.Within(t, fmt.Sprintf("mean of the power %d", p), moments[p], want.mean, 5*math.Sqrt(want.variance/n))
	}
	for what, lag := range map[string]int{"neighbours": 1, "halves": each / 2, "samples": each, "steps": batch * each} {
		sum := 0.0
		for i := lag; i < len(drawn); i++ {
			sum += float64(drawn[i]) * float64(drawn[i-lag])
		}
		testkit.Within(t, "correlation of "+what, sum/n, 0, 5/math.Sqrt(n))
	}
	// Kolmogorov and Smirnov: above 2.69/√n once in a million.
	slices.Sort(drawn)
	worst := 0.0
	for i, v := range drawn {
		f := 0.5 * math.Erfc(-float64(v)/math.Sqrt2)
		worst = max(worst, f-float64(i)/n, float64(i+1)/n-f)
	}
	if d := worst * math.Sqrt(n); d > 2.69 {
		t.Errorf("Kolmogorov–Smirnov statistic %.2f, want below 2.69", d)
	}
}

func TestCountNoiseRefuses(t *testing.T) {
	for _, c := range []struct {
		input string
		shape []int
		want  string
	}{
		{"nothing", []int{4}, "no such input"}, {"x", []int{4, 2}, "carries it"}, {"noise", []int{1 << 20, 2}, "at most 1048576"},
	} {
		body := g.New("walk")
		x := body.Input("x", tensor.Float32, g.Batch(c.shape...))
		noise := body.Input("noise", tensor.Float32, x.Shape())
		body.Input("t", tensor.Float32, nil)
		body.Output("x", g.Add(x, noise))
		f := g.New("walk")
		start := f.Input("x", tensor.Float32, g.Batch(c.shape...))
		noises := f.Input("noise", tensor.Float32, append(g.Dims(2), start.Shape()...))
		f.Output("x_next", g.Scan(body, []*g.Node{start}, []*g.Node{noises, f.Input("t", tensor.Float32, g.Dims(2))})[0])
		if _, err := export.Model(f, export.Options{Count: &export.Counted{Input: c.input, Key: 1}}); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %v: %v, want %q", c.input, c.shape, err, c.want)
		}
	}
}
