package zoo

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"

	"ebm/models/weights"
)

// Classifiers are in a folder of their own, because they are not energies:
// Names and Open do not know them.
//
//go:embed classifiers
var classifierFiles embed.FS

// ClassifierCard says how a shipped classifier was made and how good it is.
type ClassifierCard struct {
	About    string  `json:"about"`
	Command  string  `json:"command"` // the exact command
	Date     string  `json:"date"`    // when it ended
	Minutes  float64 `json:"minutes"` // of training
	Machine  string  `json:"machine"`
	Steps    int     `json:"steps"`
	Batch    int     `json:"batch"`
	Accuracy float64 `json:"accuracy"` // share of the test pictures, as shipped
	Pictures int     `json:"pictures"` // number of test pictures
	// Loss holds steps and the mean cross-entropy since the step before, in nats.
	Loss [][2]float64 `json:"loss"`
}

// Classifiers returns the names of the shipped classifiers, which are those
// of the data sets whose classes they know, sorted.
func Classifiers() []string {
	entries, err := classifierFiles.ReadDir("classifiers")
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

// OpenClassifier returns the weights of the classifier of a data set. It is
// an error when none is shipped, which names those that are.
func OpenClassifier(name string) (*weights.Set, error) {
	b, err := classifierFiles.ReadFile("classifiers/" + name + extension)
	if err != nil {
		return nil, fmt.Errorf("no classifier of %q is shipped, wanted one of %s", name, strings.Join(Classifiers(), ", "))
	}
	set, err := weights.ReadSafetensors(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, fmt.Errorf("shipped classifier of %s: %w", name, err)
	}
	return set, nil
}

// ClassifierCardOf returns the card of a shipped classifier.
func ClassifierCardOf(name string) (ClassifierCard, error) {
	b, err := classifierFiles.ReadFile("classifiers/" + name + ".json")
	if err != nil {
		return ClassifierCard{}, fmt.Errorf("shipped classifier of %s has no card", name)
	}
	var c ClassifierCard
	if err := json.Unmarshal(b, &c); err != nil {
		return ClassifierCard{}, fmt.Errorf("card of the classifier of %s: %w", name, err)
	}
	return c, nil
}
