package files

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"time"
)

// ErrLocked says that another process, or another part of this one, has a lock.
var ErrLocked = errors.New("it is locked")

// Owner is who holds a lock, as its file says.
type Owner struct {
	Host    string    `json:"host"`
	Process int       `json:"process"`
	Since   time.Time `json:"since"`
	Command string    `json:"command"`
}

func (o Owner) String() string {
	if o.Process == 0 {
		return "another process"
	}
	return fmt.Sprintf("%s (process %d on %s, since %s)", o.Command, o.Process, o.Host, o.Since.Local().Format(time.DateTime))
}

// LockedError says who fills a folder already.
type LockedError struct {
	Dir, File string
	Owner     Owner
	Foreign   bool // whether the owner is on another host, and may be gone
}

// Is makes the error one of ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// Error says who it is and what to do.
func (e *LockedError) Error() string {
	if e.Foreign {
		return fmt.Sprintf("%s is being written by %v, want one writer: when that process is gone, remove %s", e.Dir, e.Owner, e.File)
	}
	return fmt.Sprintf("%s is being written by %v, want one writer: wait for it, or choose another folder", e.Dir, e.Owner)
}

// Lock is a folder's lock that is held.
type Lock struct{ file *os.File }

// IsLock reports whether a name is that of a lock's file.
func IsLock(name string) bool {
	name = filepath.Base(name)
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, lockSuffix)
}

const lockSuffix = ".lock"

// LockDir takes the lock of a folder for a command, such as "ebm train". role
// tells locks of one folder apart that do not exclude each other, because
// their holders write different files. It is a *LockedError when another
// process has it. One that ended without giving its lock back is no obstacle,
// unless its host is another: that cannot be known from here.
func LockDir(dir, role, command string) (*Lock, error) {
	path := filepath.Join(dir, "."+role+lockSuffix)
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		again, err := take(f, dir, path, command)
		if err == nil && !again {
			return &Lock{f}, nil
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}

// take locks the open file and enters its owner; again is true when the file
// was removed by its last owner in the meantime.
func take(f *os.File, dir, path, command string) (again bool, err error) {
	if err := TryLock(f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return false, &LockedError{Dir: dir, File: path, Owner: readOwner(f)}
	}
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(mine, there) {
		return true, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return false, err
	}
	if had := readOwner(f); had.Process != 0 && had.Host != host {
		return false, &LockedError{Dir: dir, File: path, Owner: had, Foreign: true}
	}
	data, err := json.Marshal(Owner{host, os.Getpid(), time.Now().UTC().Truncate(time.Second), command})
	if err != nil {
		return false, err
	}
	if err := f.Truncate(0); err != nil {
		return false, err
	}
	if _, err := f.WriteAt(append(data, '\n'), 0); err != nil {
		return false, err
	}
	return false, f.Sync()
}

// readOwner reads who has the lock; nobody where the file does not say.
func readOwner(f *os.File) Owner {
	var o Owner
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<12))
	if err != nil || json.Unmarshal(data, &o) != nil {
		return Owner{}
	}
	return o
}

// Release gives the lock back and removes its file. A nil lock is none.
func (l *Lock) Release() {
	if l == nil || l.file == nil {
		return
	}
	// Removed while it is held, so that nobody holds a file without a name; where
	// open files cannot be removed, the next owner keeps the file from removal.
	if goruntime.GOOS != "windows" {
		os.Remove(l.file.Name())
	}
	l.file.Close()
	if goruntime.GOOS == "windows" {
		os.Remove(l.file.Name())
	}
	l.file = nil
}
