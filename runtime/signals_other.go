//go:build !(linux && (amd64 || arm64))

package runtime

// keepSignalHandlers runs f: the CUDA provider, which would replace signal
// handlers, is for Linux (and for Windows, which has no signals).
func keepSignalHandlers(f func()) { f() }
