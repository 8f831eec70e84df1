package train

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"ebm/mdsm"
	"ebm/models/tensor"
)

// FitConfigFile names the file of FitSettings in a run's folder.
const FitConfigFile = "fit.toml"

// FitSettings describe the training of an ONNX model on examples with targets; they
// are what fit.toml holds.
type FitSettings struct {
	Seed  uint64 `toml:"seed"`
	Steps int    `toml:"steps"`
	Batch int    `toml:"batch"`
	// Shards is the number of parts of a batch whose gradients are computed side by
	// side, where the model and its loss are means over examples. It changes the last
	// bits.
	Shards int `toml:"shards"`

	Model     ModelSettings `toml:"model"`
	Loss      Loss          `toml:"loss"`
	Data      FitData       `toml:"data"`
	Optimiser FitOptimiser  `toml:"optimiser"`
	Output    FitOutput     `toml:"output"`
}

// FitData name the examples.
type FitData struct {
	Path string `toml:"path,omitempty"`
	Name string `toml:"name,omitempty"` // of a data set of labelled pictures, as in the data package's catalogue
	// Mean and Deviation are taken away from the channels of pictures, and divided by.
	Mean      []float64 `toml:"mean,omitempty"`
	Deviation []float64 `toml:"deviation,omitempty"`
	// Validation is the share of the examples that is held out, or ValidationPath has
	// those that are.
	Validation     float64 `toml:"validation"`
	ValidationPath string  `toml:"validation_path,omitempty"`
	Flip           bool    `toml:"flip,omitempty"` // mirror pictures at random
	// Hash is the SHA-256 of the examples, filled in when a run begins.
	Hash string `toml:"hash,omitempty"`
}

// FitOptimiser holds the optimiser's settings.
type FitOptimiser struct {
	Name         OptimiserName `toml:"name"`
	LearningRate LearningRate  `toml:"learning_rate"`
	Momentum     float64       `toml:"momentum"` // SGD's
	Nesterov     bool          `toml:"nesterov"`
	Beta1        float64       `toml:"beta1"` // Adam's and Lion's
	Beta2        float64       `toml:"beta2"`
	Epsilon      float64       `toml:"epsilon"`
	WeightDecay  float64       `toml:"weight_decay"`
	EMA          float64       `toml:"ema"`  // decay of averaged weights of Adam, 0 for none
	Clip         float64       `toml:"clip"` // the largest norm of a gradient, 0 for any
	Accumulate   int           `toml:"accumulate"`
}

// OptimiserName names an optimiser.
type OptimiserName string

// The optimisers.
const (
	SGDOptimiser   OptimiserName = "sgd"
	AdamOptimiser  OptimiserName = "adam"
	AdamWOptimiser OptimiserName = "adamw"
	LionOptimiser  OptimiserName = "lion"
)

// OptimiserNames returns all names.
func OptimiserNames() []OptimiserName {
	return []OptimiserName{SGDOptimiser, AdamOptimiser, AdamWOptimiser, LionOptimiser}
}

// Optimiser returns the optimiser that the settings describe.
func (o FitOptimiser) Optimiser() (mdsm.Optimiser, error) {
	var base mdsm.Optimiser
	switch o.Name {
	case SGDOptimiser:
		base = mdsm.SGD{Momentum: o.Momentum, Nesterov: o.Nesterov, Decay: o.WeightDecay}
	case AdamOptimiser, AdamWOptimiser:
		if o.Name == AdamOptimiser && o.WeightDecay != 0 {
			return nil, &SettingError{"optimiser.weight_decay", o.WeightDecay, "0 for adam: adamw has weight decay"}
		}
		base = mdsm.Adam{Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon, EMA: o.EMA, Decay: o.WeightDecay}
	case LionOptimiser:
		base = mdsm.Lion{Beta1: o.Beta1, Beta2: o.Beta2, Decay: o.WeightDecay}
	default:
		return nil, oneOf("optimiser.name", o.Name, OptimiserNames()...)
	}
	if o.EMA != 0 && o.Name != AdamOptimiser && o.Name != AdamWOptimiser {
		return nil, &SettingError{"optimiser.ema", o.EMA, fmt.Sprintf("0 for %s: adam and adamw average", o.Name)}
	}
	if o.Clip != 0 {
		base = mdsm.Clipped{Optimiser: base, Norm: o.Clip}
	}
	if o.Accumulate > 1 {
		base = mdsm.Accumulated{Optimiser: base, Calls: o.Accumulate}
	}
	return base, base.Validate()
}

// FitOutput says what is kept while training.
type FitOutput struct {
	CheckpointEvery Interval      `toml:"checkpoint_every"`
	MTBF            time.Duration `toml:"mtbf,omitzero"`    // see Loop
	KeepCheckpoints int           `toml:"keep_checkpoints"` // 0 keeps all
	LogEvery        int           `toml:"log_every"`
	ValidateEvery   int           `toml:"validate_every"` // steps between measurements on what is held out, 0 for one at the end
}

