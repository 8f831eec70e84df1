// Package energy defines energies E(x) as graphs.
//
// Two families take pictures. A [ResNet] is one of the residual networks of the paper (Li, Chen, Sommer,
// "Learning Energy-Based Models in High-Dimensional Spaces with Multiscale
// Denoising-Score Matching", Entropy 2023, 25(10), 1367, appendix D): a 3×3
// convolution to Dim channels, residual blocks without normalisation, of
// which each one marked down halves the picture and doubles the channels, and
// a head that makes one number of the flattened last block h:
//
//	quadratic: E = (a·h + b₁)(c·h + b₂) + d·h² + b₃
//	linear:    E = a·h + b
//
// A [UNet] has the shape of a U-Net (Ronneberger, Fischer, Brox 2015), with group
// normalisation and attention, the same heads, or the energy ½‖x − f(x)‖².
//
// Pictures are [N Channels Size Size] with values around [0, 1]; energies are
// [N], in nats at temperature 1, and only differences of them have a meaning.
// Parameters have PyTorch's state_dict names and shapes, so a checkpoint's
// names are the graph's names.
//
// The package also holds a small perceptron for points, and energies in two
// dimensions whose density is known, for tests and examples.
package energy
