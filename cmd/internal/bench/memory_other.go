//go:build !unix

package bench

// peakMemory returns 0: it is not known here.
func peakMemory() int64 { return 0 }