// DefaultFit returns the settings that a run begins with.
func DefaultFit() FitSettings {
	return FitSettings{
		Seed: 1, Steps: 1000, Batch: 32, Shards: 1,
		Loss: Loss{Name: CrossEntropy}, Data: FitData{Validation: 0.1},
		Optimiser: FitOptimiser{
			Name: AdamWOptimiser, LearningRate: LearningRate{Schedule: Cosine, Initial: 1e-3}, Momentum: 0.9, Beta1: 0.9,
			Beta2: 0.999, Epsilon: 1e-8,
			WeightDecay: 0.01, Accumulate: 1,
		},
		Output: FitOutput{CheckpointEvery: 500, KeepCheckpoints: 3, LogEvery: 10},
	}
}

// Validate reports the first setting that cannot be, as a *SettingError where it
// has a name.
func (s FitSettings) Validate() error {
	_, err := s.Optimiser.Optimiser()
	o := OptimiserSettings{LearningRate: s.Optimiser.LearningRate, Epsilon: 1}
	return firstOf(
		training(s.Steps, s.Batch, s.Seed, o, s.Output.common()), err, s.Model.Validate(), s.Loss.Validate(),
		when(s.Shards >= 0 && s.Shards <= s.Batch, "shards", s.Shards, fmt.Sprintf("a number up to that of the batch, %d", s.Batch)),
		atLeast("optimiser.accumulate", s.Optimiser.Accumulate, 0), fromZero("optimiser.clip", s.Optimiser.Clip),
		when(s.Data.Path != "" || s.Data.Name != "", "data.path", s.Data.Path, "a file or folder of examples"),
		when(s.Data.Validation >= 0 && s.Data.Validation < 1, "data.validation", s.Data.Validation, "a share from 0 to below 1"),
		when(!slices.ContainsFunc(s.Data.Deviation, func(v float64) bool { return !(v > 0) }), "data.deviation",
			s.Data.Deviation, "positive numbers"),
	)
}

func (o FitOutput) common() OutputSettings {
	return OutputSettings{CheckpointEvery: o.CheckpointEvery, MTBF: o.MTBF, KeepCheckpoints: o.KeepCheckpoints, LogEvery: o.LogEvery,
		ValidateEvery: o.ValidateEvery}
}

// Describe returns what files of this run's weights say about themselves.
func (s FitSettings) Describe() map[string]string {
	o, _ := s.Optimiser.Optimiser()
	return map[string]string{
		"model_sha256": s.Model.Hash, "data_sha256": s.Data.Hash, "loss": string(s.Loss.Name), "optimiser": fmt.Sprint(o),
		"batch": strconv.Itoa(s.Batch), "seed": strconv.FormatUint(s.Seed, 10),
	}
}

// ReadFitSettings reads fit.toml of a run's folder, or a file like it. Keys that do
// not exist are an error that names them.
func ReadFitSettings(path string) (FitSettings, error) {
	return readConfig[FitSettings](path, FitConfigFile)
}

func (s FitSettings) file() string { return FitConfigFile }

// agree takes over what does not change the numbers, and the number of steps, which
// sets where the run ends.
func (s FitSettings) agree(had FitSettings) FitSettings {
	had.Steps, had.Output, had.Data.Path, had.Data.ValidationPath, had.Model.Path = s.Steps, s.Output, s.Data.Path,
		s.Data.ValidationPath, s.Model.Path
	return had
}

func (s FitSettings) loop() Loop {
	return newLoop(s.Steps, OptimiserSettings{LearningRate: s.Optimiser.LearningRate}, s.Output.common())
}

// Supervised is the training of a function on examples with targets.
type Supervised struct {
	Function  Function
	Loss      Loss
	Optimiser mdsm.Optimiser
	Data      Examples
	Batch     int
	Shards    int // as Matching.Shards
	Seed      uint64
	// First has the first value of every parameter and state.
	First map[string]*tensor.Tensor
	// Flip mirrors pictures at random: rows of inputs along their last axis.
	Flip     bool
	Describe map[string]string
}

// Examples are rows with targets.
type Examples interface {
	Len() int
	// Fill writes the examples with the given numbers to the rows of tensors, by the
	// names of the function's inputs, and of TargetInput.
	Fill(batch map[string]*tensor.Tensor, index []int)
}

// Problem returns the training problem for Run: every epoch is a permutation of the
// examples, and dropout's seed is a function of Seed and the step.
func (s Supervised) Problem() (Problem, error) {
	if err := firstOf(atLeast("batch", s.Batch, 1), atLeast("shards", s.Shards, 0),
		when(s.Data.Len() > 0, "data", 0, "one example or more")); err != nil {
		return Problem{}, err
	}
	step, err := Step(s.Function, s.Loss, s.Optimiser)
	if err != nil {
		return Problem{}, err
	}
	p := Problem{Step: step, Optimiser: s.Optimiser, Initial: s.First, Order: s.Function.Parameters, States: s.Function.States,
		Describe: maps.Clone(s.Describe)}
	if p.Batch, err = s.Function.batch(step, s.Batch); err != nil {
		return Problem{}, err
	}
	if n := s.shards(p.Batch); n > 1 {
		if p.Shards, err = s.sharded(n); err != nil {
			return Problem{}, err
		}
	}
	p.Fill = s.filler(p.Batch)
	return p, nil
}
