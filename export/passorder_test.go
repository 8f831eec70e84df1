package export_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ebm/export"
	"ebm/mdsm"
	"ebm/models/energy"
	g "ebm/models/graph"
)

// trainGraph is the training step of a small network.
func trainGraph() *g.Graph {
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 16}
	return mdsm.TrainGraph(n, mdsm.Objective{Sigma0: 0.1, Weighting: mdsm.InverseVariance}, mdsm.PaperAdam())
}

// Every constraint on the order of passes is there for a reason: a pass that
// runs after one that should come later leaves a larger training step.
func TestOrderOfPassesMatters(t *testing.T) {
	step, passes := trainGraph(), export.Passes()
	nodes := func(passes []export.Pass) int {
		f := step
		for _, p := range passes {
			f = p.Apply(f)
		}
		return len(f.Nodes())
	}
	best := nodes(passes)
	for i, p := range passes {
		for _, name := range p.After {
			j := slices.IndexFunc(passes, func(p export.Pass) bool { return p.Name == name })
			if j < 0 || j >= i {
				t.Fatalf("%q comes after %q, which does not stand before it", p.Name, name)
			}
			// The earlier pass moves to right behind this one.
			moved := slices.Concat(passes[:j], passes[j+1:i+1], passes[j:j+1], passes[i+1:])
			if got := nodes(moved); got <= best {
				t.Errorf("%q before %q gives %d nodes, in order %d: want a constraint that matters", p.Name, name, got, best)
			}
			if _, err := export.Model(step, export.Options{Passes: moved}); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%q before %q: error %v, want one that names it", p.Name, name, err)
			}
		}
	}
}

func TestOptimiseShowsTheGraphAfterEachPass(t *testing.T) {
	var seen []string
	out, err := export.Optimise(trainGraph(), export.Passes(), func(p export.Pass, f *g.Graph) error {
		seen = append(seen, p.Name)
		return f.Verify()
	})
	if err != nil || out == nil || len(seen) != len(export.Passes()) {
		t.Errorf("saw %q (%v), want every pass", seen, err)
	}
	enough := errors.New("enough")
	if _, err := export.Optimise(trainGraph(), export.Passes(), func(export.Pass, *g.Graph) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error %v, want that of the viewer", err)
	}
}
