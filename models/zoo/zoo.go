package zoo

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"

	"ebm/models/weights"
)

//go:embed weights classifiers
var files embed.FS

// Card says how a shipped model was made, and of a classifier how good it is.
type Card struct {
	About   string  `json:"about"`
	Command string  `json:"command"`           // the exact command
	Date    string  `json:"date"`              // when it ended
	Hours   float64 `json:"hours"`             // of training
	Minutes float64 `json:"minutes,omitempty"` // of that of a classifier, in place of hours
	Machine string  `json:"machine"`
	Steps   int     `json:"steps"`
	Batch   int     `json:"batch"`
	// Loss holds steps and the mean loss since the step before; of a classifier, the
	// cross-entropy in nats.
	Loss     [][2]float64 `json:"loss"`
	Accuracy float64      `json:"accuracy,omitempty"` // of a classifier: share of the test pictures, as shipped
	Pictures int          `json:"pictures,omitempty"` // number of these
}

// shelf is a folder with a file of weights and a card for each model.
type shelf struct{ folder, kind string }

// Energies and classifiers are on shelves of their own, so that no classifier
// is taken for an energy.
var (
	energies    = shelf{"weights", "model"}
	classifiers = shelf{"classifiers", "classifier"}
)

const extension = ".safetensors"

// names returns the names of the models of a shelf, sorted.
func (s shelf) names() []string {
	entries, err := files.ReadDir(s.folder)
	if err != nil {
		return nil // the folder is part of the program
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), extension); ok {
			names = append(names, name)
		}
	}
	return names
}

// open returns the weights of a model; ok is false when there is none.
func (s shelf) open(name string) (set *weights.Set, ok bool, err error) {
	b, err := files.ReadFile(s.folder + "/" + name + extension)
	if err != nil {
		return nil, false, nil
	}
	set, err = weights.ReadSafetensors(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, true, fmt.Errorf("shipped %s %s: %w", s.kind, name, err)
	}
	return set, true, nil
}

// card reads what is said of a model.
func (s shelf) card(name string) (c Card, err error) {
	b, err := files.ReadFile(s.folder + "/" + name + ".json")
	if err != nil {
		return c, fmt.Errorf("shipped %s %s has no card", s.kind, name)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("card of the %s %s: %w", s.kind, name, err)
	}
	return c, nil
}

// Names returns the names of the shipped models, sorted.
func Names() []string { return energies.names() }

// Open returns the weights of the model called name; ok is false when there
// is none.
func Open(name string) (set *weights.Set, ok bool, err error) { return energies.open(name) }

// SamplerOf returns the samplers of few evaluations that a search has found for a
// shipped model, as package langevin reads them; ok is false when there are none.
func SamplerOf(name string) (data []byte, ok bool) {
	data, err := files.ReadFile(energies.folder + "/" + name + ".sampler.json")
	return data, err == nil
}

// CardOf returns the card of a shipped model.
func CardOf(name string) (Card, error) { return energies.card(name) }

// Classifiers returns the names of the shipped classifiers, which are those
// of the data sets whose classes they know, sorted.
func Classifiers() []string { return classifiers.names() }

// OpenClassifier returns the weights of the classifier of a data set. It is
// an error when none is shipped, which names those that are.
func OpenClassifier(name string) (*weights.Set, error) {
	set, ok, err := classifiers.open(name)
	if !ok {
		return nil, fmt.Errorf("no classifier of %q is shipped, want one of %s", name, strings.Join(Classifiers(), ", "))
	}
	return set, err
}

// ClassifierCardOf returns the card of a shipped classifier.
func ClassifierCardOf(name string) (Card, error) { return classifiers.card(name) }
