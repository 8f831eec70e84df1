package langevin

import (
	"fmt"
	"math"

	"ebm/mdsm"
)

// Flow is how samples of an energy are drawn that was trained by energy matching (see
// mdsm.Transport): by Heun's method along dx = −∇V dt as long as ε(t) is 0, and then by
// Langevin dynamics at temperature ε(t).
type Flow struct {
	Start Start // of t = 0
	mdsm.Heating
}

// Persistent is how samples of an energy are drawn whose density is exp(−E/T) of a
// temperature T other than 1, that of the chains of its training (mdsm.ShortRun): by steps
// as these took, from where they began.
type Persistent struct {
	Start Start
	Step  mdsm.Update
}

// Steps is the number of steps in a unit of time where nothing says another: 50, or as many
// as make the variance of a step's noise 0.005 at most.
func (f Flow) Steps() int { return max(50, int(math.Ceil(2*f.Epsilon/0.005))) }

// Until returns the time at which samples are taken where nothing says another: 1, where
// transport ends, for an energy that was not contrasted, and otherwise that of the
// source of the method, 3.25.
func (f Flow) Until() float64 {
	if f.Epsilon == 0 {
		return 1
	}
	return 3.25
}

// Updates returns the steps from t = 0 to a time.
func (f Flow) Updates(until float64, steps int) ([]mdsm.Update, error) {
	if !(until > 0) || math.IsInf(until, 0) || steps < 1 {
		return nil, fmt.Errorf("%d steps to the time %g, want one or more to a positive time", steps, until)
	}
	var list []mdsm.Update
	h := until / float64(steps)
	for k := range steps {
		// What is short of τ* by a rounding is there.
		if epsilon := f.At(h*float64(k) + 1e-9); epsilon == 0 {
			list = append(list, mdsm.FlowHeun(h)...)
		} else {
			list = append(list, mdsm.FlowLangevin(h, epsilon))
		}
	}
	return list, nil
}

// PerLevel returns Langevin steps at noise levels that fall geometrically, for an energy
// whose gradient at noise of level σ is the score of the data smoothed by that σ
// (mdsm.NCSN), as Song and Ermon sample (2019, algorithm 1):
//
//	x ← x + α/2 s + √α n,  α = σ²/5
//
// at each of the levels, ten or fewer, as many steps. The jump at the end takes away the
// noise of the last level.
func PerLevel(from, to float64, steps int) ([]mdsm.Update, error) {
	levels := min(10, steps)
	if from == to {
		levels = 1
	}
	sigmas, err := mdsm.Geometric.Levels(to, from, levels)
	if err != nil {
		return nil, err
	}
	var list []mdsm.Update
	for k := range steps {
		sigma := sigmas[levels-1-k*levels/steps]
		list = append(list, mdsm.Update{StepSize: sigma / math.Sqrt(5), Temperature: 1, Level: sigma})
	}
	return list, nil
}
