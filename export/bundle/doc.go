// Package bundle writes models the way other programs want them: a Triton
// model repository, a folder for a model hub, a generator for torch-fidelity,
// variants with smaller weights, a page for browsers.
//
// A [Target] is one such form. It takes a [Source], which gives the graphs and
// says what is known of the model, and puts files into a folder, each complete
// or not at all. Equal models give equal bytes, except for measured errors,
// which are those of the ONNX Runtime at hand.
package bundle
