package zoo

import (
	"ebm/models/weights"
)

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
