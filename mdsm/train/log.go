package train

import (
	"maps"
	"slices"

	"ebm/internal/metrics"
)

// log is the metrics of a run, or nothing for one that leaves nothing behind.
type log struct{ w *metrics.Writer }

// add writes what was logged of an update: a line of metrics, if there is anything in
// it, and pictures.
func (l *log) add(u Update) error {
	if l.w == nil {
		return nil
	}
	if len(u.log) > 0 {
		if err := l.w.Add(int64(u.Step), u.log); err != nil {
			return err
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(u.images)) {
		if err := l.w.AddImage(int64(u.Step), tag, u.images[tag]); err != nil {
			return err
		}
	}
	return nil
}

func (l *log) sync() error {
	if l.w == nil {
		return nil
	}
	return l.w.Sync()
}

func (l *log) close() error {
	if l.w == nil {
		return nil
	}
	return l.w.Close()
}
