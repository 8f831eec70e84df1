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
	Begun  time.Time // when the folder was begun, or began to grow
	Last   time.Time // when the last of them were written
}

// Rate returns the samples of a second that all processes together have finished, and how
// long the others take at that rate; ok is false where it is not known.
func (p Progress) Rate() (rate float64, left time.Duration, ok bool) {
	in := p.Last.Sub(p.Begun).Seconds()
	if p.Whole || p.Done == 0 || !(in > 0) {
		return 0, 0, false
	}
	rate = float64(p.Done) / in
	return rate, time.Duration(float64(p.Record.Count-p.Done) / rate * float64(time.Second)), true
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
	if info, err := os.Stat(filepath.Join(dir, RecordFile)); err == nil {
		p.Begun = info.ModTime()
	}
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
