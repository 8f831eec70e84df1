package train

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ebm/internal/memory"
	"ebm/mdsm"
	"ebm/models/energy"
)

// What Validate methods are made of: each function returns nil or a
// *SettingError.

// training checks what the settings of all runs have.
func training(steps, batch int, seed uint64, o OptimiserSettings, out OutputSettings) error {
	rate := o.LearningRate
	return firstOf(
		atLeast("steps", steps, 1), atLeast("batch", batch, 1),
		when(seed <= math.MaxInt64, "seed", seed, "a number up to 9223372036854775807"), // TOML's numbers end there
		oneOf("optimiser.learning_rate.schedule", rate.Schedule, Schedules()...),
		positive("optimiser.learning_rate.initial", rate.Initial),
		when(rate.Final >= 0 && rate.Final <= rate.Initial, "optimiser.learning_rate.final", rate.Final,
			fmt.Sprintf("a number from 0 to the initial rate, %g", rate.Initial)),
		decay("optimiser.beta1", o.Beta1), decay("optimiser.beta2", o.Beta2), decay("optimiser.ema", o.EMA),
		positive("optimiser.epsilon", o.Epsilon), fromZero("optimiser.clip", o.Clip),
		when(out.CheckpointEvery >= 0 || out.CheckpointEvery == Auto, "output.checkpoint_every", out.CheckpointEvery, intervals),
		when(out.MTBF >= 0, "output.mtbf", out.MTBF, "a time such as 12h"), atLeast("output.keep_checkpoints", out.KeepCheckpoints, 0),
		atLeast("output.log_every", out.LogEvery, 1),
		atLeast("output.validate_every", out.ValidateEvery, 0), atLeast("output.early_stop", out.EarlyStop, 0),
		atLeast("output.sample_every", out.SampleEvery, 0),
	)
}

// validate checks the noise levels and their weights.
func (n NoiseSettings) validate() error {
	return firstOf(
		positive("noise.sigma0", n.Sigma0),
		positive("noise.max", n.Max),
		when(n.Min > 0 && n.Min <= n.Max, "noise.min", n.Min, fmt.Sprintf("a positive number up to the largest level, %g", n.Max)),
		oneOf("noise.spacing", n.Spacing, mdsm.Linear, mdsm.Geometric),
		oneOf("noise.weighting", n.Weighting, mdsm.Weightings()...),
	)
}

// validate checks the chains of Likelihood.
func (c ChainSettings) validate() error {
	return firstOf(
		when(c.Steps >= 1 && c.Steps <= 1000, "chains.steps", c.Steps, "a number from 1 to 1000"),
		positive("chains.step_size", c.StepSize),
		fromZero("chains.temperature", c.Temperature), fromZero("chains.data_noise", c.DataNoise), fromZero("chains.regularise", c.Regularise),
	)
}

// keptMaps is how many activations of a network's first width and the data's size
// a training step keeps at least, for the derivatives of its convolutions.
const keptMaps = 4

// fits checks that the memory for a batch with its noise, for the activations of
// the rows of a shard, and for the weights of a network in two sets with the
// optimiser's moments, is there.
func fits(net energy.Network, batch, rows, dim int) error {
	var data, state memory.Estimate
	for _, p := range net.Parameters() {
		state.Add(append([]int{2 * 3 * 4}, p.Shape...)...)
	}
	if excess := state.Excess(); excess != "" {
		return &SettingError{"net.dim", dim, "less: " + excess}
	}
	data.Add(append([]int{2 * 4, batch}, net.InputShape()...)...)
	data.Add(append([]int{keptMaps * 4, rows, dim}, net.InputShape()[1:]...)...)
	if excess := data.Excess(); excess != "" {
		return &SettingError{"batch", batch, "less: " + excess}
	}
	return nil
}

func atLeast(key string, v, least int) error {
	if v >= least {
		return nil
	}
	return &SettingError{key, v, fmt.Sprintf("a number from %d", least)}
}

func positive(key string, v float64) error {
	return when(v > 0 && !math.IsInf(v, 0), key, v, "a positive number")
}

func fromZero(key string, v float64) error {
	return when(v >= 0 && !math.IsInf(v, 0), key, v, "a number from 0")
}

func decay(key string, v float64) error {
	return when(v >= 0 && v < 1, key, v, "a number from 0 to below 1")
}

func oneOf[T ~string](key string, v T, of ...T) error {
	words := make([]string, len(of))
	for i, w := range of {
		words[i] = string(w)
	}
	return when(slices.Contains(of, v), key, v, "one of "+strings.Join(words, ", "))
}

func when(ok bool, key string, v any, want string) error {
	if ok {
		return nil
	}
	return &SettingError{key, v, want}
}

// firstOf returns the first error there is.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
