package metrics

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// events is the open event file of a session.
type events struct {
	file *os.File
	buf  []byte
}

// createEvents begins a new event file in dir whose first step is first.
func createEvents(dir string, first int64, now time.Time) (*events, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	f, err := createNamed(dir, now)
	if err != nil {
		return nil, err
	}
	e := &events{file: f}
	for _, data := range [][]byte{versionEvent(now), startEvent(now, first)} {
		if err := e.add(data); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return e, nil
}

// createNamed makes a file whose name comes after those of all earlier
// sessions, since TensorBoard reads the files of a folder by name: the time
// in seconds, and a number for sessions within one second.
func createNamed(dir string, now time.Time) (*os.File, error) {
	seconds, number := max(now.Unix(), 0), 0
	old, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range old {
		var s int64
		var n int
		if _, err := fmt.Sscanf(entry.Name(), "events.out.tfevents.%d.%d.ebm", &s, &n); err != nil {
			continue
		}
		if s > seconds || s == seconds && n >= number {
			seconds, number = s, n+1
		}
	}
	for {
		name := fmt.Sprintf("events.out.tfevents.%010d.%06d.ebm", seconds, number)
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
		number++
	}
}

func (e *events) add(data []byte) error {
	e.buf = appendFramed(e.buf[:0], data)
	_, err := e.file.Write(e.buf)
	return err
}
