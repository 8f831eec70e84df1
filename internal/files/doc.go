// Package files opens what must be a regular file, and locks files and folders
// so that one process at a time fills a folder.
//
// A path that a user gives may name anything. [Open] and [ReadFile] look at it
// before they open it, because opening a FIFO waits for a writer that may never
// come, and reading a device may never end.
//
// Locks are advisory and the kernel's (flock, on Windows LockFileEx): they end
// with the process that holds them, however it ends. Readers take none. On
// network file systems they hold between hosts as far as the file system
// carries them (NFS from version 4 on, and version 3 with its lock manager);
// where it does not, the name of a foreign host in the lock's file still stops
// a second writer.
package files
