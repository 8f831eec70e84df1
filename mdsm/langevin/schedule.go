package langevin

import (
	"ebm/mdsm"
	"fmt"
	"math"
)

// Cooling names a shape of temperatures over the steps.
type Cooling string

// The coolings.
const (
	// Exponential is the paper's: hot, then falling exponentially, then linearly to 0.
	Exponential Cooling = "exp"
	// Linear falls linearly where Exponential falls exponentially.
	Linear Cooling = "lin"
	// Constant stays at Cool in every step.
	Constant Cooling = "constant"
)

// ParseCooling returns the cooling called name: "exp" or "paper" for the paper's,
// "lin" or "constant".
func ParseCooling(name string) (Cooling, error) {
	switch c := Cooling(name); c {
	case "paper":
		return Exponential, nil
	case Exponential, Linear, Constant:
		return c, nil
	}
	return "", fmt.Errorf("unknown schedule %q, want paper, exp, lin or constant", name)
}

// Schedule describes the temperature of every step of a chain: in the paper's
// 2700 steps, 500 at Hot, 2000 from Hot towards Cool, and 200 from Cool to 0.
// Any other number of steps is divided in the same proportions.
type Schedule struct {
	Cooling Cooling `json:"kind"`
	Steps   int     `json:"steps"`
	Hot     float64 `json:"hot"`  // temperature of the first steps
	Cool    float64 `json:"cool"` // temperature at which the last part begins
}

// Paper returns the schedule of the paper (section 4.3 and its authors' code):
// exponential, 2700 steps, from 100 to 1.
func Paper() Schedule { return Schedule{Cooling: Exponential, Steps: 2700, Hot: 100, Cool: 1} }

// Validate reports the first field that cannot be.
func (s Schedule) Validate() error {
	if cooling, err := ParseCooling(string(s.Cooling)); err != nil {
		return err
	} else if cooling != s.Cooling {
		return fmt.Errorf("schedule %q, want %q", s.Cooling, cooling)
	}
	if s.Steps < 1 || s.Steps > math.MaxInt32 {
		return fmt.Errorf("schedule of %d steps, want 1 to %d", s.Steps, math.MaxInt32)
	}
	positive := func(v float64) bool { return v > 0 && v <= math.MaxFloat32 }
	if s.Cooling != Constant && !positive(s.Hot) {
		return fmt.Errorf("first temperature %g, want a positive number", s.Hot)
	}
	if !positive(s.Cool) {
		return fmt.Errorf("temperature %g, want a positive number", s.Cool)
	}
	return nil
}

// stretches divides the steps 500:2000:200, rounding the boundaries to nearest.
func (s Schedule) stretches() (hot, falling, last int) {
	boundary := func(paper float64) int { return int(math.Round(float64(s.Steps) * paper / 2700)) }
	hot = boundary(500)
	falling = boundary(2500) - hot
	return hot, falling, s.Steps - hot - falling
}

// Temperatures returns the temperature of every step.
func (s Schedule) Temperatures() ([]float64, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	t := make([]float64, s.Steps)
	if s.Cooling == Constant {
		for i := range t {
			t[i] = s.Cool
		}
		return t, nil
	}
	hot, falling, last := s.stretches()
	for i := range hot {
		t[i] = s.Hot
	}
	for k := range falling {
		t[hot+k] = s.falling(k, falling)
	}
	for k := range last {
		t[hot+falling+k] = s.Cool * (1 - fraction(k, last))
	}
	return t, nil
}

// Above returns steps of one size at the temperatures of the schedule, none below the
// lowest: the paper's ends at 0, which samples no density.
func (s Schedule) Above(lowest, stepSize float64) ([]mdsm.Update, error) {
	temperatures, err := s.Temperatures()
	for i, t := range temperatures {
		temperatures[i] = max(t, lowest)
	}
	return At(stepSize, temperatures), err
}

// falling returns the temperature of step k of the n middle ones. The
// exponential one would reach Cool with step n, which is the first of the
// last part; the linear one reaches it with its own last step.
func (s Schedule) falling(k, n int) float64 {
	if s.Cooling == Linear {
		return s.Hot + (s.Cool-s.Hot)*fraction(k, n)
	}
	return s.Hot * math.Exp(-float64(k)*math.Log(s.Hot/s.Cool)/float64(n))
}

// fraction returns the kth of n evenly spaced numbers from 0 to 1. The only
// one of n = 1 is 1, so that every schedule of several parts ends at 0.
func fraction(k, n int) float64 {
	if n == 1 {
		return 1
	}
	return float64(k) / float64(n-1)
}
