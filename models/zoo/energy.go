package zoo

import (
	"ebm/models/weights"
)

// Card says how a shipped model was made.
type Card struct {
	About   string       `json:"about"`
	Command string       `json:"command"` // the exact command
	Date    string       `json:"date"`    // when it ended
	Hours   float64      `json:"hours"`   // of training
	Machine string       `json:"machine"`
	Steps   int          `json:"steps"`
	Batch   int          `json:"batch"`
	Loss    [][2]float64 `json:"loss"` // step, mean loss since the step before
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
func CardOf(name string) (Card, error) {
	var c Card
	return c, energies.card(name, &c)
}
