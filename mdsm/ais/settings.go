package ais

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"

	"ebm/internal/memory"
	"ebm/mdsm"
)

// Settings say how chains go along the path.
type Settings struct {
	Distributions int            `json:"distributions"` // M, the number of steps of β from 0 to 1
	Ratio         float64        `json:"ratio"`         // r of the ladder of β, see the package's comment; 1 is linear
	Leapfrog      int            `json:"leapfrog"`      // leapfrog steps of a transition, those of the trajectory's model
	Target        float64        `json:"target"`        // acceptance that pilots adapt to
	StepSize      float64        `json:"step_size"`     // with which pilots begin, in units of x
	Temperature   float64        `json:"temperature"`   // T of the model
	Reference     mdsm.Reference `json:"reference"`
	Seed          uint64         `json:"seed"`
}

// Paper returns the paper's numbers: 10,000 distributions and ten steps of
// Hamiltonian Monte Carlo for each, which are taken as the leapfrog steps of one
// transition.
func Paper() Settings {
	s := Cheap()
	s.Distributions, s.Leapfrog = 10000, 10
	return s
}

// Cheap returns a setting of a twentieth of the paper's work.
func Cheap() Settings {
	return Settings{
		Distributions: 1000, Ratio: 100, Leapfrog: 5, Target: 0.8, StepSize: 0.05, Temperature: 1,
		Reference: mdsm.Reference{Mean: 0.5, Sigma: 1},
	}
}

// Validate reports the first setting that cannot be.
func (s Settings) Validate() error {
	if err := memory.Check("distributions", s.Distributions, 8); err != nil {
		return err
	}
	positive := func(v float64) bool { return v > 0 && v <= math.MaxFloat32 }
	switch {
	case s.Distributions < 1 || s.Distributions > math.MaxInt32/2:
		return fmt.Errorf("%d distributions, want 1 to %d", s.Distributions, math.MaxInt32/2)
	case !(s.Ratio >= 1) || !positive(s.Ratio):
		return fmt.Errorf("ratio %g of the ladder, want a number from 1", s.Ratio)
	case s.Leapfrog < 1:
		return fmt.Errorf("%d leapfrog steps, want one or more", s.Leapfrog)
	case !(s.Target > 0 && s.Target < 1):
		return fmt.Errorf("target acceptance %g, want a number between 0 and 1", s.Target)
	case !positive(s.StepSize):
		return fmt.Errorf("step size %g, want a positive number", s.StepSize)
	case !positive(s.Temperature):
		return fmt.Errorf("temperature %g, want a positive number", s.Temperature)
	}
	return s.Reference.Validate()
}

// Ladder returns β₀ = 0, …, β_M = 1.
func (s Settings) Ladder() []float64 {
	betas := make([]float64, s.Distributions+1)
	for k := range betas {
		t := float64(k) / float64(s.Distributions)
		if s.Ratio == 1 {
			betas[k] = t
		} else {
			betas[k] = math.Expm1(t*math.Log(s.Ratio)) / (s.Ratio - 1)
		}
	}
	betas[s.Distributions] = 1
	return betas
}

// key returns the hash that kept states of these settings have in their names.
func (s Settings) key(model, engine string, group int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "ais 1\n%+v\n%s\n%s\n%d\n", s, model, engine, group))
	return hex.EncodeToString(sum[:8])
}
