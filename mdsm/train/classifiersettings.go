package train

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"ebm/internal/atomicfile"
	"ebm/mdsm"
	"ebm/models/classifier"
)

// ClassifierSettings describe the training of a classifier; they are what
// classifier.toml holds.
type ClassifierSettings struct {
	Seed  uint64 `toml:"seed"`
	Steps int    `toml:"steps"`
	Batch int    `toml:"batch"`
	// Shift is the most that a picture is moved along each axis, at random, in
	// pixels of its 32.
	Shift int `toml:"shift"`

	Data      ClassifierData    `toml:"data"`
	Net       ClassifierNet     `toml:"net"`
	Optimiser OptimiserSettings `toml:"optimiser"`
	Output    OutputSettings    `toml:"output"`
}

// ClassifierData name the pictures.
type ClassifierData struct {
	Name string `toml:"name"`          // as in the data package's catalogue
	Dir  string `toml:"dir,omitempty"` // "" where the set finds itself
	Flip bool   `toml:"flip"`          // mirror pictures at random
	// Hash is the SHA-256 of the pictures, filled in when a run begins.
	Hash string `toml:"hash,omitempty"`
}

// ClassifierNet describes the network, a classifier.Network.
type ClassifierNet struct {
	Dim      int `toml:"dim"`
	Features int `toml:"features"`
	Classes  int `toml:"classes"`
}

// DefaultClassifier returns the settings with which the project trains the
// classifier of a data set. Clothes are mirrored at random, digits are not.
func DefaultClassifier(data string) ClassifierSettings {
	net := classifier.Default()
	return ClassifierSettings{
		Seed: 1, Steps: 6000, Batch: 128, Shift: 2,
		Data: ClassifierData{Name: data, Flip: data == "fashion-mnist"},
		Net:  ClassifierNet{net.Dim, net.Features, net.Classes},
		Optimiser: OptimiserSettings{
			LearningRate: LearningRate{Schedule: Cosine, Initial: 2e-3, Final: 1e-5},
			Beta1:        0.9, Beta2: 0.99, Epsilon: 1e-8, EMA: 0.998,
		},
		Output: OutputSettings{CheckpointEvery: 1000, KeepCheckpoints: 2, LogEvery: 100},
	}
}

// Network returns the description of the network that s trains.
func (s ClassifierSettings) Network() classifier.Network {
	return classifier.Network{Dim: s.Net.Dim, Features: s.Net.Features, Classes: s.Net.Classes}
}

func (s ClassifierSettings) adam() mdsm.Adam {
	return Settings{Optimiser: s.Optimiser}.Adam()
}

// Validate reports the first setting that cannot be.
func (s ClassifierSettings) Validate() error {
	if err := s.Network().Validate(); err != nil {
		return err
	}
	if s.Steps < 1 || s.Batch < 1 {
		return fmt.Errorf("%d steps of batches of %d, want one or more of each", s.Steps, s.Batch)
	}
	if s.Shift < 0 || s.Shift >= classifierSide {
		return fmt.Errorf("shifts by %d pixels, want a number from 0 to %d", s.Shift, classifierSide-1)
	}
	if s.Seed > math.MaxInt64 { // TOML's numbers end there
		return fmt.Errorf("seed %d, want a number from 0 to %d", s.Seed, math.MaxInt64)
	}
	if err := s.Optimiser.LearningRate.Validate(); err != nil {
		return err
	}
	if err := s.adam().Validate(); err != nil {
		return err
	}
	if s.Output.CheckpointEvery < 0 || s.Output.KeepCheckpoints < 0 || s.Output.LogEvery < 1 {
		return fmt.Errorf("checkpoints every %d steps, %d kept, metrics every %d steps, want numbers from 0, 0 and 1",
			s.Output.CheckpointEvery, s.Output.KeepCheckpoints, s.Output.LogEvery)
	}
	return nil
}

// Describe returns what files of this run's weights say about themselves.
func (s ClassifierSettings) Describe() map[string]string {
	return map[string]string{
		"net": "classifier", "dim": strconv.Itoa(s.Net.Dim), "features": strconv.Itoa(s.Net.Features), "classes": strconv.Itoa(s.Net.Classes),
		"data": s.Data.Name, "data_range": "[0, 1]",
	}
}

const classifierConfigName = "classifier.toml"

// ReadClassifierSettings reads classifier.toml of a run's folder, or a file
// like it. Keys that do not exist are an error that names them.
func ReadClassifierSettings(path string) (ClassifierSettings, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, classifierConfigName)
	}
	var s ClassifierSettings
	meta, err := toml.DecodeFile(path, &s)
	if err != nil {
		return ClassifierSettings{}, fmt.Errorf("settings %s: %w", path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return ClassifierSettings{}, fmt.Errorf("settings %s: unknown key %q", path, unknown[0].String())
	}
	return s, nil
}

// Write writes s as classifier.toml into a run's folder.
func (s ClassifierSettings) Write(dir string) error {
	text, err := s.text()
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, classifierConfigName), []byte(text))
}

func (s ClassifierSettings) text() (string, error) {
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(s); err != nil {
		return "", fmt.Errorf("settings: %w", err)
	}
	return b.String(), nil
}

// continues reports whether a run with the settings had can go on with s.
// What does not change the numbers may differ, and so may the number of
// steps, which sets where the run ends.
func (s ClassifierSettings) continues(had ClassifierSettings) error {
	had.Steps, had.Output, had.Data.Dir = s.Steps, s.Output, s.Data.Dir
	if had == s {
		return nil
	}
	before, err1 := had.text()
	after, err2 := s.text()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	var differ []string
	wanted := strings.Split(after, "\n")
	for i, line := range strings.Split(before, "\n") {
		if i < len(wanted) && line != wanted[i] {
			differ = append(differ, fmt.Sprintf("%s (want %s)", strings.TrimSpace(line), strings.TrimSpace(wanted[i])))
		}
	}
	return fmt.Errorf("the run there has other settings: %s", strings.Join(differ, ", "))
}
