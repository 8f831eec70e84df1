package train

import (
	"fmt"
	"strconv"
	"time"

	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/runtime"
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
	// Choices are those of the device that the run began on, "" where that was the CPU.
	Choices runtime.Choices `toml:"choices,omitempty"`
	// Start is a file of weights to begin with instead of random ones.
	Start string `toml:"start,omitempty"`
	// Objective is what is minimised, "" for the paper's.
	Objective Objective `toml:"objective,omitempty"`
	// Projections is the number of random directions of each x of ScoreMatching, 0 for the
	// trace itself.
	Projections int `toml:"projections,omitzero"`

	Data      DataSettings      `toml:"data"`
	Net       NetSettings       `toml:"net"`
	Noise     NoiseSettings     `toml:"noise"`
	Chains    ChainSettings     `toml:"chains,omitempty"`
	Posterior PosteriorSettings `toml:"posterior,omitempty"`
	Transport TransportSettings `toml:"transport,omitempty"`
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
	// Of points: how many are drawn of a set that has a name, and what was taken away
	// from each column and what it was divided by, filled in when a run begins.
	Points    int       `toml:"points,omitzero"`
	Mean      []float64 `toml:"mean,omitempty"`
	Deviation []float64 `toml:"deviation,omitempty"`
}

// NetSettings describe the network; its channels and size are the data's.
type NetSettings struct {
	Name       string            `toml:"name"` // one of energy.Names, MLP or FileNet
	Dim        int               `toml:"dim"`
	Channels   int               `toml:"channels"`
	Head       energy.Head       `toml:"head"`
	Activation energy.Activation `toml:"activation"`
	// Of energy.UNetName, whose defaults they have when they are not set.
	Multipliers []int `toml:"multipliers,omitempty"`
	Blocks      int   `toml:"blocks,omitzero"`
	// Of MLP: how many values a point has, filled in when a run begins, and the units
	// of each hidden layer.
	Inputs int   `toml:"inputs,omitzero"`
	Hidden []int `toml:"hidden,omitempty"`
	// Of FileNet: the SHA-256 of the energy's file, filled in when a run begins, and
	// what in it is the energy.
	File   string     `toml:"file_sha256,omitempty"`
	Input  string     `toml:"input,omitempty"`
	Output string     `toml:"output,omitempty"`
	Value  mdsm.Value `toml:"energy_of,omitempty"`
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
	// Clip is the largest norm of a gradient over all weights, as metrics show it, 0
	// for any.
	Clip float64 `toml:"clip,omitzero"`
}

// OutputSettings say what is kept while training.
type OutputSettings struct {
	CheckpointEvery Interval      `toml:"checkpoint_every"`
	MTBF            time.Duration `toml:"mtbf,omitzero"`    // see Loop
	KeepCheckpoints int           `toml:"keep_checkpoints"` // 0 keeps all
	LogEvery        int           `toml:"log_every"`
	// ValidateEvery is the number of steps between measurements on held-out
	// pictures, 0 for none, and EarlyStop the number of these without a lower
	// loss after which a run ends, 0 for never.
	ValidateEvery int `toml:"validate_every,omitzero"`
	EarlyStop     int `toml:"early_stop,omitzero"`
	// SampleEvery is the number of these measurements between grids of quick samples, 0
	// for none; Train leaves them to the caller.
	SampleEvery int `toml:"sample_every,omitzero"`
}

// Network returns the description of the network that s trains.
func (s Settings) Network() energy.Picture {
	return energy.Plan{
		Net: s.Net.Name, Channels: s.Net.Channels, Dim: s.Net.Dim, Size: s.Data.Size,
		Head: s.Net.Head, Activation: s.Net.Activation, Multipliers: s.Net.Multipliers, Blocks: s.Net.Blocks,
	}.Network()
}

// Adam returns the optimiser that s trains with, which may be clipped.
func (s Settings) Adam() mdsm.Optimiser { return s.Optimiser.adam() }

