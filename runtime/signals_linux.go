//go:build linux && (amd64 || arm64)

package runtime

import (
	"sync"
	"syscall"
	"unsafe"
)

// sigaction is the kernel's struct sigaction, whose fields are only kept here.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

const lastSignal = 64

// signalsMu keeps two guarded calls apart: the second would take the first
// one's changes for the state to keep.
var signalsMu sync.Mutex

// keepSignalHandlers runs f and then puts back every signal handler that f has
// replaced. CUDA's libraries install handlers of their own when they are
// loaded, without the alternate stack that Go's scheduler relies on, so that
// Ctrl+C would end in a crash instead of in the program's own handling.
func keepSignalHandlers(f func()) {
	signalsMu.Lock()
	defer signalsMu.Unlock()
	var before [lastSignal + 1]sigaction
	var known [lastSignal + 1]bool
	for n := 1; n <= lastSignal; n++ {
		known[n] = changeHandler(n, nil, &before[n])
	}
	defer func() {
		for n := 1; n <= lastSignal; n++ {
			var after sigaction
			if known[n] && changeHandler(n, nil, &after) && after != before[n] {
				changeHandler(n, &before[n], nil)
			}
		}
	}()
	f()
}

// changeHandler sets the signal's handler when to is not nil, and stores the
// one before it when from is not nil. SIGKILL and SIGSTOP have none to set.
func changeHandler(signal int, to, from *sigaction) bool {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(signal),
		uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(from)), unsafe.Sizeof(sigaction{}.mask), 0, 0)
	return errno == 0
}
