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
func (s shelf) card(name string, to any) error {
	b, err := files.ReadFile(s.folder + "/" + name + ".json")
	if err != nil {
		return fmt.Errorf("shipped %s %s has no card", s.kind, name)
	}
	if err := json.Unmarshal(b, to); err != nil {
		return fmt.Errorf("card of the %s %s: %w", s.kind, name, err)
	}
	return nil
}
