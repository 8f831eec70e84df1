package train_test

import (
	"context"
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// learner trains a perceptron on points by an objective.
type learner struct {
	train.Settings
	data *tensor.Tensor
}

func newLearner(t *testing.T, o train.Objective, data *tensor.Tensor, steps int) learner {
	t.Helper()
	s := train.Points(2).Choose(o)
	s.Steps, s.Batch, s.Net.Hidden = steps, 256, []int{48, 48}
	s.Optimiser.LearningRate = train.LearningRate{Schedule: train.Cosine, Initial: 1e-2, Final: 1e-4}
	s.Optimiser.EMA = 0.99
	return learner{s, data}
}

// score trains and returns −∇E at points.
func (l learner) score(t *testing.T, x *tensor.Tensor) []float64 {
	t.Helper()
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	rows, err := dataset.Rows(l.data)
	if err != nil {
		t.Fatal(err)
	}
	p, err := train.NewProblem(l.Settings, rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	rt := testkit.Open(t, 0)
	r, err := train.Run(t.Context(), rt, p, train.Loop{Steps: l.Steps, LearningRate: l.Optimiser.LearningRate})
	if err != nil {
		t.Fatal(err)
	}
	net := energy.Perceptron{In: 2, Widths: l.Net.Hidden, Activation: l.Net.Activation}
	return testkit.RunModel(t, rt, testkit.Encode(t, mdsm.ScoreGraph(net, r.Weights)), testkit.Values{"x": x})["score"].Float64s()
}

// scoreOf returns the score of a mixture at points.
func scoreOf(t *testing.T, m energy.Mixture, x *tensor.Tensor) []float64 {
	t.Helper()
	g := graph.New("truth")
	score, _ := mdsm.Score(m.Energy, g.Input("x", tensor.Float64, graph.Batch(2)))
	g.Output("score", score)
	return testkit.Interpret(t, g, testkit.Values{"x": x})["score"].Float64s()
}

// wrong is the mean square of the difference over that of the truth.
func wrong(got, truth []float64) float64 {
	var off, square float64
	for i := range truth {
		off += (got[i] - truth[i]) * (got[i] - truth[i])
		square += truth[i] * truth[i]
	}
	return off / square
}

// three is a mixture of three clusters, about standardised.
func three() energy.Mixture {
	return energy.Mixture{Means: [][]float64{{0, 1.2}, {-1.1, -0.7}, {1.1, -0.7}}, Sigma: 0.25}
}

func drawn(m energy.Mixture, n int, seed uint64) *tensor.Tensor {
	x := tensor.New(tensor.Float32, n, 2)
	draw(m, rng.New(seed), tensor.Data[float32](x), 0)
	return x
}

// TestPosteriorScoreIsTheParzenDensitys: at noise far above σ₀ the energy of eq. (5) has
// the score of the data smoothed by σ₀, and that of eq. (7) another.
func TestPosteriorScoreIsTheParzenDensitys(t *testing.T) {
	testkit.Long(t)
	const sigma0 = 0.3
	data := drawn(three(), 60, 5)
	parzen := energy.Mixture{Sigma: sigma0}
	for i := range 60 {
		row := data.Rows(i, i+1).Float64s()
		parzen.Means = append(parzen.Means, row)
	}
	x := drawn(energy.Mixture{Means: parzen.Means, Sigma: 0.8}, 1000, 6)
	truth := scoreOf(t, parzen, x)
	errors := make(map[train.Objective]float64)
	for _, o := range []train.Objective{train.Posterior, train.Denoising} {
		l := newLearner(t, o, data, 1000)
		l.Noise = train.NoiseSettings{Sigma0: sigma0, Min: 0.1, Max: 1, Spacing: mdsm.Geometric, Weighting: mdsm.InverseVariance}
		errors[o] = wrong(l.score(t, x), truth)
	}
	t.Logf("wrong by %.3g with posterior weights, by %.3g without", errors[train.Posterior], errors[train.Denoising])
	if !(errors[train.Posterior] < 0.02) || !(errors[train.Denoising] > 2*errors[train.Posterior]) {
		t.Errorf("the score is wrong by %.3g, want 0.02 at most; by eq. (7) by %.3g, want more than twice as much", errors[train.Posterior],
			errors[train.Denoising])
	}
}

// TestNCSNScoreIsOfItsLevel: at one level the energy has the score of the data smoothed
// by it, whatever σ₀ is.
func TestNCSNScoreIsOfItsLevel(t *testing.T) {
	testkit.Long(t)
	const sigma = 0.3
	l := newLearner(t, train.NCSN, drawn(three(), 20_000, 5), 1200)
	l.Noise.Sigma0, l.Noise.Min, l.Noise.Max = 7, sigma, sigma
	smoothed := three().Smoothed(sigma)
	x := drawn(smoothed, 1000, 6)
	if off := wrong(l.score(t, x), scoreOf(t, smoothed, x)); !(off < 0.03) {
		t.Errorf("the score is wrong by %.3g of its mean square, want 0.03 at most", off)
	} else {
		t.Logf("wrong by %.3g", off)
	}
}

// TestScoreMatchingScoreIsTheDensitys: the trace and its slices give the score of the data
// smoothed by σ₀.
func TestScoreMatchingScoreIsTheDensitys(t *testing.T) {
	testkit.Long(t)
	const sigma0 = 0.3
	smoothed := three().Smoothed(sigma0)
	x := drawn(smoothed, 1000, 6)
	truth := scoreOf(t, smoothed, x)
	for _, projections := range []int{0, 2} {
		l := newLearner(t, train.ScoreMatching, drawn(three(), 20_000, 5), 300)
		l.Noise.Sigma0, l.Projections = sigma0, projections
		off := wrong(l.score(t, x), truth)
		t.Logf("with %d projections wrong by %.3g", projections, off)
		if !(off < 0.05) {
			t.Errorf("with %d projections the score is wrong by %.3g of its mean square, want 0.05 at most", projections, off)
		}
	}
}

// TestPersistentChainsFindTheDensity: with chains of a temperature T the energy is that
// of exp(−E/T), and chains of few steps from noise alone do not find it.
func TestPersistentChainsFindTheDensity(t *testing.T) {
	testkit.Long(t)
	const temperature, smooth = 0.5, 0.15
	smoothed := three().Smoothed(smooth)
	x := drawn(smoothed, 1000, 6)
	truth := scoreOf(t, smoothed, x)
	errors := make(map[float64]float64)
	for _, restart := range []float64{0.05, 1} {
		l := newLearner(t, train.Persistent, drawn(three(), 20_000, 5), 400)
		l.Chains = train.ChainSettings{Steps: 8, StepSize: 0.15, Temperature: temperature, DataNoise: smooth, Replay: 1000, Restart: restart}
		score := l.score(t, x)
		for i := range score {
			score[i] /= temperature
		}
		errors[restart] = wrong(score, truth)
	}
	t.Logf("wrong by %.3g, by %.3g where all chains begin at noise", errors[0.05], errors[1])
	if !(errors[0.05] < 0.12) || !(errors[1] > 2*errors[0.05]) {
		t.Errorf("the score is wrong by %.3g, want 0.12 at most; by %.3g where all chains begin at noise, want more than twice as much",
			errors[0.05], errors[1])
	}
}

// TestEnergyMatchingEndsAtTheData: after the contrast −∇V/ε_max is the score of the data
// where they are; the transport alone knows no density.
func TestEnergyMatchingEndsAtTheData(t *testing.T) {
	testkit.Long(t)
	data := three()
	x := drawn(data, 1000, 6)
	truth := scoreOf(t, data, x)
	errors := make(map[float64]float64)
	for _, contrast := range []float64{0, 30} {
		l := newLearner(t, train.EnergyMatching, drawn(data, 20_000, 5), 500)
		l.Batch = 128
		l.Transport.Contrast = contrast
		score := l.score(t, x)
		for i := range score {
			score[i] /= l.Chains.Temperature
		}
		errors[contrast] = wrong(score, truth)
	}
	t.Logf("wrong by %.3g with contrast, by %.3g without", errors[30], errors[0])
	if !(errors[30] < 0.12) || !(errors[0] > 0.5) {
		t.Errorf("the score is wrong by %.3g, want 0.12 at most; without contrast by %.3g, want more than 0.5", errors[30], errors[0])
	}
}

// TestTransportOfEqualClouds: noise is carried to the same cloud elsewhere by one
// velocity, the difference of their means.
func TestTransportOfEqualClouds(t *testing.T) {
	testkit.Long(t)
	moved := energy.Mixture{Means: [][]float64{{1.5, -0.5}}, Sigma: 1}
	l := newLearner(t, train.EnergyMatching, drawn(moved, 20_000, 5), 300)
	l.Batch = 128
	l.Transport.Contrast = 0
	x := drawn(energy.Mixture{Means: [][]float64{{0.75, -0.25}}, Sigma: 0.7}, 500, 6)
	score := l.score(t, x)
	truth := make([]float64, len(score))
	for i := range truth {
		truth[i] = moved.Means[0][i%2]
	}
	if off := wrong(score, truth); !(off < 0.03) {
		t.Errorf("the velocity is wrong by %.3g of its square, want 0.03 at most", off)
	}
}

// TestObjectivesGoOn: a run by each objective, cut into shards, that stops and goes on has
// the bits of one that does not; with energy matching in both its parts.
func TestObjectivesGoOn(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 2)
	points, err := dataset.Rows(drawn(three(), 50, 5))
	if err != nil {
		t.Fatal(err)
	}
	for o, stops := range map[train.Objective][]int{
		train.Posterior: {8, 12}, train.NCSN: {8, 12}, train.ScoreMatching: {8, 12}, train.Persistent: {8, 12}, train.EnergyMatching: {3, 8, 12},
	} {
		s, pictures := tiny()
		data := dataset.Data(pictures)
		if o == train.ScoreMatching || o == train.Persistent { // the third derivatives of convolutions take long to load
			s, data = train.Points(2), points
			s.Batch, s.Net.Hidden = 4, []int{8}
		}
		s = s.Choose(o)
		s.Steps, s.Shards, s.Data.Flip = 12, 2, false
		s.Chains.Steps, s.Transport.WarmUp, s.Projections = min(s.Chains.Steps, 2), 0.5, 1
		s.Chains.Replay = min(s.Chains.Replay, 10) // its places are taken again
		whole, parts := t.TempDir(), t.TempDir()
		if o == train.Posterior {
			s.Posterior.Neighbours = 5
		}
		if _, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: whole}); err != nil {
			t.Fatalf("%s: %v", o, err)
		}
		for _, at := range stops {
			stop := func(_ context.Context, u train.Update) error {
				if u.Step == at {
					return train.ErrStop
				}
				return nil
			}
			r, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: parts, Resume: true, Hook: stop})
			if err != nil || r.Step != at {
				t.Fatalf("%s: step %d, %v", o, r.Step, err)
			}
		}
		sameState(t, string(o), parts, whole)
	}
}

