// Package hmc makes transitions of Hamiltonian Monte Carlo in ONNX Runtime: one
// run of a model for one trajectory of a group of chains, with its leapfrog
// steps, their gradients and the Metropolis decision inside (see
// mdsm.TrajectoryGraph). With one leapfrog step it is the Metropolis-adjusted
// Langevin algorithm (MALA).
//
// [Kernel] holds the models, [State] a group of chains, [Numbers] draws what a
// trajectory needs at random, and [Adapter] finds step sizes. Packages
// mdsm/mcmc and mdsm/ais are loops around them.
//
// # Random numbers
//
// Trajectory t of chain i takes its momentum from package rng's numbers
// (Momentum, i, t), on a device that draws it from its Squares of the same, and from
// (Accept, i, t) the uniform number of its decision and a second one that jitters its
// step size: for more than one leapfrog step, h is drawn uniformly between ½ and 1½ times the step size, which keeps
// trajectories from closing on themselves (Neal 2011, section 3.2). A chain therefore does not
// depend on the others (see package parallel).
//
// # Step sizes
//
// [Adapter] is the dual averaging of Hoffman and Gelman, "The No-U-Turn
// Sampler" (2014), section 3.2, with their constants γ = 0.05, t₀ = 10,
// κ = 0.75: after transition t with acceptance probability α,
//
//	H̄ ← (1 − 1/(t+t₀)) H̄ + (δ − α)/(t+t₀)
//	log h ← log(10 h₀) − √t/γ · H̄
//	log h̄ ← t^−κ log h + (1 − t^−κ) log h̄
//
// towards the target δ; h̄ is the step size after warm-up. A chain adapts by
// itself, so that it does not depend on the others.
package hmc
