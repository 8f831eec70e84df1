package restore

import (
	"math"

	"ebm/mdsm"
)

// parts is the number of coefficients of a measured component in a step: those of
// x̄ after the update, x̄ before it, s̄, ȳ and n̄.
const parts = 5

// variance is about that of a pixel's values, which bounds the error of D at high
// noise levels.
const variance = 0.1

// Constraint says how chains keep to measurements with noise of τ [R].
type Constraint struct {
	Tau    []float64
	Sigma0 float64
}

// Annealed returns the coefficients [parts R] that follow an update from level a of
// x to level b, see the package's equations.
func (c Constraint) Annealed(u mdsm.Update, a, b float64) []float32 {
	share := u.StepSize * u.StepSize / (2 * c.Sigma0 * c.Sigma0)
	a = max(a, c.Sigma0) // below it D is no better
	r2 := a * a * variance / (a*a + variance)
	return c.each(func(tau float64) [parts]float64 {
		if tau <= b || tau == 0 {
			return [parts]float64{3: 1, 4: math.Sqrt(max(b*b-tau*tau, 0))}
		}
		w := share * r2 / (r2 + tau*tau)
		return [parts]float64{1, -w, -w * c.Sigma0 * c.Sigma0, w, 0}
	})
}

// Exact returns the coefficients [parts R] of a step of eq. (8) with the potential
// E(x)/T + Σ (ȳᵢ − x̄ᵢ)²/2vᵢ for the measured components,
//
//	x̄ ← x̄ + h/2 (s̄ + T (ȳ − x̄)/v) + √(hT) n̄,  v = τ² + σ₀²(T − 1),  h = ε²/(1 + σ₀²T/v)
//
// which is exp(−E(x) − ‖y − Ax‖²/2σ_y²) at T = 1. The smaller step h is stable where
// a measurement is much surer than the energy, and leaves the density as it is.
func (c Constraint) Exact(u mdsm.Update) []float32 {
	t := u.Temperature
	return c.each(func(tau float64) [parts]float64 {
		v := tau*tau + c.Sigma0*c.Sigma0*max(t-1, 0)
		if v == 0 {
			return [parts]float64{3: 1}
		}
		h := u.StepSize * u.StepSize / (1 + c.Sigma0*c.Sigma0*t/v)
		pull := h * t / (2 * v)
		return [parts]float64{0, 1 - pull, h / 2, pull, math.Sqrt(h * t)}
	})
}

// each lists coefficients of all components, one kind after another.
func (c Constraint) each(of func(tau float64) [parts]float64) []float32 {
	out := make([]float32, parts*len(c.Tau))
	for i, tau := range c.Tau {
		for k, v := range of(tau) {
			out[k*len(c.Tau)+i] = float32(v)
		}
	}
	return out
}
