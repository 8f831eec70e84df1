package train_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/metrics"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// strokes is an energy as another module may write one: a convolution, and the
// sum of what comes out of it.
type strokes struct{ channels int }

func (s strokes) InputShape() []int { return []int{s.channels, 5, 7} }

func (s strokes) Parameters() []energy.Parameter {
	return append(energy.ConvolutionParameters("conv", s.channels, 3, 3), energy.LinearParameters("sum", 3*5*7, 1)...)
}

func (s strokes) Energy(x *graph.Node, params energy.Params) *graph.Node {
	h := graph.Softplus(energy.Convolve(x, params, "conv", 1))
	e := energy.Linear(graph.Flatten(h), params, "sum")
	return graph.Reshape(e, e.Shape()[:1])
}

func strokesOf(t *testing.T, n int) dataset.Data {
	t.Helper()
	x := tensor.New(tensor.Float32, n, 2, 5, 7)
	rng.New(9).Uniform(tensor.Data[float32](x), rng.Probe, 0, 0)
	data, err := dataset.Rows(x)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func matching(t *testing.T) train.Matching {
	return train.Matching{
		Network: strokes{2}, Data: strokesOf(t, 10), Batch: 4, Shards: 2, Mirror: true, Seed: 3,
		Noise: train.NoiseSettings{Sigma0: 0.1, Min: 0.1, Max: 1}, Optimiser: mdsm.Adam{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, EMA: 0.9},
	}
}

func posed(t *testing.T, m train.Matching) train.Problem {
	t.Helper()
	p, err := m.Problem()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMatchingResumes trains an energy of one's own in two parts, and on
// nothing but memory, to the same bits; a run of another seed or of other data
// is not gone on with.
func TestMatchingResumes(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	m := matching(t)
	l := train.Loop{Steps: 9, LearningRate: train.LearningRate{Schedule: train.Cosine, Initial: 1e-2}, CheckpointEvery: 4}
	memory, err := train.Run(t.Context(), rt, posed(t, m), l)
	if err != nil || memory.Checkpoint != "" || memory.Step != 9 {
		t.Fatalf("result %+v, error %v without a folder", memory, err)
	}
	l.Dir = filepath.Join(t.TempDir(), "run")
	first := l
	first.Hook = func(_ context.Context, u train.Update) error {
		if u.Step == 5 {
			return train.ErrStop
		}
		return nil
	}
	if _, err := train.Run(t.Context(), rt, posed(t, m), first); err != nil {
		t.Fatal(err)
	}
	l.Resume = true
	for want, change := range map[string]func(*train.Matching){
		"seed 3, want 4":    func(m *train.Matching) { m.Seed = 4 },
		"batch 4, want 2":   func(m *train.Matching) { m.Batch = 2 },
		"sigma_max 1, want": func(m *train.Matching) { m.Noise.Max = 2 },
		"data_sha256":       func(m *train.Matching) { m.Data = strokesOf(t, 11) },
	} {
		other := m
		change(&other)
		var refused *train.ResumeError
		if _, err := train.Run(t.Context(), rt, posed(t, other), l); !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	r, err := train.Run(t.Context(), rt, posed(t, m), l)
	if err != nil || r.Made != 4 {
		t.Fatalf("result %+v, error %v", r, err)
	}
	kept, err := train.Checkpoint{Dir: r.Checkpoint}.Weights()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range memory.Weights {
		for what, got := range map[string]*tensor.Tensor{"the result": r.Weights[name], "the checkpoint": kept[name]} {
			testkit.SameBits(t, what+" of "+name, tensor.Data[float32](got), tensor.Data[float32](want))
		}
	}
}

func TestMatchingErrors(t *testing.T) {
	for want, change := range map[string]func(*train.Matching){
		"batch 0":                           func(m *train.Matching) { m.Batch = 0 },
		"shards -1":                         func(m *train.Matching) { m.Shards = -1 },
		"noise.sigma0 0":                    func(m *train.Matching) { m.Noise.Sigma0 = 0 },
		`noise.spacing "even"`:              func(m *train.Matching) { m.Noise.Spacing = "even" },
		"β = (2":                            func(m *train.Matching) { m.Optimiser = mdsm.Adam{Beta1: 2} },
		"of shape 2×5×7, want 3×5×7":        func(m *train.Matching) { m.Network = strokes{3} },
		"missing conv.weight":               func(m *train.Matching) { m.Start = energy.Weights{} },
		`parameter "sum.weight" is missing`: func(m *train.Matching) { m.Network = headless{strokes{2}} },
	} {
		m := matching(t)
		change(&m)
		if _, err := m.Problem(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// headless forgets parameters of its energy.
type headless struct{ strokes }

func (h headless) Parameters() []energy.Parameter { return h.strokes.Parameters()[:2] }

// TestMirror turns around the last axis of about half the x's.
func TestMirror(t *testing.T) {
	m := matching(t)
	m.Batch, m.Shards = 10, 0
	p := posed(t, m)
	p.Fill(1)
	x := p.Batch["x"]
	turned := 0
	for i := range 10 {
		got := tensor.Data[float32](x.Rows(i, i+1))
		found := false
		for j := range 10 {
			row := make([]float32, 2*5*7)
			m.Data.Fill(row, []int{j})
			same, flipped := true, true
			for k, v := range got {
				same = same && v == row[k]
				flipped = flipped && v == row[k/7*7+6-k%7]
			}
			found = found || same || flipped
			if flipped {
				turned++
			}
		}
		if !found {
			t.Errorf("x %d of the batch is none of the data, turned around or not", i)
		}
	}
	if turned < 2 || turned > 8 {
		t.Errorf("%d of 10 are mirrored", turned)
	}
}

// TestValidation measures held-out x's twice to the same numbers, which are
// about those of the objective for a network without weights: every level's is
// the number of values, and ends a run that gets no better.
func TestValidation(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	m := matching(t)
	held := strokesOf(t, 40)
	v, err := m.Validation(rt, held)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	flat := make(energy.Weights)
	for _, p := range m.Network.Parameters() {
		flat[p.Name] = tensor.New(tensor.Float32, p.Shape...)
	}
	l, err := v.Measure(t.Context(), flat)
	if err != nil || len(l.Levels) != 8 || l.Sigmas[0] != 0.1 || math.Abs(l.Sigmas[7]-1) > 1e-12 {
		t.Fatalf("losses %+v, error %v", l, err)
	}
	for k, loss := range l.Levels {
		if math.Abs(loss-70) > 10 { // 70 values, 40 x's: 5 standard errors of χ²
			t.Errorf("with no weights the loss at σ = %g is %g, want about 70", l.Sigmas[k], loss)
		}
	}
	again, err := v.Measure(t.Context(), flat)
	if err != nil || again.Mean != l.Mean {
		t.Errorf("measured again: %g, error %v, want %g", again.Mean, err, l.Mean)
	}

	// A learning rate of nearly nothing gets no better: it ends after patience.
	dir := t.TempDir()
	loop := train.Loop{Steps: 60, LearningRate: train.LearningRate{Schedule: train.Constant, Initial: 1e-30}, Dir: dir,
		LogEvery: 7, Hook: v.Every(2, 3)}
	r, err := train.Run(t.Context(), rt, posed(t, m), loop)
	if err != nil || r.Step != 8 {
		t.Errorf("result %+v, error %v, want an end after four measurements", r, err)
	}
	records, err := metrics.ReadFile(filepath.Join(dir, metrics.LinesFile))
	if err != nil || records[0].Step != 2 || records[0].Values["validation_loss"] == 0 || records[0].Values["validation_loss/0.1"] == 0 {
		t.Errorf("metrics %v, error %v", records, err)
	}
	loop.Hook, loop.Steps, loop.Dir = nil, 8, t.TempDir()
	if _, err := train.Run(t.Context(), rt, posed(t, m), loop); err != nil {
		t.Fatal(err)
	}
	sameState(t, "with validation", dir, loop.Dir)
	if _, err := m.Validation(rt, &dataset.Set{Channels: 1, Height: 5, Width: 7}); err == nil ||
		!strings.Contains(err.Error(), "0 held-out x's of shape 1×5×7") {
		t.Errorf("error %v for nothing held out", err)
	}
}
