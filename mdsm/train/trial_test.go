package train_test

import (
	"math"
	"path/filepath"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/train"
)

// A trial makes the updates that a run makes: its losses are the run's.
func TestTrialMakesTheStepsOfARun(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps, s.Shards, s.Output.LogEvery = 5, 2, 1
	s.Optimiser.LearningRate = train.LearningRate{Schedule: train.Constant, Initial: 1e-3}
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	p, err := train.NewProblem(s, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	trial, err := train.NewTrial(rt, p, 1e-3)
	if err != nil {
		t.Fatal(err)
	}
	defer trial.Close()
	for _, l := range readMetrics(t, dir) {
		if err := trial.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if trial.Loss() != l.Loss {
			t.Errorf("step %d: loss %g, %g in a run", l.Step, trial.Loss(), l.Loss)
		}
	}
}

// A gradient clipped to next to nothing leaves the weights where they are, as next to
// no learning rate does; its norm in the metrics is that before.
func TestClip(t *testing.T) {
	rt := testkit.Open(t, 1)
	last := func(rate, clip float64) line {
		s, data := tiny()
		s.Steps, s.Output.LogEvery = 3, 1
		s.Optimiser.LearningRate, s.Optimiser.Clip = train.LearningRate{Schedule: train.Constant, Initial: rate}, clip
		dir := filepath.Join(t.TempDir(), "run")
		if _, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		return readMetrics(t, dir)[2]
	}
	clipped, still, free := last(1e-2, 1e-30), last(1e-12, 0), last(1e-2, 0)
	if !(math.Abs(clipped.Loss/still.Loss-1) < 1e-5) || !(math.Abs(clipped.GradNorm/still.GradNorm-1) < 1e-4) {
		t.Errorf("clipped to 1e-30: %+v, want the loss and norm of first weights, %+v", clipped, still)
	}
	if math.Abs(free.GradNorm/still.GradNorm-1) < 0.1 {
		t.Errorf("not clipped: %+v, want another norm than that of first weights, %+v", free, still)
	}
}
