package zoo

import (
	"bytes"
	"embed"
	"fmt"
	"strings"

	"ebm/models/weights"
)

//go:embed weights
var files embed.FS

const extension = ".safetensors"

// Names returns the names of the shipped models, sorted.
func Names() []string {
	entries, err := files.ReadDir("weights")
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

// Open returns the weights of the model called name; ok is false when there
// is none.
func Open(name string) (set *weights.Set, ok bool, err error) {
	b, err := files.ReadFile("weights/" + name + extension)
	if err != nil {
		return nil, false, nil
	}
	set, err = weights.ReadSafetensors(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, true, fmt.Errorf("shipped model %s: %w", name, err)
	}
	return set, true, nil
}
