package train_test

import (
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
)

// TestMNIST trains a tiny network on the real digits for some steps: the loss
// begins at about the number of pixels and falls by a third.
func TestMNIST(t *testing.T) {
	testkit.Long(t)
	s, err := train.Preset("demo")
	if err != nil {
		t.Fatal(err)
	}
	data, err := dataset.Load(t.Context(), dataset.Spec{Name: "mnist", Size: 16})
	if err != nil {
		t.Fatal(err)
	}
	s.Preset, s.Steps, s.Batch = "", 60, 16
	s.Net.Name, s.Net.Dim = "res6", 4
	s.Optimiser.LearningRate = train.LearningRate{Schedule: train.Constant, Initial: 1e-2}
	s.Output.LogEvery = 10
	dir := t.TempDir()
	if _, err := train.Train(t.Context(), testkit.Open(t, 0), s, data, train.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	lines := readMetrics(t, dir)
	if len(lines) != 6 {
		t.Fatalf("%d lines of metrics, want 6", len(lines))
	}
	first, last := lines[0].Loss, lines[5].Loss
	t.Logf("the mean loss of ten steps went from %.1f to %.1f", first, last)
	if first < 200 || first > 300 || !(last < first*2/3) {
		t.Errorf("the mean loss of ten steps went from %g to %g, want from about 256 to two thirds of that", first, last)
	}
}
