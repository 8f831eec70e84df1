package runtime

import (
	ort "github.com/yalue/onnxruntime_go"
)

func probeCUDA(path, version string, device int) error {
	return &ProviderError{Provider: CUDA, Library: path, Problem: "this library is a CPU build"}
}

func appendCUDA(o *ort.SessionOptions, device int, more map[string]string) error { return nil }
func keepSignalHandlers(f func())                                                { f() }
