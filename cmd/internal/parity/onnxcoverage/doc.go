// Command onnxcoverage says how much of the onnx package's own tests the
// importer covers: how many of its models import, run in the interpreter with
// the expected output, and have a gradient that agrees with finite differences.
// A model that wants some of its inputs, such as a shape, as constants counts
// apart. A table of what stands in the way, by operator and reason, follows.
//
//	python cmd/internal/parity/onnxcoverage/nodetests.py DIR
//	go run ./cmd/internal/parity/onnxcoverage [-v] [-directions N] DIR [NAME…]
//
// With -v it prints a line for each model that falls short, and why.
package main
