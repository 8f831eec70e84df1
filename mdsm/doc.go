// Package mdsm holds multiscale denoising score matching as functions that
// add nodes to a graph: the noise levels, the objective, the optimiser's
// update and the samplers' updates.
//
// The source is Li, Chen, Sommer, "Learning Energy-Based Models in
// High-Dimensional Spaces with Multiscale Denoising-Score Matching", Entropy
// 2023, 25(10), 1367. Its formulas stand here once, each under its name:
//
//	Loss      eq. (7)   L = mean l(σ) ‖x − x̃ + σ₀² ∇E(x̃)‖²,  x̃ = x + σ·n
//	Langevin  eq. (8)   x ← x − ε²/2 ∇E(x) + ε √T n
//	Denoise   eq. (9)   x ← x − σ₀² ∇E(x)
//
// E is an energy in nats, x a batch of pictures [N C H W] with values around
// [0, 1] (or of points [N D]), σ (sigma) a noise level in units of x, σ₀
// (sigma0) the noise level whose Parzen density the model approximates, ε the
// step size in units of x, and T the temperature. The score is −∇E.
//
// Objectives beyond the paper's are [Posterior], [NCSN], [ScoreMatching], [Transport]
// (energy matching) and [ShortRun] (likelihood), each a [Criterion] as [Objective] is.
//
// Functions that leave as files of their own, such as the whole training step
// or a Langevin chain, are in models.go.
package mdsm
