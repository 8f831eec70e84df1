// Package ais estimates the normaliser of an energy, and with it densities of
// points, by annealed importance sampling in ONNX Runtime.
//
// The source is Neal, "Annealed importance sampling" (Stat. Comput. 11, 2001),
// and for chains in reverse Burda, Grosse and Salakhutdinov, "Accurate and
// conservative estimates of MRF log-likelihood using reverse annealing"
// (AISTATS 2015), which is how Li, Chen and Sommer (Entropy 2023, 25(10), 1367,
// section 4 and appendix D) measure their models. Chains go along the path
//
//	U_β(x) = β E(x)/T + (1−β) E_ref(x),  E_ref(x) = ‖x − m‖²/2s²
//
// from the reference N(m, s²), whose log Z₀ = D/2 log 2πs² is known, to the
// model at temperature T, or back. With β₀ = 0 < … < β_M = 1,
//
//	log w = Σₖ U_{βₖ₋₁}(xₖ) − U_{βₖ}(xₖ),
//
// where xₖ is the chain's point between the distributions k−1 and k, and
// between two points there is one transition of Hamiltonian Monte Carlo
// (package hmc) that leaves the distribution at their place of the path
// invariant. Energies are those that the graph computes, in nats; sums are in
// float64.
//
// # Bounds
//
// Forward, from x₁ drawn of the reference, E[w] = Z/Z₀. So log Z₀ + log mean w
// estimates log Z, and log Z₀ + mean log w is below log Z in expectation.
//
// In reverse, from x_M drawn of the model itself, E[1/w] = Z₀/Z, and
// log Z₀ + mean log w is above log Z in expectation. There are exact draws of a
// model only where its density is known. From test images, as in the paper, the
// result is the paper's estimate and no bound.
//
// # Temperatures
//
// The paper says "roughly exponential". Here
//
//	βₖ = (r^{k/M} − 1)/(r − 1)
//
// which makes the precision (1−β)/s² + β/σ² of a path between two normal
// distributions grow by equal factors, when r = s²/σ² (then the variance of
// log w is least); σ₀, the noise of the model's pictures, is taken for σ.
//
// # Step sizes
//
// A transition may not depend on the past of its chain, or weights are no longer
// unbiased. Step sizes are therefore found first, by pilot chains of their own
// that go along a part of the path: log h ← log h + (ā − δ) with the mean
// probability of acceptance ā of all pilots and the target δ. Between those
// places log h is interpolated.
//
// # Bits and resuming
//
// Chain i depends on the seed, the settings and i alone (see package parallel).
// With a folder, every group's points, energies and log w are kept every few
// seconds under a name that holds a hash of all settings, and a run that was
// killed goes on there to the same bits.
package ais
