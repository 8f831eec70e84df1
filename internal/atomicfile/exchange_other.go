//go:build !linux

package atomicfile

import "errors"

// exchange is not to be had: the caller needs two renames.
func exchange(string, string) error { return errors.ErrUnsupported }
