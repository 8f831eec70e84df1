package probe

import (
	"strings"
	"testing"

	"ebm/internal/testkit"
)

// A bowl around black gives white pictures more energy and the brighter test
// pictures too, but a set that is darker than the test set less: then the
// AUROC falls below a half, as for SVHN in the paper.
func TestOutliersTellWhichSideIsHigher(t *testing.T) {
	model := bowl{40, 0}.model(t, testkit.Open(t, 2), true)
	scores, err := model.Outliers(t.Context(), []Population{
		{"train", Training, all(flat("train", 400, 80, 90, 100))},
		{"test", HeldOut, all(flat("test", 300, 80, 90, 100))},
		{"brighter", Other, all(flat("brighter", 300, 250))},
		{"darker", Other, all(flat("darker", 300, 10))},
	}, OutlierOptions{Sigmas: []float64{0.1, 0.2}, Bins: 20})
	if err != nil {
		t.Fatal(err)
	}
	if len(scores) != 2 || !strings.Contains(scores[0].Name, "σ₀ = 0.2") || scores[0].Unit != "nats" ||
		!strings.Contains(scores[1].Name, "2 noise levels") {
		t.Fatalf("scores %+v, want the energy and the loss", scores)
	}
	for _, s := range scores {
		for i, want := range []struct{ low, high float64 }{{0.35, 0.65}, {}, {0.999, 1}, {0, 0.001}} {
			g := s.Populations[i]
			if g.Role == HeldOut {
				if g.Separation != nil {
					t.Errorf("%s: the held-out group is told from itself", s.Name)
				}
				continue
			}
			if g.Separation == nil || g.Separation.AUROC < want.low || g.Separation.AUROC > want.high {
				t.Errorf("%s of %s: %+v, want an AUROC from %g to %g", s.Name, g.Name, g.Separation, want.low, want.high)
			}
		}
		if len(s.Histogram.Counts) != 4 || len(s.Histogram.Edges) != 21 {
			t.Errorf("%s: a histogram of %d sets in %d bins", s.Name, len(s.Histogram.Counts), len(s.Histogram.Edges)-1)
		}
	}
	// E = 40‖x‖²/2 at x + σ₀n, known for the flat set.
	want := 20 * (d*(250.0/255)*(250.0/255) + d*sigma0*sigma0)
	testkit.Within(t, "mean energy of the bright set", scores[0].Populations[2].Mean, want, 0.02*want)
}

func TestOutliersOfAScoreAlone(t *testing.T) {
	model := bowl{1, 0}.model(t, testkit.Open(t, 1), false)
	groups := []Population{{"test", HeldOut, all(flat("test", 9, 80))}, {"other", Other, all(flat("other", 9, 250))}}
	scores, err := model.Outliers(t.Context(), groups, OutlierOptions{Sigmas: []float64{0.2}})
	if err != nil || len(scores) != 1 || model.hasEnergy {
		t.Errorf("%d scores of a model without an energy, %v", len(scores), err)
	}
	if _, err := model.Outliers(t.Context(), groups, OutlierOptions{}); err == nil || !strings.Contains(err.Error(), "no energy") {
		t.Errorf("nothing to score by: %v", err)
	}
	levels, err := model.Levels(t.Context(), groups[0].Pictures, []float64{1}, nil)
	if err != nil || levels[0].Energy == levels[0].Energy || !(levels[0].Left > 0) {
		t.Errorf("levels without an energy: %+v, %v", levels, err)
	}
	for want, list := range map[string][]Population{"no population is held out": groups[1:], "both held out": {groups[0], groups[0]}} {
		if _, err := model.Outliers(t.Context(), list, OutlierOptions{Sigmas: []float64{1}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
