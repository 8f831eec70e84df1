// Package interp evaluates graphs in float64: the slow truth that tests and
// certificates compare with.
//
// Every floating-point node is computed in float64 whatever its declared
// type; floating-point inputs and constants are widened first, and a Cast
// between floating-point types changes nothing. Integers of any width are
// computed in int64, bool stays bool.
//
// Evaluation is one table keyed by operator, [graph.Op], in families of
// files. The kernels are the definitions in package graph written as loops.
// Convolution and pooling share one description of which input elements meet
// which output elements (window.go), read in one direction by an operator and
// in the other by its adjoint. Large kernels run on several goroutines, each
// of which owns its part of the result, so that results do not depend on the
// number of processors.
package interp
