package train

import (
	"fmt"

	"ebm/mdsm"
)

// Objective names what training minimises.
type Objective string

// The objectives. An empty name is Denoising.
const (
	Denoising      Objective = "denoising"       // multiscale denoising score matching, eq. (7)
	Posterior      Objective = "posterior"       // eq. (5): targets are means over the data, see mdsm.Posterior
	NCSN           Objective = "ncsn"            // denoising score matching at each level itself, see mdsm.NCSN
	ScoreMatching  Objective = "score-matching"  // of the data smoothed by σ₀, exact or sliced, see mdsm.ScoreMatching
	EnergyMatching Objective = "energy-matching" // transport, then contrast, see mdsm.Transport
	Persistent     Objective = "persistent"      // maximum likelihood with chains that go on, see mdsm.ShortRun
	Likelihood     Objective = "likelihood"      // maximum likelihood with short-run Langevin dynamics
)

// Objectives returns all objectives, the paper's first.
func Objectives() []Objective {
	return []Objective{Denoising, Posterior, NCSN, ScoreMatching, EnergyMatching, Persistent, Likelihood}
}

// ChainSettings describe the chains inside every update of Likelihood and Persistent, and
// of EnergyMatching once it contrasts, where the temperature is ε_max.
type ChainSettings struct {
	Steps       int     `toml:"steps,omitempty"`
	StepSize    float64 `toml:"step_size,omitempty"`
	Temperature float64 `toml:"temperature,omitempty"`
	DataNoise   float64 `toml:"data_noise,omitempty"` // σ of the noise on data
	Regularise  float64 `toml:"regularise,omitempty"` // weight of the squares of energies
	// Of Persistent: the places of the buffer of ends of chains, and the share of the
	// chains that begin afresh.
	Replay  int     `toml:"replay,omitzero"`
	Restart float64 `toml:"restart,omitzero"`
}

// PosteriorSettings describe Posterior.
type PosteriorSettings struct {
	// Neighbours is the number of x's of the data that stand for all, 0 for all of them.
	Neighbours int `toml:"neighbours,omitempty"`
	// Data is the number of x's of the data, filled in when a run begins.
	Data int `toml:"data,omitempty"`
}

// TransportSettings describe EnergyMatching.
type TransportSettings struct {
	// WarmUp is the share of the updates that are transport alone.
	WarmUp   float64 `toml:"warm_up,omitempty"`
	Tau      float64 `toml:"tau,omitempty"`      // τ*, from which time on chains have noise
	Contrast float64 `toml:"contrast,omitempty"` // λ of the contrast, 0 for none
	Floor    float64 `toml:"floor,omitempty"`    // below whose negative it has no gradient, 0 for none
}

// mostProjections bounds the directions of sliced score matching, which are a part of the
// graph each.
const mostProjections = 64

// Choose returns s with another objective, and the settings that it has where nothing
// says otherwise.
func (s Settings) Choose(o Objective) Settings {
	s.Objective, s.Chains, s.Posterior, s.Transport, s.Projections = o, ChainSettings{}, PosteriorSettings{}, TransportSettings{}, 0
	switch o {
	case Likelihood, Persistent:
		s.Chains = likelihood().Chains
		if !s.Pictures() { // −log p of the data smoothed by σ₀
			s.Chains = ChainSettings{Steps: 20, StepSize: 0.07, Temperature: 1, DataNoise: s.Noise.Sigma0, Regularise: 0.001}
		}
		if o == Persistent {
			s.Chains.Replay, s.Chains.Restart = 10_000, 0.05
			if !s.Pictures() { // trainings are too short for more
				s.Chains.Replay = 1000
			}
		}
	case ScoreMatching:
		if s.Pictures() {
			s.Projections = 1
		}
	case EnergyMatching:
		s.Transport = TransportSettings{WarmUp: 0.8, Tau: 1, Contrast: 1e-3, Floor: 0.005}
		s.Chains = ChainSettings{Steps: 40, StepSize: 0.3, Temperature: 0.0025}
		if !s.Pictures() {
			s.Transport = TransportSettings{WarmUp: 0.3, Tau: 0.7, Contrast: 30}
			s.Chains = ChainSettings{Steps: 30, StepSize: 0.3, Temperature: 0.5}
		}
	}
	return s
}

// origin returns the mean and the standard deviation of the noise that transport begins
// with, of pictures with values in [0, 1] and of standardised points.
func (s Settings) origin() (mean, sigma float64) {
	if s.Pictures() {
		return 0.5, 0.5
	}
	return 0, 1
}

