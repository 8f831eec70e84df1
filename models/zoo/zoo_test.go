package zoo_test

import (
	"strings"
	"testing"

	"ebm/models/energy"
	"ebm/models/zoo"
)

// Every shipped model opens, is a network, and says how it was made.
func TestShippedModelsAreWhole(t *testing.T) {
	names := zoo.Names()
	if len(names) == 0 {
		t.Fatal("no model is shipped")
	}
	for _, name := range names {
		set, ok, err := zoo.Open(name)
		if !ok || err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		w := make(energy.Weights)
		for n, tensor := range set.All() {
			w[n] = tensor
		}
		if _, err := energy.Recognise(w); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		card, err := zoo.CardOf(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.HasPrefix(card.Command, "ebm train ") || card.Hours <= 0 || card.Steps < 1 || len(card.Loss) < 10 {
			t.Errorf("%s: the card does not say how it was made: %+v", name, card)
		}
		if first, last := card.Loss[0], card.Loss[len(card.Loss)-1]; !(last[1] < first[1]/5) || int(last[0]) != card.Steps {
			t.Errorf("%s: loss from %v to %v in %d steps", name, first, last, card.Steps)
		}
	}
	if _, ok, err := zoo.Open("nothing"); ok || err != nil {
		t.Errorf("opened a model that is not there (%v)", err)
	}
}
