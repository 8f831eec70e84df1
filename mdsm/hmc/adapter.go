package hmc

import "math"

// Targets of acceptance: where the work for a new independent point is least
// in many dimensions (Roberts and Rosenthal 1998 for one leapfrog step; for
// several, Beskos et al. 2013 have 0.65, and a higher one costs little).
const (
	TargetMALA = 0.574
	TargetHMC  = 0.8
)

// Target returns the target for trajectories of so many leapfrog steps.
func Target(steps int) float64 {
	if steps == 1 {
		return TargetMALA
	}
	return TargetHMC
}

// Adapter adapts a step size by dual averaging, see the package's comment.
type Adapter struct {
	target       float64
	start        float64 // log 10·h₀
	t            float64
	miss         float64 // H̄
	log, average float64 // log h and log h̄
}

// NewAdapter begins with the step size h > 0.
func NewAdapter(h, target float64) Adapter {
	return Adapter{target: target, start: math.Log(10 * h), log: math.Log(h)}
}

// Add tells the acceptance probability of the next transition.
func (a *Adapter) Add(probability float64) {
	const gamma, t0, kappa = 0.05, 10, 0.75
	a.t++
	a.miss += (a.target - probability - a.miss) / (a.t + t0)
	a.log = a.start - math.Sqrt(a.t)/gamma*a.miss
	a.average += math.Pow(a.t, -kappa) * (a.log - a.average)
}

// State returns what transitions have changed, for Resume.
func (a *Adapter) State() [4]float64 { return [4]float64{a.t, a.miss, a.log, a.average} }

// Resume goes on from a state of an adapter that began alike.
func (a *Adapter) Resume(state [4]float64) {
	a.t, a.miss, a.log, a.average = state[0], state[1], state[2], state[3]
}

// StepSize returns the size for the next transition of the warm-up.
func (a *Adapter) StepSize() float64 { return math.Exp(a.log) }

// Adapted returns the size to go on with after the warm-up: the average of
// log h, or the first size if there was none.
func (a *Adapter) Adapted() float64 {
	if a.t == 0 {
		return math.Exp(a.log)
	}
	return math.Exp(a.average)
}
