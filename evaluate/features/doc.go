// Package features keeps the features of pictures on the disk, so that
// nothing is computed twice and a process that was killed goes on.
//
// Features are kept in blocks. A block's key is the SHA-256 of what made it
// (network, weights, preprocessing and the version of this layout) and of the
// pictures themselves, their shape and bytes; it does not matter where they
// came from. The block with the key ab12… is the file
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
