package train_test

import (
	"math"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/train"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// scaled is the function y = x·p of a shape, whose loss is that of y.
func scaled(shape ...int) train.Function {
	g := graph.New("scaled")
	x := g.Input("x", tensor.Float32, graph.Batch(shape...))
	g.Output("y", graph.Mul(x, graph.Broadcast(g.Input("p", tensor.Float32, nil), x.Shape())))
	return train.Function{Graph: g, Parameters: []string{"p"}}
}

// TestLosses compares losses with loops.
func TestLosses(t *testing.T) {
	x := []float64{0.5, -2, 1, 3, 0.1, -0.7}
	logSoftmax := func(row []float64, c int) float64 {
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(v)
		}
		return row[c] - math.Log(sum)
	}
	rows := [][]float64{x[:3], x[3:]}
	mean := func(each func(v, target float64) float64, targets []float64) (sum float64) {
		for i, v := range x {
			sum += each(v, targets[i]) / float64(len(x))
		}
		return sum
	}
	smooth := func(row []float64, c int, weights []float64, part float64) float64 {
		loss := -(1 - part) * weights[c] * logSoftmax(row, c)
		for k := range row {
			loss -= part / 3 * weights[k] * logSoftmax(row, k)
		}
		return loss
	}
	ones, weights := []float64{1, 1, 1}, []float64{0.5, 2, 4}
	real, bits := []float64{1, -1, 0.5, 0, 0.2, 5}, []float64{1, 0, 0, 1, 1, 0}
	class := tensor.Of([]int64{1, 2}, 2)
	for _, c := range []struct {
		what   string
		loss   train.Loss
		target *tensor.Tensor
		want   float64
	}{
		{"mse", train.Loss{Name: train.MSE}, tensor.Of(real, 2, 3), mean(func(v, t float64) float64 { return (v - t) * (v - t) }, real)},
		{"huber", train.Loss{Name: train.Huber, Delta: 0.6}, tensor.Of(real, 2, 3), mean(func(v, t float64) float64 {
			if d := math.Abs(v - t); d >= 0.6 {
				return 0.6 * (d - 0.3)
			}
			return (v - t) * (v - t) / 2
		}, real)},
		{"bce", train.Loss{Name: train.BCE}, tensor.Of(bits, 2, 3),
			mean(func(v, t float64) float64 { return math.Log(1+math.Exp(v)) - v*t }, bits)},
		{"output", train.Loss{Name: train.OutputLoss}, nil, mean(func(v, _ float64) float64 { return v }, real)},
		{"cross-entropy", train.Loss{Name: train.CrossEntropy}, class, (smooth(rows[0], 1, ones, 0) + smooth(rows[1], 2, ones, 0)) / 2},
		{"smoothed", train.Loss{Name: train.CrossEntropy, Smoothing: 0.3}, class,
			(smooth(rows[0], 1, ones, 0.3) + smooth(rows[1], 2, ones, 0.3)) / 2},
		{"weighted", train.Loss{Name: train.CrossEntropy, Smoothing: 0.3, Weights: []float32{0.5, 2, 4}}, class,
			(smooth(rows[0], 1, weights, 0.3) + smooth(rows[1], 2, weights, 0.3)) / 6},
		{"ignored", train.Loss{Name: train.CrossEntropy, Ignore: []int{2}}, class, smooth(rows[0], 1, ones, 0)},
		{"no class", train.Loss{Name: train.CrossEntropy}, tensor.Of([]int64{-100, 2}, 2), smooth(rows[1], 2, ones, 0)},
	} {
		g, err := train.Step(scaled(3), c.loss, mdsm.SGD{})
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		in := testkit.Values{"x": tensor.Of(x, 2, 3), "p": tensor.Of([]float64{1}), "learning_rate": tensor.Of([]float64{0.1}, 1),
			"step": tensor.Of([]int64{1}, 1)}
		if c.target != nil {
			in["target"] = c.target
		}
		testkit.Near(t, c.what, testkit.Interpret(t, g, in)["loss"], []float64{c.want}, 1e-6) // numbers of the graph are float32
	}
}

