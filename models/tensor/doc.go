// Package tensor holds dense host arrays: an element type, a shape and the
// elements in row-major (C) order. It is what crosses every boundary of the
// project (files, the interpreter, ONNX Runtime) and does no arithmetic.
package tensor
