package main

import (
	"syscall"
	"time"
)

// processTime returns the time that processors have spent on this process, all threads
// together.
func processTime() time.Duration {
	var made, ended, system, user syscall.Filetime
	process, err := syscall.GetCurrentProcess()
	if err == nil {
		err = syscall.GetProcessTimes(process, &made, &ended, &system, &user)
	}
	if err != nil {
		return 0 // of which there is no way with this handle
	}
	// In units of 100 ns. Filetime.Nanoseconds would count from another year.
	ticks := func(f syscall.Filetime) int64 { return int64(f.HighDateTime)<<32 | int64(f.LowDateTime) }
	return time.Duration(100 * (ticks(system) + ticks(user)))
}
