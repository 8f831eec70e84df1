// Package inception is the feature network of FID as a graph: Inception v3
// (Szegedy et al., "Rethinking the Inception Architecture for Computer
// Vision", CVPR 2016) as it was in TensorFlow's archive inception-2015-12-05,
// which differs from other copies in three places:
//
//   - means over 3×3 windows leave out the padding,
//   - the last block, Mixed_7c, takes maxima where the others take means,
//   - there are 1008 classes.
//
// The input is [N 3 299 299], colours in [−1, 1]. [Preprocess] brings pictures
// there by the [Convention] of pytorch-fid, TensorFlow 1 or clean-fid. Parameters have the
// names and shapes of pytorch-fid's pt_inception-2015-12-05-6726825d.pth. The
// weights are nobody's to give but their publisher's: users bring that file,
// and weights.Load reads it.
//
// Every convolution is followed by a batch normalisation with ε = 0.001 in
// inference, which is folded into its weights:
//
//	w′ = w·γ/√(σ² + ε)    b′ = β − μ·γ/√(σ² + ε)
package inception
