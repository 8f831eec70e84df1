package memory

import "golang.org/x/sys/unix"

// Limit returns the bytes of the machine's memory.
func Limit() int64 {
	if n, err := unix.SysctlUint64("hw.memsize"); err == nil {
		return int64(n)
	}
	return unknown
}