// Criterion returns what s minimises, after the warm-up of EnergyMatching.
func (s Settings) Criterion() mdsm.Criterion {
	switch s.Objective {
	case Posterior:
		return mdsm.Posterior{Objective: s.Denoising(), Data: s.Posterior.Data}
	case NCSN:
		return mdsm.NCSN{}
	case ScoreMatching:
		return mdsm.ScoreMatching{Sigma0: s.Noise.Sigma0, Projections: s.Projections}
	case EnergyMatching:
		return s.transport()
	case Likelihood, Persistent:
		c := s.Chains
		return mdsm.ShortRun{Steps: c.Steps, StepSize: c.StepSize, Temperature: c.Temperature, Sigma: c.DataNoise, Regularise: c.Regularise,
			Persistent: s.Objective == Persistent}
	}
	return s.Denoising()
}

func (s Settings) transport() mdsm.Transport {
	return mdsm.Transport{
		Heating: mdsm.Heating{Tau: s.Transport.Tau, Epsilon: s.Chains.Temperature}, Contrast: s.Transport.Contrast,
		Steps: s.Chains.Steps, StepTime: s.Chains.StepSize * s.Chains.StepSize / 2, Floor: s.Transport.Floor,
	}
}

// validateObjective checks what describes the objective.
func (s Settings) validateObjective() error {
	switch t := s.Transport; s.Objective {
	case Likelihood:
		return s.Chains.validate()
	case Persistent:
		c := s.Chains
		return firstOf(c.validate(), when(c.Replay >= s.Batch, "chains.replay", c.Replay, fmt.Sprintf("those of a batch, %d, or more", s.Batch)),
			when(c.Restart >= 0 && c.Restart <= 1, "chains.restart", c.Restart, "a share from 0 to 1"), s.unmeasured())
	case Posterior:
		return firstOf(atLeast("posterior.neighbours", s.Posterior.Neighbours, 0),
			when(!s.Data.Flip, "data.flip", s.Data.Flip, "false for posterior, whose data have no mirror images"))
	case ScoreMatching:
		return when(s.Projections >= 0 && s.Projections <= mostProjections, "projections", s.Projections,
			fmt.Sprintf("a number up to %d, 0 for the trace itself", mostProjections))
	case EnergyMatching:
		err := firstOf(
			when(t.Tau > 0 && t.Tau <= 1, "transport.tau", t.Tau, "a number above 0 up to 1"),
			when(t.WarmUp >= 0 && t.WarmUp <= 1, "transport.warm_up", t.WarmUp, "a share from 0 to 1"),
			fromZero("transport.contrast", t.Contrast), fromZero("transport.floor", t.Floor),
			s.unmeasured(),
		)
		if err == nil && t.Contrast > 0 {
			err = s.Chains.validate()
		}
		return err
	}
	return oneOf("objective", s.Objective, append(Objectives(), "")...)
}

// unmeasured refuses measurements of the loss at noise levels.
func (s Settings) unmeasured() error {
	return when(s.Output.ValidateEvery == 0, "output.validate_every", s.Output.ValidateEvery,
		fmt.Sprintf("0 for %s, whose loss has no noise levels", s.Objective))
}

// describeObjective enters what files of the weights say of another objective than the
// paper's.
func (s Settings) describeObjective(d map[string]string) {
	switch number := formatted; s.Objective {
	case Posterior:
		d["objective"] = string(s.Objective)
	case NCSN:
		// The jump at the end of a chain is that of the least level.
		d["objective"], d["sigma0"] = string(s.Objective), number(s.Noise.Min)
		delete(d, "weighting")
	case ScoreMatching:
		d["objective"], d["sigma_min"], d["sigma_max"] = string(s.Objective), number(s.Noise.Sigma0), number(s.Noise.Sigma0)
		delete(d, "weighting")
		delete(d, "sigma_spacing")
	case EnergyMatching, Persistent:
		for _, key := range []string{"sigma0", "sigma_min", "sigma_max", "sigma_spacing", "weighting"} {
			delete(d, key)
		}
		mean, sigma := s.origin()
		d["objective"], d["start_mean"], d["start_sigma"] = string(s.Objective), number(mean), number(sigma)
		if s.Objective == Persistent {
			d["chain_step_size"], d["chain_temperature"] = number(s.Chains.StepSize), number(s.Chains.Temperature)
			if smoothed := number(s.Chains.DataNoise); s.Chains.DataNoise > 0 && s.Chains.Temperature == 1 {
				d["sigma0"], d["sigma_min"], d["sigma_max"] = smoothed, smoothed, smoothed
			}
			return
		}
		d["tau"], d["epsilon"] = number(s.Transport.Tau), number(s.transport().Epsilon)
		if s.Transport.Contrast == 0 {
			d["epsilon"] = "0"
		}
	}
}
