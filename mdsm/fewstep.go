package mdsm

import (
	"fmt"
	"math"
)

// Update is one step of eq. (8) with a step size of its own:
//
//	x ← x + ε²/2 s(x) + ε √T n,  s = −∇E
//
// The energy is a blind denoiser (Kadkhodaie and Simoncelli, "Stochastic solutions
// for linear inverse problems using the prior implicit in a denoiser", 2021):
// D(x) = x + σ₀² s(x) estimates the clean x at any noise level of the training. A
// sampler that mixes x, D(x) and noise is therefore a list of updates.
type Update struct {
	StepSize    float64 // ε, in units of x
	Temperature float64 // T
}

// Jump is eq. (9), x ← D(x).
func Jump(sigma0 float64) Update { return Update{StepSize: math.Sqrt2 * sigma0} }

// DDIM goes from noise level a to b < a without noise, by an Euler step of the
// probability flow (Song, Meng and Ermon, "Denoising diffusion implicit models",
// 2021): x ← D + (b/a)(x − D).
func DDIM(a, b, sigma0 float64) Update {
	return Update{StepSize: sigma0 * math.Sqrt(2*(1-b/a))}
}

// Ancestral goes from noise level a to b < a by the posterior of the level between
// (Ho, Jain and Abbeel, "Denoising diffusion probabilistic models", 2020):
//
//	x ← D + (b²/a²)(x − D) + b √(1 − b²/a²) n
//
// so that x which is clean plus noise of level a becomes clean plus noise of b.
func Ancestral(a, b, sigma0 float64) Update {
	return Update{StepSize: sigma0 * math.Sqrt(2*(1-b*b/(a*a))), Temperature: b * b / (2 * sigma0 * sigma0)}
}

// FewSteps returns n updates of a rule, such as Ancestral, over n+1 noise levels
// that fall geometrically from one to another.
func FewSteps(rule func(a, b, sigma0 float64) Update, from, to, sigma0 float64, n int) ([]Update, error) {
	if !(sigma0 > 0) || !(to < from) || n < 1 {
		return nil, fmt.Errorf("%d steps from noise level %g to %g with sigma0 %g, want one or more, to a lower level", n, from, to, sigma0)
	}
	levels, err := Geometric.Levels(to, from, n+1)
	if err != nil {
		return nil, err
	}
	var list []Update
	for i := n; i > 0; i-- {
		list = append(list, rule(levels[i], levels[i-1], sigma0))
	}
	return list, nil
}

// FastSteps returns 69 updates that stand for the paper's 2,700: ancestral ones
// from a noise level to 3σ₀, where temperature 9 has its samples, and Langevin
// steps of ε = σ₀ whose temperature falls to 1 geometrically and to 0 linearly.
// With the jump after them they are 70 evaluations.
func FastSteps(from, sigma0 float64) ([]Update, error) {
	const predict, cool, freeze, hot = 39, 20, 10, 9.0
	list, err := FewSteps(Ancestral, from, math.Sqrt(hot)*sigma0, sigma0, predict)
	if err != nil {
		return nil, err
	}
	for k := range cool {
		list = append(list, Update{StepSize: sigma0, Temperature: math.Pow(hot, 1-float64(k)/(cool-1))})
	}
	for k := range freeze {
		list = append(list, Update{StepSize: sigma0, Temperature: 1 - float64(k+1)/freeze})
	}
	return list, nil
}
