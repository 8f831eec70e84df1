// Package dataset reads sets of small pictures into memory: MNIST,
// Fashion-MNIST, CIFAR-10, SVHN, CelebA, three-digit stacked MNIST, and any
// folder or archive of pictures.
//
// A Set holds N pictures as bytes, [N, C, H, W] with C channels (grey or red,
// green, blue), rows from the top, columns from the left. Training sees them
// as float32 in [0, 1], a byte divided by 255, without dequantisation noise
// (Li, Chen and Sommer, "Learning Energy-Based Models in High-Dimensional
// Spaces with Multiscale Denoising-Score Matching", 2023, appendix D).
//
// # Sizes
//
// The 28x28 sets can be had in three sizes. 32 (the default, as in the paper)
// puts two rows and columns of zeros around each picture; 16 takes the mean of
// every 2x2 block of that, rounded to the nearest byte (halves up); 28 leaves
// them as they are. Set.Pad says how many zeros there are on each side, so
// that a writer of samples can cut them off again. The 32x32 sets can be had
// at 32 and, as 2x2 means, at 16.
//
// CelebA pictures (178x218, the aligned ones) are cut to the 140x140 square in
// their middle and resized to 32x32 or another size. The paper does not say
// how its pictures were made, and its authors' code reads 32x32 files that
// were ready; the crop is the one that score-matching work on CelebA commonly
// takes. Files that have the wanted size already are taken as they are.
//
// Pictures of a folder keep their size unless one is asked for; then the
// largest square in the middle of each is resized. Resizing is bilinear with
// the filter widened when it shrinks (a triangle as wide as two pixels of the
// result), in 16 bits a channel.
package dataset
