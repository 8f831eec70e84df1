package samples

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Progress says how far the samples of a folder are.
type Progress struct {
	Record Record
	Done   int       // finished samples, in shards or in the archive
	Whole  bool      // the archive is there
	Last   time.Time // when the last of them were written
}

// ReadProgress reads how far the samples of a folder are, while another process
// may fill it: names alone are read, and nothing is checked or changed. The
// error wraps fs.ErrNotExist where dir has no samples.
func ReadProgress(dir string) (Progress, error) {
	r, err := ReadRecord(dir)
	if err != nil {
		return Progress{}, err
	}
	p := Progress{Record: r}
	if info, err := os.Stat(filepath.Join(dir, ArchiveFile)); err == nil {
		p.Done, p.Whole, p.Last = r.Count, true, info.ModTime()
		return p, nil
	}
	entries, err := os.ReadDir(filepath.Join(dir, shardsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	for _, e := range entries {
		s, ok := parseShardName(e.Name())
		if !ok {
			continue
		}
		p.Done += s.count
		if info, err := e.Info(); err == nil && info.ModTime().After(p.Last) {
			p.Last = info.ModTime()
		}
	}
	p.Done = min(p.Done, r.Count) // shards of a killed process may overlap
	return p, nil
}
