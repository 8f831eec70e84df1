//go:build unix

package files

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// TryLock takes the lock of an open file or folder until it is closed. It is
// [ErrLocked] when another has it, and errors.ErrUnsupported where the file
// system has no locks.
func TryLock(f *os.File) error {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrLocked
		default:
			// A network file system without a lock manager, or one that wants a file
			// that is open for writing.
			return errors.ErrUnsupported
		}
	}
}
