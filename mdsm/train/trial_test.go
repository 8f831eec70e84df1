package train_test

import (
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
