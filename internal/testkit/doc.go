// Package testkit has what tests of several packages share: a runtime and
// sessions that close with the test, graphs as ONNX files and as values,
// comparisons of arrays, and files. A helper that fails ends its test.
//
// Tests alone import it, and it imports what it likes: the test of the layers
// holds both. Packages that testkit needs itself (runtime, export and those
// below) can use it from tests of another package name only.
package testkit
