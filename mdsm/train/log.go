package train

import "ebm/internal/metrics"

// log is the metrics of a run, or nothing for one that leaves nothing behind.
type log struct{ w *metrics.Writer }

// add writes a line of metrics, if there is anything in it.
func (l *log) add(step int, values map[string]float64) error {
	if l.w == nil || len(values) == 0 {
		return nil
	}
	return l.w.Add(int64(step), values)
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
