// Package graph is the intermediate representation: a function on tensors as
// a list of immutable nodes in topological order.
//
// A [Node] applies one operator to earlier nodes of the same [Graph] and has
// one output with an element type and a [Shape]. Dimensions may be symbolic,
// so that a batch of N pictures stays N through every reshape. Arithmetic
// asks for equal shapes; [Broadcast] is a node of its own, which keeps every
// derivative rule free of broadcasting.
//
// The operators are one table ([Op], ops.go). Packages that treat operators
// keep a table with the same keys: derivatives in models/autodiff, evaluation
// in models/interp, lowering to ONNX in export. Convolution and pooling are
// families closed under differentiation, so derivatives of any order exist.
//
// A wrong use while building is a panic with an [*Error], which [Catch] turns
// into an error at a public boundary.
package graph
