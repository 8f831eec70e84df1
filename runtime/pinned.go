//go:build ortlibrary

package runtime

// These modules carry ONNX Runtime's shared library. No build sets the tag of
// this file: it only keeps the modules in go.mod, and their checksums in
// go.sum, when `go mod tidy` looks at every file under every tag.
import (
	_ "github.com/k2-fsa/sherpa-onnx-go-linux"
	_ "github.com/k2-fsa/sherpa-onnx-go-macos"
	_ "github.com/k2-fsa/sherpa-onnx-go-windows"
)
