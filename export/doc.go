// Package export turns graphs into ONNX.
//
// [Model] first rewrites the graph by the passes of [Passes], in order, and
// then lowers it node by node through one table keyed by the operator. What
// leaves is plain standard ONNX: opset 17 of the default domain, IR version
// 8, symbolic dimensions as named dynamic ones, inputs, outputs and weights
// under the names that the graph gave them. The same graph gives the same
// bytes.
//
// Lowering takes the forms that ONNX Runtime runs fast where there is a
// choice: input gradients of convolutions as convolutions with flipped
// weights, filter gradients as matrix products over shifted slices, ELU as
// max(x, exp(min(x, 0)) − 1), whose exponential is also its derivative.
package export
