//go:build unix && !linux

package bench

import (
	goruntime "runtime"
	"syscall"
)

// peakMemory returns the largest resident memory of this process in bytes, or
// 0.
func peakMemory() int64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	if goruntime.GOOS == "darwin" || goruntime.GOOS == "ios" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}