// TestClassAxis: the classes of pictures are on the second axis, those of texts on
// the last one, unless it is said.
func TestClassAxis(t *testing.T) {
	for _, c := range []struct {
		shape  []int
		axis   int
		target []int
	}{
		{[]int{5}, 0, nil}, {[]int{7, 5}, 0, []int{7}}, {[]int{5, 7}, 1, []int{7}}, {[]int{5, 4, 4}, 0, []int{4, 4}},
		{[]int{4, 4, 5}, 3, []int{4, 4}},
	} {
		like, err := scaled(c.shape...).Like(train.Loss{Name: train.CrossEntropy, Axis: c.axis}, 2)
		if err != nil {
			t.Errorf("%v: %v", c.shape, err)
			continue
		}
		want := tensor.New(tensor.Int64, append([]int{2}, c.target...)...)
		if like["target"].String() != want.String() {
			t.Errorf("%v: the target is %v, want %v", c.shape, like["target"], want)
		}
	}
}

func TestStepErrors(t *testing.T) {
	plain := train.Loss{Name: train.MSE}
	for want, step := range map[string]func() (*graph.Graph, error){
		`loss.name "mae"`: func() (*graph.Graph, error) { return train.Step(scaled(3), train.Loss{Name: "mae"}, mdsm.SGD{}) },
		"no output called z": func() (*graph.Graph, error) {
			return train.Step(scaled(3), train.Loss{Name: train.MSE, Output: "z"}, mdsm.SGD{})
		},
		"sgd with momentum 2": func() (*graph.Graph, error) { return train.Step(scaled(3), plain, mdsm.SGD{Momentum: 2}) },
		"want one or more to train": func() (*graph.Graph, error) {
			return train.Step(train.Function{Graph: scaled(3).Graph}, plain, mdsm.SGD{})
		},
		`parameter "q" is no input`: func() (*graph.Graph, error) {
			return train.Step(train.Function{Graph: scaled(3).Graph, Parameters: []string{"q"}}, plain, mdsm.SGD{})
		},
		"cross-entropy for settings": func() (*graph.Graph, error) {
			return train.Step(scaled(3), train.Loss{Name: train.MSE, Smoothing: 0.1}, mdsm.SGD{})
		},
		"class weights (2)": func() (*graph.Graph, error) {
			return train.Step(scaled(3), train.Loss{Name: train.CrossEntropy, Weights: []float32{1, 2}}, mdsm.SGD{})
		},
	} {
		if _, err := step(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestShardsOfASupervisedStep: the gradient of shards is that of the batch.
func TestShardsOfASupervisedStep(t *testing.T) {
	rt := testkit.Open(t, 2)
	var ends []float64
	for _, shards := range []int{1, 4} {
		p, err := train.Supervised{
			Function: scaled(3), Loss: train.Loss{Name: train.MSE}, Optimiser: mdsm.SGD{Momentum: 0.5}, Batch: 8, Shards: shards, Seed: 1,
			Data: ramp{}, First: map[string]*tensor.Tensor{"p": tensor.Of([]float32{0.3})},
		}.Problem()
		if err != nil || (p.Shards != nil) != (shards > 1) {
			t.Fatalf("%d shards: %v (%v)", shards, p.Shards, err)
		}
		r, err := train.Run(t.Context(), rt, p, train.Loop{Steps: 30, LearningRate: train.LearningRate{Schedule: train.Constant, Initial: 0.1}})
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, r.Weights["p"].Float64s()[0])
	}
	testkit.Within(t, "the weight of four shards", ends[1], ends[0], 1e-5)
	testkit.Within(t, "the weight", ends[0], 2, 1e-3)
}

// ramp are twenty rows whose targets are twice as large.
type ramp struct{}

func (ramp) Len() int { return 20 }

func (ramp) Fill(batch map[string]*tensor.Tensor, index []int) {
	for k, i := range index {
		for j := range 3 {
			v := float32(i%7-3) / 3 * float32(j+1)
			tensor.Data[float32](batch["x"])[3*k+j], tensor.Data[float32](batch["target"])[3*k+j] = v, 2*v
		}
	}
}
