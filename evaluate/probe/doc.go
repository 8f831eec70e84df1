// Package probe says what a trained energy knows of pictures: the measures of
// the paper (Li, Chen, Sommer, Entropy 2023, 25(10), 1367) beside those of sample
// sets.
//
// With x̃ = x + σ·n for a picture x and standard normal noise n, a [Model]
// reads from an energy in ONNX Runtime
//
//	energy  E(x̃), in nats
//	error   ‖x − x̃ + σ₀² ∇E(x̃)‖², what the denoising jump is off by
//	loss    l(σ) times the error, the picture's part of the objective (eq. 7)
//
// by the graphs of package mdsm. The noise of a picture follows from the seed,
// its number in the set and a number of the draw.
//
// [Model.Outliers] compares sets by the energy at σ = σ₀ and by the loss over
// several σ (section 4.4, figure A7); [Model.Levels] follows both over σ.
// [Space] shows whether samples repeat the training data (figure A2).
//
// Distances are in the features of a features.Extractor, which says what makes
// them: numbers in different features do not compare.
package probe
