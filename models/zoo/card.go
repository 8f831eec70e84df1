package zoo

import (
	"encoding/json"
	"fmt"
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

// CardOf returns the card of a shipped model.
func CardOf(name string) (Card, error) {
	b, err := files.ReadFile("weights/" + name + ".json")
	if err != nil {
		return Card{}, fmt.Errorf("shipped model %s has no card", name)
	}
	var c Card
	if err := json.Unmarshal(b, &c); err != nil {
		return Card{}, fmt.Errorf("card of %s: %w", name, err)
	}
	return c, nil
}
