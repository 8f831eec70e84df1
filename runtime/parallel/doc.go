// Package parallel computes many independent chains through models in ONNX
// Runtime so that a chain's bits do not depend on the others.
//
// A kernel may round differently for another batch. Chains therefore go
// through a model in groups of one size, which on the CPU follows from the
// model alone: chain i is in group i/size at place i%size, and a group that is
// not full computes its unused places too. A group has one thread, and as many
// groups are computed at once as there are threads, which is also faster than
// all threads on one batch.
//
// [Load] loads a model and checks the names of its inputs and outputs; [Layout]
// has the sizes; [Ordered] computes groups side by side and delivers them one
// after the other.
package parallel
