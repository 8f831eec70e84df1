// Package picture turns batches of images into files that people and other
// programs look at: grids and single pictures as PNG, a chain's snapshots as
// an animated GIF, and the uint8 arrays that sample archives hold.
//
// Images are tensors [N, C, H, W] with C = 1 (grey) or 3 (red, green, blue),
// either uint8 or floating point with black at 0 and white at 1. A float v
// becomes the byte floor(255·v + 1/2) after clipping v to [0, 1]; NaN becomes
// 0. The same input always gives the same bytes.
package picture
