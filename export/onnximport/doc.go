// Package onnximport turns ONNX files into graphs, and adds gradients to them.
//
// [Read] and [Parse] read a model for inference: nodes of the standard
// operator set become nodes of models/graph, initialisers become constants
// under their names, and symbolic dimensions (dim_param) stay symbolic. What
// comes out differentiates, runs in models/interp, and leaves again through
// package export. [Model.Gradient] adds derivatives as outputs.
//
// The bytes are decoded twice. github.com/owulveryck/onnx-go says which
// operations there are, in which order, with which attributes, and how values
// connect them (decode.go). What it has no place for comes from onnxpb's
// messages: operator set versions and domains, names, types and symbolic
// shapes of values, tensors of every element type, in the file or beside it.
//
// Operators are one table keyed by their ONNX name (table.go), an entry each,
// which says since which version of the operator set its form is read. Entries
// check operands and attributes, and an attribute that an entry does not know
// is an error: a model is imported as it is meant, or not at all.
//
// Shapes are the graph's: every dimension is an expression over symbols.
// Integers that a model computes from shapes, as exports from PyTorch do in
// front of a Reshape, are followed as such expressions (dims.go). What still
// depends on values at run time is an error that says what to fix.
//
// Reading takes memory in proportion to what the file holds. Nothing in a file
// is executed.
package onnximport
