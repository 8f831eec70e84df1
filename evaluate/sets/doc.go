// Package sets answers what a set of samples is worth: it opens what users
// name (files of samples, folders of pictures, data sets, features,
// statistics), computes features block by block through a network that is
// theirs to choose, and gives the numbers of package evaluate with all that is
// needed to compare them: counts, conventions, hashes, warnings.
//
// Pictures are read and sent through the network in blocks of [Block], so
// 50,000 of them take no more memory than their features. The Fréchet distance
// alone needs no features either, but their running mean and covariance.
package sets
