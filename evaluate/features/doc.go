// Package features computes the vectors in which package evaluate measures
// distances between pictures, and keeps them on the disk.
//
// A [Network] is what makes features, for pictures of any size that it takes:
// the FID Inception network, whose weights users bring ([InceptionFile]), any
// ONNX file ([ONNXFile]), the shipped classifier of a data set
// ([ShippedClassifier]), or the pixels themselves ([PixelValues]). Opened for
// pictures of one size it is an [Extractor], which turns uint8 pictures
// [n C H W] into a [Set]. A [Maker] records what must be equal for features to
// compare.
//
// # The cache
//
// A [Cache] keeps features, so that nothing is computed twice and a process that
// was killed goes on. Features are kept in blocks. A block's key is the SHA-256
// of what made it (network, weights, preprocessing and the version of this
// layout) and of the pictures themselves, their shape and bytes; it does not
// matter where they came from. The block with the key ab12… is the file
//
//	FOLDER/ab/ab12….npz
//
// with the arrays features [n, d] and, where the network has them, logits
// [n, classes], both float32. A file is whole or absent; one that has been
// damaged since, or holds another number of rows or values that are not
// finite, counts as absent and is written again.
//
// Nothing is ever removed. A user may delete the folder, or any file in it, at any time.
package features
