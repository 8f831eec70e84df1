//go:build !linux

package runtime

// loadable is not asked elsewhere than on Linux: other systems' libraries are
// in other formats.
func loadable(string) bool { return true }

// deviceCount is not asked either.
func deviceCount(string) (n int, known bool) { return 0, false }

// deviceName is not asked either.
func deviceName(string, int) string { return "" }

// cLibrary is not asked either.
func cLibrary() string { return "" }
