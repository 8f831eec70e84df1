package runtime

import (
	"errors"
	"fmt"
	"strings"
)

// ErrClosed is wrapped by the errors of every method that is called after
// Close.
var ErrClosed = errors.New("already closed")

// LibraryError says why ONNX Runtime's shared library cannot be used, and what
// to do about it.
type LibraryError struct {
	Path    string // the file or folder in question; empty when none was found
	Source  Source // which step of the search named it
	Problem string // what is wrong, with what was found and what was wanted
	Remedy  string // what to do
	Err     error  // the cause, or nil
}

func (e *LibraryError) Error() string {
	var b strings.Builder
	b.WriteString("onnx runtime library")
	if e.Path != "" {
		fmt.Fprintf(&b, " %s", e.Path)
	}
	if e.Source != "" {
		fmt.Fprintf(&b, " (from %s)", e.Source)
	}
	fmt.Fprintf(&b, ": %s", e.Problem)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Remedy != "" {
		fmt.Fprintf(&b, "; %s", e.Remedy)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *LibraryError) Unwrap() error { return e.Err }

// ProviderError says why a provider cannot be used.
type ProviderError struct {
	Provider Provider
	Library  string   // the main library in use
	Problem  string   // what is wrong
	Missing  []string // files that are missing, such as "libcublasLt.so.13"
	Remedy   string   // what to do
	Err      error    // the cause, or nil
}

func (e *ProviderError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "provider %s: %s", e.Provider, e.Problem)
	if len(e.Missing) > 0 {
		fmt.Fprintf(&b, ": %s", strings.Join(e.Missing, ", "))
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Remedy != "" {
		fmt.Fprintf(&b, "; %s", e.Remedy)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *ProviderError) Unwrap() error { return e.Err }

// ModelError says why a model cannot be loaded.
type ModelError struct {
	Path string // the file, or empty for a model in memory
	Err  error
}

func (e *ModelError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("load model: %v", e.Err)
	}
	return fmt.Sprintf("load model %s: %v", e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *ModelError) Unwrap() error { return e.Err }

// ValueError is a tensor that does not fit a model's input or output.
type ValueError struct {
	Role string // "input" or "output"
	Name string
	Got  string // what was given, such as "float32[2 3]" or "nothing"
	Want string // what the model takes, such as "float32[N 1 32 32]"
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("%s %q: got %s, want %s", e.Role, e.Name, e.Got, e.Want)
}
