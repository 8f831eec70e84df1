package reproduce

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
)

// Row is one quantity of an item: what the paper says of it and what was
// measured here.
type Row struct {
	Name string `json:"name"`
	Unit string `json:"unit,omitempty"`
	// Paper is the paper's value: a number, words where it says it in words, or
	// nil where it says nothing. Source is where.
	Paper  any    `json:"paper"`
	Source string `json:"paper_source,omitempty"`
	// Ours is the value here, NaN (null in files) where there is none, and Error
	// its standard error or deviation, 0 where there is none.
	Ours  float64 `json:"ours"`
	Error float64 `json:"error,omitempty"`
	// Same says that both were measured by the same rule on the same data, so
	// that the numbers compare.
	Same bool   `json:"comparable"`
	Note string `json:"note,omitempty"`
}

// MarshalJSON implements json.Marshaler: numbers that are not finite are null.
func (r Row) MarshalJSON() ([]byte, error) {
	type plain Row
	return json.Marshal(struct {
		plain
		Ours *float64 `json:"ours"`
	}{plain(r), finite(r.Ours)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Row) UnmarshalJSON(b []byte) error {
	type plain Row
	v := struct {
		*plain
		Ours *float64 `json:"ours"`
	}{plain: (*plain)(r)}
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	if r.Ours = math.NaN(); v.Ours != nil {
		r.Ours = *v.Ours
	}
	return nil
}

func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// Result holds what an item found.
type Result struct {
	Item     string         `json:"item"`
	About    string         `json:"about"`
	Paper    string         `json:"paper"` // its figure or table
	Scale    Scale          `json:"scale"`
	Models   []UsedModel    `json:"models"`
	Rows     []Row          `json:"values"`
	Settings map[string]any `json:"settings"`
	Differs  []string       `json:"differs"` // what is not as in the paper
	Seconds  float64        `json:"seconds"` // trainings and samples that it made included
	Files    []string       `json:"files,omitempty"`
	Ended    time.Time      `json:"ended"`
	// Key is a hash of all that the result follows from; a result with another
	// one is made again.
	Key string `json:"key"`
}

// UsedModel is a model that an item measured.
type UsedModel struct {
	Name    string `json:"name"`
	Network string `json:"network"`
	Data    string `json:"data"`
	Steps   string `json:"training_steps,omitempty"`
	Weights string `json:"weights_sha256"`
}

const resultFile = "result.json"

func (r Result) write(dir string) error {
	return atomicfile.WriteJSON(filepath.Join(dir, resultFile), r)
}

// readResult reads the result in an item's folder. The error wraps
// fs.ErrNotExist when there is none.
func readResult(dir string) (Result, error) {
	return files.Parse(filepath.Join(dir, resultFile), func(data []byte) (r Result, err error) {
		if err := json.Unmarshal(data, &r); err != nil {
			return r, fmt.Errorf("not the result of an item: %w", err)
		}
		return r, nil
	})
}
