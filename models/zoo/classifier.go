package zoo

import (
	"fmt"
	"strings"

	"ebm/models/weights"
)

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
func ClassifierCardOf(name string) (ClassifierCard, error) {
	var c ClassifierCard
	return c, classifiers.card(name, &c)
}
