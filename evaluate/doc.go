// Package evaluate compares generated samples with real ones through their
// features: the numbers of the field, to the digits of the programs that the
// field uses.
//
// Features are tensors of shape [n, d], one row for each sample, of any
// element type with float values; all arithmetic is in float64. The numbers do
// not ask where they come from: they have no unit, and two sets compare only
// when one network made both with one preprocessing: package features computes
// them and records what made them.
//
// With means μ and covariances Σ (divided by N−1) of d features,
//
//	Fréchet distance  |μa−μb|² + Tr Σa + Tr Σb − 2 Tr √(ΣaΣb)
//
// which is FID for the 2048 features of the FID Inception network (Heusel et
// al., NeurIPS 2017). [Accumulator] gathers μ and Σ from batches and shards
// by the update of Chan, Golub and LeVeque (1979); [ReadStatistics] and
// [Statistics.WriteFile] share files with pytorch-fid. Instead of a matrix
// square root, [Frechet] uses factors Σ = L·Lᵀ from a Cholesky factorization
// with pivoting, which is as wide as the rank of Σ:
//
//	Tr √(ΣaΣb) = Σᵢ √λᵢ(LaᵀΣbLa) = Σᵢ σᵢ(LaᵀLb)
//
// with eigenvalues λ and singular values σ. The sum of singular values needs
// no square roots of eigenvalues that rounding has moved away from 0, and
// makes singular covariances (N ≤ d) an ordinary case.
//
// [InceptionScore] is exp of the mean of KL(p(y|x) ‖ p(y)) over x (Salimans
// et al., NeurIPS 2016), in 10 splits. [KernelDistance], KID for Inception
// features, is the unbiased squared maximum mean discrepancy with the kernel
//
//	k(x, y) = (x·y/d + 1)³
//
// over random subsets (Bińkowski et al., ICLR 2018). [Manifold] gives improved
// precision and recall (Kynkäänniemi et al., NeurIPS 2019; k = 3) and density
// and coverage (Naeem et al., ICML 2020; k = 5).
//
// How sure a number is: [FrechetLimit] and [ScoreLimit] extrapolate to unlimited
// samples, [UnbiasedScore] takes the first-order bias off, [BootstrapFrechet] and
// [BootstrapScore] resample, and kernel distances and shares carry standard
// errors. Sums over pairs are products of matrices, which a [Multiplier] hands
// to ONNX Runtime.
//
// [Nearest] finds the samples of a set that lie nearest to others, which shows
// whether a model repeats its training data. [Separate] says how well a score,
// such as an energy, tells two sets apart (AUROC).
//
// Splits and subsets are drawn in the order of NumPy's legacy generator
// RandomState, which is what torch-fidelity uses: with the same features and
// the seed 2020 the digits are its own. In all results Warnings says when
// there are so few samples that the number is biased, and in which direction.
package evaluate
