package parts

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ebm/internal/atomicfile"
	"ebm/mdsm/samples"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// recordsDir is the folder of the records of parts, below that of their job.
const recordsDir = "parts"

// A part writes its record so often, and one that has not for so long has stopped.
const (
	beat = 10 * time.Second
	lost = 6 * beat
)

// record is what a part says of itself. When it did is the time of its file.
type record struct {
	Part string `json:"part"` // such as 2/16
	Host string `json:"host"`
	// Done of Total units are done, among them those that were found done; 0 of 0 before the
	// work has begun.
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Unit  string `json:"unit"`
	// Rate is units a second of this process.
	Rate     float64 `json:"rate"`
	Finished bool    `json:"finished"`
	Problem  string  `json:"problem,omitempty"` // why the part ended
}

// Work is the work of a part, which counts what the stages of a progress do and writes
// it to the folder that the parts share. Its methods may be called from several
// goroutines, and do nothing on nil, the work of what is no part.
type Work struct {
	part parallel.Part
	now  func() time.Time

	mu       sync.Mutex
	unit     string
	expected int64 // of the unit, 0 where stages alone say it
	total    int64 // of the stages of the unit so far
	done     int64
	skipped  int64
	begun    time.Time // the first of these stages

	path   string // of the record, "" before Begin
	begins sync.Once
	wrong  error // the first that a record could not be written with
	stop   chan struct{}
	gone   sync.WaitGroup
}

// NewWork returns the work of a part, nil of all of a job.
func NewWork(p parallel.Part) *Work {
	if p.Whole() {
		return nil
	}
	return &Work{part: p, now: time.Now, stop: make(chan struct{})}
}

// Begin has the part's record written below dir when its first stage begins, and again
// every few seconds until End.
func (w *Work) Begin(dir string) {
	if w != nil {
		w.path = filepath.Join(dir, recordsDir, recordName(w.part))
	}
}

// speak begins to write the record, once.
func (w *Work) speak() {
	if w.path == "" {
		return
	}
	w.begins.Do(func() {
		w.write(record{})
		w.gone.Go(func() {
			tick := time.NewTicker(beat)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					w.write(record{})
				case <-w.stop:
					return
				}
			}
		})
	})
}

// End writes the last record, of a part that is finished where why is nil; none where the
// folder turned out to be another job's. It returns the first error that a record could not
// be written with: the part is none the worse. It is called once, and without Begin does
// nothing.
func (w *Work) End(why error) error {
	if w == nil || w.path == "" {
		return nil
	}
	close(w.stop)
	w.gone.Wait()
	if errors.As(why, new(*samples.MismatchError)) {
		return nil
	}
	last := record{Finished: why == nil}
	if why != nil {
		last.Problem = why.Error()
	}
	w.write(last)
	return w.wrong
}

// write completes a record and leaves it in the folder.
func (w *Work) write(r record) {
	r.Part = w.part.String()
	r.Host, _ = os.Hostname() // a name for people
	w.mu.Lock()
	r.Done, r.Total, r.Unit = w.done, max(w.total, w.expected), w.unit
	if in := w.now().Sub(w.begun).Seconds(); !w.begun.IsZero() && in > 0 {
		r.Rate = float64(w.done-w.skipped) / in
	}
	w.mu.Unlock()
	data, err := json.Marshal(r)
	if err == nil {
		err = atomicfile.MkdirAll(filepath.Dir(w.path))
	}
	if err == nil {
		err = atomicfile.WriteFile(w.path, append(data, '\n'))
	}
	w.wrong = cmp.Or(w.wrong, err)
}

// recordName names the file of a part, so that names sort as parts do.
func recordName(p parallel.Part) string { return fmt.Sprintf("%06d-of-%06d.json", p.Index, p.Count) }

// Over returns a progress that shows what p does, and counts it.
func (w *Work) Over(p progress.Progress) progress.Progress {
	if w == nil {
		return p
	}
	return counting{w, p}
}

// counting is a progress whose stages are counted.
type counting struct {
	work  *Work
	shown progress.Progress
}

// Expect takes in how many units the part has in all, of stages that are to come.
func (c counting) Expect(total int64, unit string) {
	c.work.mu.Lock()
	defer c.work.mu.Unlock()
	c.work.anew(unit)
	c.work.expected = total
}

// anew begins to count another unit.
func (w *Work) anew(unit string) {
	w.unit, w.expected, w.total, w.done, w.skipped, w.begun = unit, 0, 0, 0, 0, w.now()
}

func (c counting) Stage(name string, total int64, unit string) progress.Stage {
	shown := c.shown.Stage(name, total, unit)
	w := c.work
	w.speak()
	w.mu.Lock()
	defer w.mu.Unlock()
	if unit != w.unit && w.expected > 0 {
		return shown // something else on the way
	}
	if unit != w.unit || w.begun.IsZero() {
		w.anew(unit)
	}
	w.total += total
	return &counted{Stage: shown, work: w}
}

// counted is a stage whose units are counted.
type counted struct {
	progress.Stage
	work *Work
	done int64
}

func (s *counted) Skip(n int64) {
	s.add(n, n)
	s.Stage.Skip(n)
}

func (s *counted) Add(n int64) {
	s.add(n, 0)
	s.Stage.Add(n)
}

func (s *counted) Set(n int64) {
	s.work.mu.Lock()
	s.work.done += n - s.done
	s.done = n
	s.work.mu.Unlock()
	s.Stage.Set(n)
}

func (s *counted) add(n, skipped int64) {
	s.work.mu.Lock()
	defer s.work.mu.Unlock()
	s.done += n
	s.work.done += n
	s.work.skipped += skipped
}