// TestObjectiveSettings: settings that cannot be are refused by their keys.
func TestObjectiveSettings(t *testing.T) {
	for want, change := range map[string]func(*train.Settings){
		"posterior.neighbours -1":   func(s *train.Settings) { *s = s.Choose(train.Posterior); s.Posterior.Neighbours = -1 },
		"data.flip true":            func(s *train.Settings) { *s = s.Choose(train.Posterior); s.Data.Flip = true },
		"projections 65":            func(s *train.Settings) { *s = s.Choose(train.ScoreMatching); s.Projections = 65 },
		"chains.replay 3":           func(s *train.Settings) { *s = s.Choose(train.Persistent); s.Chains.Replay = 3 },
		"chains.restart 2":          func(s *train.Settings) { *s = s.Choose(train.Persistent); s.Chains.Restart = 2 },
		"transport.tau 0":           func(s *train.Settings) { *s = s.Choose(train.EnergyMatching); s.Transport.Tau = 0 },
		"transport.warm_up 2":       func(s *train.Settings) { *s = s.Choose(train.EnergyMatching); s.Transport.WarmUp = 2 },
		"transport.contrast NaN":    func(s *train.Settings) { *s = s.Choose(train.EnergyMatching); s.Transport.Contrast = math.NaN() },
		"chains.steps 0":            func(s *train.Settings) { *s = s.Choose(train.EnergyMatching); s.Chains.Steps = 0 },
		"output.validate_every 5":   func(s *train.Settings) { *s = s.Choose(train.EnergyMatching); s.Output.ValidateEvery = 5 },
		"one of denoising, posteri": func(s *train.Settings) { s.Objective = "contrastive" },
	} {
		s, _ := tiny()
		s.Data.Flip = false
		change(&s)
		testkit.WantError(t, want, s.Validate(), want)
	}
	for _, o := range train.Objectives() {
		s, _ := tiny()
		s.Data.Flip = false
		if err := s.Choose(o).Validate(); err != nil {
			t.Errorf("%s: %v", o, err)
		}
	}
}