func (o OptimiserSettings) adam() mdsm.Optimiser {
	adam := mdsm.Adam{Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon, EMA: o.EMA}
	if o.Clip > 0 {
		return mdsm.Clipped{Optimiser: adam, Norm: o.Clip}
	}
	return adam
}

// Denoising returns the loss that s trains with when Objective is Denoising.
func (s Settings) Denoising() mdsm.Objective {
	return mdsm.Objective{Sigma0: s.Noise.Sigma0, Weighting: s.Noise.Weighting}
}

// ShardsFor returns the settings with as many shards as suit what computes, for a run that
// begins and whose shards nobody has chosen: one for each device, and those of s on the CPU.
func (s Settings) ShardsFor(info runtime.Info) Settings {
	if info.Provider != runtime.CPU {
		s.Shards = len(info.Devices)
	}
	return s
}

// Validate reports the first setting that cannot be, as a *SettingError.
func (s Settings) Validate() error {
	_, known := runtime.ParseChoices(string(s.Choices), runtime.Auto)
	err := firstOf(
		training(s.Steps, s.Batch, s.Seed, s.Optimiser, s.Output),
		atLeast("shards", s.Shards, 0), s.validateNet(),
		oneOf("net.activation", s.Net.Activation, append(energy.Activations(), "")...),
		when(s.Shards <= s.Batch, "shards", s.Shards, fmt.Sprintf("a number up to that of the batch, %d", s.Batch)),
		when(known == nil, "choices", s.Choices, "some of elu, nhwc and graphs with commas, or none"),
		s.Noise.validate(), s.validateObjective(),
	)
	if net, builtIn := s.builtIn(); err == nil && builtIn {
		rows := 1 // at least, where the number of shards is chosen later
		if s.Shards > 0 {
			rows = s.Batch / s.Shards
		}
		err = fits(net, s.Batch, rows, s.Net.Dim)
	}
	return err
}

// Describe returns what files of this run's weights say about themselves.
func (s Settings) Describe() map[string]string {
	number := formatted
	d := map[string]string{
		"net": s.Net.Name, "dim": strconv.Itoa(s.Net.Dim), "channels": strconv.Itoa(s.Net.Channels), "size": strconv.Itoa(s.Data.Size),
		"head": string(s.Net.Head), "activation": string(s.Net.Activation),
		"data": s.Data.Name, "sigma0": number(s.Noise.Sigma0),
		"sigma_min": number(s.Noise.Min), "sigma_max": number(s.Noise.Max), "sigma_spacing": string(s.Noise.Spacing),
		"weighting": string(s.Noise.Weighting), "data_range": "[0, 1]",
	}
	if p := s.Network().Plan(); p.Net == energy.UNetName {
		d["multipliers"], d["blocks"] = commas(p.Multipliers), strconv.Itoa(p.Blocks)
	}
	s.describePoints(d)
	s.describeObjective(d)
	if s.Data.Pad > 0 {
		d["pad"] = strconv.Itoa(s.Data.Pad)
	}
	if s.Preset != "" {
		d["preset"] = s.Preset
	}
	return d
}

// formatted writes a number as metadata have it.
func formatted(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// ReadSettings reads config.toml of a run's folder, or a file like it. Keys
// that do not exist are an error that names them.
func ReadSettings(path string) (Settings, error) { return readConfig[Settings](path, ConfigFile) }

// Write writes s as config.toml into a run's folder.
func (s Settings) Write(dir string) error { return writeConfig(dir, ConfigFile, s) }

// Values returns every setting as text by its path in the file, such as
// "noise.sigma0".
func (s Settings) Values() map[string]string { return values(&s) }

func (s Settings) file() string { return ConfigFile }

// agree takes over what does not change the numbers but for their last bits, and the number of
// steps, which sets where the run ends (and how the learning rate falls).
func (s Settings) agree(had Settings) Settings {
	had.Steps, had.Output, had.Data.Dir, had.Start, had.Choices = s.Steps, s.Output, s.Data.Dir, s.Start, s.Choices
	return had
}

func (s Settings) loop() Loop { return newLoop(s.Steps, s.Optimiser, s.Output) }
