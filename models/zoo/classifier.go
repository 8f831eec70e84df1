package zoo

import (
	"fmt"
	"strings"

	"ebm/models/weights"
)

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
