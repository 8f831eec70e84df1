// Package restore draws posterior samples of linear inverse problems
//
//	y = A x + σ_y n
//
// for pictures x whose density an energy has learned: hidden pixels, lower
// resolution, blur, random projections, lost colours, or any matrix A.
//
// With the singular values A = U diag(s) Vᵀ, a component x̄ᵢ = (Vᵀx)ᵢ with sᵢ > 0
// is measured: ȳᵢ = (Uᵀy)ᵢ/sᵢ is x̄ᵢ with noise of τᵢ = σ_y/sᵢ. All others are
// left to the energy. An [Operator] holds s, U and V.
//
// A chain makes the updates of any sampler (see mdsm.Update), of the annealed
// chain of eq. (8) or of few evaluations. The energy is a blind denoiser with
// D(x) = x + σ₀²s(x), and x in a step is clean plus noise of a level a which
// falls. After a step to level b the measured components are put right
// ([Constraint.Annealed]):
//
//	τᵢ ≤ b:  x̄ᵢ ← ȳᵢ + √(b² − τᵢ²) n̄ᵢ               the measurement, as noisy as x is
//	τᵢ > b:  x̄ᵢ ← x̄ᵢ + q wᵢ (ȳᵢ − D̄ᵢ),  wᵢ = r²/(r² + τᵢ²),  r² = a²v/(a² + v)
//
// where q = ε²/2σ₀² is the share of the way to D that the step goes, and r the error of
// D for data of variance v = 0.1 a value. The first rule is that of Kawar, Elad, Ermon and Song, "Denoising diffusion restoration models"
// (2022), and for a mask of σ_y = 0 that of the paper's section 4. The second weighs
// D and the measurement by their errors, as Song, Vahdat, Mardani and Kautz, "Pseudoinverse-guided diffusion models for inverse problems"
// (2023), with the Jacobian of D taken as 1. Both are approximations, which is what
// makes them fast.
//
// [Constraint.Exact] is the reference: Langevin dynamics whose density at the end is
// exp(−E(x) − ‖y − Ax‖²/2σ_y²), without a jump, in as many steps as it takes.
package restore
