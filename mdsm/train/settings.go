package train

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"ebm/internal/atomicfile"
	"ebm/mdsm"
	"ebm/models/energy"
)

// Settings describe a training run; they are what config.toml holds.
type Settings struct {
	Preset string `toml:"preset,omitempty"`
	Seed   uint64 `toml:"seed"`
	Steps  int    `toml:"steps"`
	Batch  int    `toml:"batch"`
	// Shards is the number of parts of a batch whose gradients are computed
	// side by side; a batch that cannot be divided so takes fewer. It changes
	// the last bits. 0 and 1 compute a step as one graph.
	Shards int `toml:"shards"`
	// Start is a file of weights to begin with instead of random ones.
	Start string `toml:"start,omitempty"`
	// Objective is what is minimised, "" for the paper's.
	Objective Objective `toml:"objective,omitempty"`

	Data      DataSettings      `toml:"data"`
	Net       NetSettings       `toml:"net"`
	Noise     NoiseSettings     `toml:"noise"`
	Chains    ChainSettings     `toml:"chains,omitempty"`
	Optimiser OptimiserSettings `toml:"optimiser"`
	Output    OutputSettings    `toml:"output"`
}

// DataSettings name the pictures.
type DataSettings struct {
	Name string `toml:"name"`          // as in the data package's catalogue
	Dir  string `toml:"dir,omitempty"` // "" where the set finds itself
	Size int    `toml:"size"`          // height and width of a picture
	Flip bool   `toml:"flip"`          // mirror pictures at random
	// Pad is the number of rows and columns of zeros on each side that the set
	// adds to its pictures, filled in when a run begins.
	Pad int `toml:"pad,omitempty"`
	// Hash is the SHA-256 of the pictures, filled in when a run begins.
	Hash string `toml:"hash,omitempty"`
}

// NetSettings describe the network; its channels and size are the data's.
type NetSettings struct {
	Name       string            `toml:"name"`
	Dim        int               `toml:"dim"`
	Channels   int               `toml:"channels"`
	Head       energy.Head       `toml:"head"`
	Activation energy.Activation `toml:"activation"`
}

// NoiseSettings hold σ₀, the noise levels and their weights.
type NoiseSettings struct {
	Sigma0    float64        `toml:"sigma0"`
	Min       float64        `toml:"min"`
	Max       float64        `toml:"max"`
	Spacing   mdsm.Spacing   `toml:"spacing"`
	Weighting mdsm.Weighting `toml:"weighting"`
}

// OptimiserSettings hold Adam's.
type OptimiserSettings struct {
	LearningRate LearningRate `toml:"learning_rate"`
	Beta1        float64      `toml:"beta1"`
	Beta2        float64      `toml:"beta2"`
	Epsilon      float64      `toml:"epsilon"`
	EMA          float64      `toml:"ema"` // decay of averaged weights, 0 for none
}

// OutputSettings say what is kept while training.
type OutputSettings struct {
	CheckpointEvery int `toml:"checkpoint_every"`
	KeepCheckpoints int `toml:"keep_checkpoints"` // 0 keeps all
	LogEvery        int `toml:"log_every"`
}

// Network returns the description of the network that s trains.
func (s Settings) Network() energy.ResNet {
	return energy.ResNet{
		Net: s.Net.Name, Channels: s.Net.Channels, Dim: s.Net.Dim, Size: s.Data.Size,
		Head: s.Net.Head, Activation: s.Net.Activation,
	}
}

// Adam returns the optimiser that s trains with.
func (s Settings) Adam() mdsm.Adam {
	o := s.Optimiser
	return mdsm.Adam{Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon, EMA: o.EMA}
}

// Denoising returns the loss that s trains with when Objective is Denoising.
func (s Settings) Denoising() mdsm.Objective {
	return mdsm.Objective{Sigma0: s.Noise.Sigma0, Weighting: s.Noise.Weighting}
}

// shards returns the largest number of equal parts of a batch up to Shards.
func (s Settings) shards() int {
	n := max(s.Shards, 1)
	for s.Batch%n != 0 {
		n--
	}
	return n
}

// Validate reports the first setting that cannot be.
func (s Settings) Validate() error {
	if err := s.Network().Validate(); err != nil {
		return err
	}
	if s.Shards < 0 {
		return fmt.Errorf("%d shards of a batch, want a number from 0", s.Shards)
	}
	if s.Steps < 1 || s.Batch < 1 {
		return fmt.Errorf("%d steps of batches of %d, want one or more of each", s.Steps, s.Batch)
	}
	if !(s.Noise.Sigma0 > 0) {
		return fmt.Errorf("sigma0 %g, want a positive noise level", s.Noise.Sigma0)
	}
	if s.Seed > math.MaxInt64 { // TOML's numbers end there
		return fmt.Errorf("seed %d, want a number from 0 to %d", s.Seed, math.MaxInt64)
	}
	if err := s.Objective.validate(); err != nil {
		return err
	}
	if s.Objective == Likelihood {
		if err := s.Chains.shortRun().Validate(); err != nil {
			return err
		}
	}
	if _, err := s.Noise.Spacing.Levels(s.Noise.Min, s.Noise.Max, 1); err != nil {
		return err
	}
	if err := s.Noise.Weighting.Validate(); err != nil {
		return err
	}
	if err := s.Optimiser.LearningRate.Validate(); err != nil {
		return err
	}
	if err := s.Adam().Validate(); err != nil {
		return err
	}
	if s.Output.CheckpointEvery < 0 || s.Output.KeepCheckpoints < 0 || s.Output.LogEvery < 1 {
		return fmt.Errorf("checkpoints every %d steps, %d kept, metrics every %d steps, want numbers from 0, 0 and 1",
			s.Output.CheckpointEvery, s.Output.KeepCheckpoints, s.Output.LogEvery)
	}
	return nil
}

const configName = "config.toml"

// ReadSettings reads config.toml of a run's folder, or a file like it. Keys
// that do not exist are an error that names them.
func ReadSettings(path string) (Settings, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, configName)
	}
	var s Settings
	meta, err := toml.DecodeFile(path, &s)
	if err != nil {
		return Settings{}, fmt.Errorf("settings %s: %w", path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return Settings{}, fmt.Errorf("settings %s: unknown key %q", path, unknown[0].String())
	}
	return s, nil
}

// Write writes s as config.toml into a run's folder.
func (s Settings) Write(dir string) error {
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(s); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	return atomicfile.WriteFile(filepath.Join(dir, configName), b.Bytes())
}

// differences lists the settings in which a run differs from what is wanted,
// as "key had (want other)".
func differences(had, wanted Settings) []string {
	a, b := had.Values(), wanted.Values()
	var list []string
	for _, key := range slices.Sorted(maps.Keys(b)) {
		if a[key] != b[key] {
			list = append(list, fmt.Sprintf("%s is %s (want %s)", key, a[key], b[key]))
		}
	}
	return list
}

// Values returns every setting as text by its path in the file, such as
// "noise.sigma0".
func (s Settings) Values() map[string]string {
	all := make(map[string]string)
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("toml"), ",")
			if f := v.Field(i); f.Kind() == reflect.Struct {
				walk(prefix+name+".", f)
			} else {
				all[prefix+name] = fmt.Sprint(f.Interface())
			}
		}
	}
	walk("", reflect.ValueOf(s))
	return all
}
