package train

import (
	"fmt"
	"strconv"

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

// Validate reports the first setting that cannot be, as a *SettingError.
func (s ClassifierSettings) Validate() error {
	return firstOf(
		training(s.Steps, s.Batch, s.Seed, s.Optimiser, s.Output),
		when(s.Shift >= 0 && s.Shift < classifierSide, "shift", s.Shift, fmt.Sprintf("a number of pixels from 0 to %d", classifierSide-1)),
		atLeast("net.dim", s.Net.Dim, 1), atLeast("net.features", s.Net.Features, 1), atLeast("net.classes", s.Net.Classes, 2),
		s.Network().Validate(), fits(s.Network(), s.Batch, 1, s.Net.Dim),
	)
}

// Describe returns what files of this run's weights say about themselves.
func (s ClassifierSettings) Describe() map[string]string {
	return map[string]string{
		"net": "classifier", "dim": strconv.Itoa(s.Net.Dim), "features": strconv.Itoa(s.Net.Features), "classes": strconv.Itoa(s.Net.Classes),
		"data": s.Data.Name, "data_range": "[0, 1]",
	}
}

// ReadClassifierSettings reads classifier.toml of a run's folder, or a file
// like it. Keys that do not exist are an error that names them.
func ReadClassifierSettings(path string) (ClassifierSettings, error) {
	return readConfig[ClassifierSettings](path, ClassifierConfigFile)
}

// Write writes s as classifier.toml into a run's folder.
func (s ClassifierSettings) Write(dir string) error { return writeConfig(dir, ClassifierConfigFile, s) }

func (s ClassifierSettings) file() string { return ClassifierConfigFile }

// agree takes over what does not change the numbers, and the number of steps,
// which sets where the run ends.
func (s ClassifierSettings) agree(had ClassifierSettings) ClassifierSettings {
	had.Steps, had.Output, had.Data.Dir = s.Steps, s.Output, s.Data.Dir
	return had
}

func (s ClassifierSettings) loop() Loop { return newLoop(s.Steps, s.Optimiser, s.Output) }
