package mdsm

import (
	"fmt"
	"math"
)

// The functions below lead x that is clean plus noise of level a to a lower level b,
// with D = D(x) and standard normal noise n.

// Jump is eq. (9), x ← D(x).
func Jump(sigma0 float64) Update { return Update{StepSize: math.Sqrt2 * sigma0} }

// Refresh stays at the level a: x ← D + a n. Its chain forgets where it began, faster the
// higher the level, since D says there little more than the data's mean.
func Refresh(a, sigma0 float64) Update {
	return Update{StepSize: math.Sqrt2 * sigma0, Temperature: a * a / (2 * sigma0 * sigma0), Level: a}
}

// DDIM is an Euler step of the probability flow, without noise (Song, Meng and
// Ermon, "Denoising diffusion implicit models", 2021): x ← D + (b/a)(x − D).
func DDIM(a, b, sigma0 float64) Update {
	return Update{StepSize: sigma0 * math.Sqrt(2*(1-b/a)), Level: a}
}

// Ancestral takes the posterior of the level between (Ho, Jain and Abbeel,
// "Denoising diffusion probabilistic models", 2020):
//
//	x ← D + (b²/a²)(x − D) + b √(1 − b²/a²) n
func Ancestral(a, b, sigma0 float64) Update {
	return Update{StepSize: sigma0 * math.Sqrt(2*(1-b*b/(a*a))), Temperature: b * b / (2 * sigma0 * sigma0), Level: a}
}

// Heun corrects DDIM's step by the slope at its end, in two evaluations (Karras,
// Aittala, Aila and Laine, "Elucidating the design space of diffusion-based generative
// models", 2022, algorithm 1):
//
//	x' = D + (b/a)(x − D);  x ← x + (b − a)/2 [(x − D)/a + (x' − D(x'))/b]
//
// The second evaluation is at x', and the slope of the first is in the memory.
func Heun(a, b, sigma0 float64) []Update {
	predict := DDIM(a, b, sigma0)
	predict.KeepScore = 1
	return []Update{predict, {
		StepSize: sigma0 * math.Sqrt((a-b)/b), Memory: -sigma0 * sigma0 * (a - b) / (2 * a), Level: b,
	}}
}

// Raise adds noise to what an update at level b leaves, so that it is of level a > b
// ("churn" in algorithm 2 of Karras et al.).
func (u Update) Raise(b, a float64) Update {
	u.Temperature += (a*a - b*b) / (u.StepSize * u.StepSize)
	return u
}

// Adaptive goes a share h of the way to D, and leaves noise of 1 − βh times the level
// that the step measures, σ̂ = ‖x − D‖/√d (Kadkhodaie and Simoncelli 2021, algorithm 1):
//
//	x ← x + h(D − x) + σ̂ √((1 − βh)² − (1 − h)²) n
//
// Where σ̂ is below end, the chain waits. a is the level that is expected.
func Adaptive(a, h, beta, end, sigma0 float64) Update {
	keep := (1-beta*h)*(1-beta*h) - (1-h)*(1-h)
	return Update{
		StepSize: sigma0 * math.Sqrt(2*h), Relative: sigma0 * sigma0 * math.Sqrt(max(keep, 0)),
		Least: end / (sigma0 * sigma0), Level: a,
	}
}

// Underdamped is a step of Langevin dynamics with a velocity v, which keeps the share
// c of it and is the memory, by the splitting BAOAB with one evaluation (Leimkuhler and
// Matthews, "Rational construction of stochastic numerical methods for molecular
// sampling", 2013):
//
//	v ← v + ε s;  x ← x + ε/2 v;  v ← c v + √((1 − c²)T) n;  x ← x + ε/2 v
//
// For c = 0 it is eq. (8) with the mean of two successive noises in place of one. Of a
// normal distribution x has the exact covariance at any stable step size, where eq. (8)
// makes a variance w² larger by 1/(1 − ε²/4w²).
func Underdamped(stepSize, temperature, c float64) Update {
	kick := math.Sqrt(1 - c*c)
	return Update{
		StepSize: stepSize * math.Sqrt(1+c), Temperature: temperature * kick * kick / (4 * (1 + c)), Memory: stepSize * (1 + c) / 2,
		KeepScore: c * stepSize, KeepMemory: c, KeepNoise: kick * math.Sqrt(temperature),
	}
}

// FallingLevels returns n+1 noise levels from one down to another, geometrically, or
// where rho is not 0 evenly in their rho-th roots (Karras et al., eq. 5, with 7).
func FallingLevels(from, to, rho float64, n int) ([]float64, error) {
	if !(to > 0) || !(to < from) || math.IsInf(from, 0) || n < 1 || !(rho >= 0) || math.IsInf(rho, 0) {
		return nil, fmt.Errorf("%d steps from noise level %g to %g with rho %g, want one or more to a lower level, and rho from 0", n, from, to,
			rho)
	}
	levels := make([]float64, n+1)
	for i := range levels {
		t := float64(n-i) / float64(n)
		if rho == 0 {
			levels[i] = to * math.Pow(from/to, t)
			continue
		}
		a, b := math.Pow(from, 1/rho), math.Pow(to, 1/rho)
		levels[i] = math.Pow(b+t*(a-b), rho)
	}
	return levels, nil
}
