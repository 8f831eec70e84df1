package mdsm_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// golden is what testdata/objectives.json holds.
type golden struct {
	Parameters map[string]array
	Sigma0     float64
	Data       int
	Cases      map[string]struct {
		Inputs   map[string]array
		Loss     float64
		Gradient map[string]array
		Outputs  map[string]array // others of the step
	}
	Assign []struct {
		N     int
		Cost  []float64
		Least float64
	}
}

type array struct {
	Shape  []int
	Values []float64
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	if err := json.Unmarshal(testkit.Read(t, "testdata", "objectives.json"), &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestObjectivesAreTorchs compares losses and gradients with PyTorch's, which come from
// the formulas by loops: in float64, and in ONNX Runtime.
func TestObjectivesAreTorchs(t *testing.T) {
	g := readGolden(t)
	net := energy.Perceptron{In: 3, Widths: []int{5, 4}}
	warm := mdsm.Transport{Heating: mdsm.Heating{Tau: 1}}
	whole := mdsm.Transport{Heating: mdsm.Heating{Tau: 1, Epsilon: 0.5}, Contrast: 0.7, Steps: 5, StepTime: 0.25}
	early, floored := whole, whole
	early.Tau, early.Floor, floored.Floor = 0.4, 1000, 1e-6
	criteria := map[string]mdsm.Criterion{
		"posterior": mdsm.Posterior{Objective: mdsm.Objective{Sigma0: g.Sigma0, Weighting: mdsm.InverseVariance}, Data: g.Data},
		"ncsn":      mdsm.NCSN{}, "transport": warm, "contrast": whole, "contrast from tau": early, "contrast at the floor": floored,
	}
	criteria["score matching"] = mdsm.ScoreMatching{Sigma0: g.Sigma0}
	criteria["sliced score matching"] = mdsm.ScoreMatching{Sigma0: g.Sigma0, Projections: 2}
	criteria["persistent"] = mdsm.ShortRun{Steps: 5, StepSize: 0.4, Temperature: 0.6, Sigma: 0.2, Regularise: 0.05, Persistent: true}
	if len(criteria) != len(g.Cases) {
		t.Errorf("%d criteria, want the %d cases of the file", len(criteria), len(g.Cases))
	}
	for name, c := range criteria {
		want, in := g.Cases[name], make(values)
		for key, a := range want.Inputs {
			in[key] = f64(a.Shape, a.Values...)
			if key == "own" {
				own := make([]int64, len(a.Values))
				for i, v := range a.Values {
					own[i] = int64(v)
				}
				in[key] = tensor.Of(own, a.Shape...)
			}
		}
		for key, a := range g.Parameters {
			in[key] = f64(a.Shape, a.Values...)
		}
		step := mdsm.GradientGraph(net, c, 1)
		for how, run := range map[string]struct {
			got       values
			tolerance float64
		}{"float64": {testkit.Interpret(t, step, in), 2e-6}, "ONNX Runtime": {execute(t, step, in), 1e-4}} {
			testkit.Near(t, name+", loss, "+how, run.got["loss"], []float64{want.Loss}, run.tolerance)
			for key, a := range want.Outputs {
				testkit.Near(t, name+", "+key+", "+how, run.got[key], a.Values, run.tolerance)
			}
			for key, a := range want.Gradient {
				testkit.Near(t, name+", gradient by "+key+", "+how, run.got[key+".grad"], a.Values, run.tolerance)
			}
		}
	}
}

// TestAssignIsLeast compares the sums with SciPy's, whose columns may be others where
// sums are equal.
func TestAssignIsLeast(t *testing.T) {
	for _, c := range readGolden(t).Assign {
		columns, sum := mdsm.Assign(c.Cost, c.N), 0.0
		for i, j := range columns {
			sum += c.Cost[i*c.N+j]
		}
		testkit.Within(t, "the sum of costs", sum, c.Least, 1e-9)
		slices.Sort(columns)
		for i, j := range columns {
			if i != j {
				t.Fatalf("%d rows: columns %v, want each once", c.N, columns)
			}
		}
	}
}

// TestPosteriorMeanOfAllData compares the mean with all data as neighbours with the same
// over the data, whichever x the noise was added to: it then depends on x̃ alone.
func TestPosteriorMeanOfAllData(t *testing.T) {
	const n, d, sigma0 = 7, 2, 0.4
	data, noise := normal(1, n, d), normal(2, n, d)
	g := graph.New("mean")
	x, noisy := g.Input("x", tensor.Float64, graph.Batch(d)), g.Input("noisy", tensor.Float64, graph.Batch(d))
	own := g.Input("own", tensor.Int64, graph.Batch())
	other := g.Input("neighbours", tensor.Float64, graph.Shape{graph.Sym("M"), graph.Const(d)})
	g.Output("mean", mdsm.Posterior{Objective: mdsm.Objective{Sigma0: sigma0}, Data: n}.Mean(x, noisy, other, own))

	order := []int64{3, 0, 6, 1, 5, 2, 4} // of the x's in the batch
	batch, at := tensor.New(tensor.Float64, n, d), tensor.New(tensor.Float64, n, d)
	var want []float64
	for i, k := range order {
		var sum float64
		mean := make([]float64, d)
		for j := range d {
			v := data.Float64s()[int(k)*d+j]
			tensor.Data[float64](batch)[i*d+j], tensor.Data[float64](at)[i*d+j] = v, v+noise.Float64s()[i*d+j]
		}
		for m := range n {
			square := 0.0
			for j := range d {
				square += math.Pow(at.Float64s()[i*d+j]-data.Float64s()[m*d+j], 2)
			}
			w := math.Exp(-square / (2 * sigma0 * sigma0))
			sum += w
			for j := range d {
				mean[j] += w * data.Float64s()[m*d+j]
			}
		}
		for _, v := range mean {
			want = append(want, v/sum)
		}
	}
	got := testkit.Interpret(t, g, values{"x": batch, "noisy": at, "own": tensor.Of(order, n), "neighbours": data})
	testkit.Near(t, "the mean", got["mean"], want, 1e-12)

	// One x alone has no other.
	one := testkit.Interpret(t, g, values{"x": data.Rows(0, 1), "noisy": at.Rows(0, 1), "own": tensor.Of([]int64{0}, 1),
		"neighbours": data.Rows(0, 1)})
	testkit.Near(t, "the mean of one", one["mean"], data.Float64s()[:d], 1e-12)
}

func TestHeating(t *testing.T) {
	for _, c := range []struct{ tau, t, want float64 }{
		{1, 0, 0}, {1, 0.999, 0}, {1, 1, 2}, {1, 3, 2}, {0.5, 0.4, 0}, {0.5, 0.75, 1}, {0.5, 1, 2}, {0.5, 2, 2},
	} {
		testkit.Within(t, "ε", mdsm.Heating{Tau: c.tau, Epsilon: 2}.At(c.t), c.want, 1e-12)
	}
}

func TestTransportValidate(t *testing.T) {
	good := mdsm.Transport{Heating: mdsm.Heating{Tau: 1, Epsilon: 0.1}, Contrast: 1, Steps: 3, StepTime: 0.1}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*mdsm.Transport){
		func(c *mdsm.Transport) { c.Tau = 0 }, func(c *mdsm.Transport) { c.Tau = 1.1 }, func(c *mdsm.Transport) { c.Epsilon = -1 },
		func(c *mdsm.Transport) { c.Contrast = math.NaN() }, func(c *mdsm.Transport) { c.Steps = 0 },
		func(c *mdsm.Transport) { c.StepTime = 0 }, func(c *mdsm.Transport) { c.Floor = -1 },
	} {
		bad := good
		if change(&bad); bad.Validate() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func BenchmarkAssign(b *testing.B) {
	const n = 256
	x, y, cost := normal(1, n, 2).Float64s(), normal(2, n, 2).Float64s(), make([]float64, n*n)
	for i := range n {
		for j := range n {
			cost[i*n+j] = -x[2*i]*y[2*j] - x[2*i+1]*y[2*j+1]
		}
	}
	for b.Loop() {
		mdsm.Assign(cost, n)
	}
}
