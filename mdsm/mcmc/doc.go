// Package mcmc draws samples of an energy by Markov chains that leave
// exp(−E/T) invariant: the Metropolis-adjusted Langevin algorithm (MALA) and
// Hamiltonian Monte Carlo (HMC), and beside them unadjusted Langevin dynamics,
// each with persistent chains of many draws. Package hmc makes the transitions,
// one run of a model for each.
//
// A chain begins at Mean + Sigma·n or at given points and makes, one after the
// other,
//
//   - a transition at each temperature of Anneal, if there are any;
//   - Warmup transitions at the temperature T;
//   - Thin transitions for each of its Draws.
//
// The step size h at temperature T is ε√T, so that ε means the same as in eq.
// (8) of the paper (see mdsm.Trajectory). In the first two parts every chain
// adapts its ε towards a target acceptance by dual averaging (see package hmc);
// then ε is fixed, since a chain that goes on adapting would not keep its
// distribution. Unadjusted Langevin has a fixed ε throughout.
//
// Chain i depends on the seed, the settings and i alone, to the bit, as samples of
// package langevin do.
//
// # How good the draws are
//
// [Diagnose] computes rank-normalised split R̂ and the effective sample sizes of
// bulk and tails after Vehtari, Gelman, Simpson, Carpenter and Bürkner,
// "Rank-normalization, folding, and localization: an improved R̂ for assessing
// convergence of MCMC" (Bayesian Analysis 16, 2021). R̂ above 1.01 says that
// chains have not met; it cannot say that they all miss a part of the
// distribution.
package mcmc
