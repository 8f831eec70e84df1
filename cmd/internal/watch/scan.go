package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/parts"
	"ebm/cmd/internal/report"
	"ebm/internal/files"
	"ebm/internal/metrics"
	"ebm/mdsm/samples"
	"ebm/mdsm/train"
)

// maxDepth is how deep runs may lie below the folder that is watched.
const maxDepth = 4

// Run is a training run as the list shows it.
type Run struct {
	ID      string    `json:"id"` // its folder, relative to the one that is watched, with slashes
	Network string    `json:"network"`
	Data    string    `json:"data"`
	Step    int64     `json:"step"` // of the last line of metrics
	Steps   int       `json:"steps"`
	Loss    *float64  `json:"loss"` // nil where there is none that is finite
	HeldOut *float64  `json:"held_out_loss"`
	Speed   *float64  `json:"steps_per_second"`
	Left    *float64  `json:"seconds_left"`
	Updated time.Time `json:"updated"`
	Running bool      `json:"running"` // whether metrics came lately, and more are to come
	Report  bool      `json:"report"`
	Losses  []float64 `json:"losses"`            // so far, thinned
	Problem string    `json:"problem,omitempty"` // why the run cannot be read
}

// Drawing is a folder of samples that is being filled, or was.
type Drawing struct {
	ID    string    `json:"id"`
	First int       `json:"first"`
	Done  int       `json:"done"`
	Count int       `json:"count"`
	Whole bool      `json:"whole"`
	Last  time.Time `json:"last"`
	// Of all processes that fill the folder together; nil where they are not known.
	Rate *float64 `json:"samples_per_second"`
	Left *float64 `json:"seconds_left"`
}

// Shared is a folder that the parts of a job share.
type Shared struct {
	ID string `json:"id"`
	parts.State
}

// Job is a set of samples that several folders have parts of.
type Job struct {
	Parts []string `json:"parts"` // the folders
	Done  int      `json:"done"`
	Count int      `json:"count"`
}

// Sweep is a search over settings, whose runs are among the others.
type Sweep struct {
	ID      string   `json:"id"`
	Done    int      `json:"done"`
	Count   int      `json:"count"`
	Best    string   `json:"best"`          // the setting of the lowest held-out loss so far, "" for none
	HeldOut *float64 `json:"held_out_loss"` // of it, the mean over its seeds
	Report  bool     `json:"report"`
	Problem string   `json:"problem,omitempty"` // why it cannot be read
}

// Found is all that lies below a folder.
type Found struct {
	Runs     []Run     `json:"runs"`
	Sweeps   []Sweep   `json:"sweeps"`
	Drawings []Drawing `json:"samples"`
	Jobs     []Job     `json:"jobs"`
	Shared   []Shared  `json:"parts"`
}

// Scan lists the runs and folders of samples in dir and below it.
func Scan(dir string, now time.Time) (Found, error) { return new(scanner).scan(dir, now) }

// scanner lists what is below a folder again and again, and reads metrics anew only
// where they changed.
type scanner struct {
	mu   sync.Mutex
	seen map[string]lately // by path
}

// lately is what the list shows of a file of metrics.
type lately struct {
	size     int64
	modified time.Time

	lines         int
	last          metrics.Record
	loss, heldOut *float64      // the last of each that is finite
	gap           time.Duration // between the last two lines
	losses        []float64
	err           error
}

func (s *scanner) scan(dir string, now time.Time) (Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := Found{Runs: []Run{}, Sweeps: []Sweep{}, Drawings: []Drawing{}, Jobs: []Job{}, Shared: []Shared{}}
	jobs := map[string]*Job{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir {
			return nil // removed while we look
		}
		if err != nil || !e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		id := filepath.ToSlash(rel)
		if name := e.Name(); path != dir && (name[0] == '.' || name == "checkpoints" || name == "tensorboard" || name == "shards") {
			return fs.SkipDir
		}
		if depth(id) > maxDepth {
			return fs.SkipDir
		}
		if o, err := train.ReadOutline(path); !errors.Is(err, fs.ErrNotExist) {
			found.Runs = append(found.Runs, s.run(path, id, o, err, now))
		}
		if of, err := assess.ReadSweep(path); !errors.Is(err, fs.ErrNotExist) {
			found.Sweeps = append(found.Sweeps, sweep(path, id, of, err))
		}
		state, err := parts.Read(path, now)
		shared := err == nil
		if shared {
			found.Shared = append(found.Shared, Shared{id, state})
		}
		p, err := samples.ReadProgress(path)
		if err != nil && shared {
			return fs.SkipDir // results alone, maybe thousands
		}
		if err != nil {
			return nil
		}
		d := Drawing{ID: id, First: p.Record.First, Done: p.Done, Count: p.Record.Count, Whole: p.Whole, Last: p.Last}
		if rate, left, ok := p.Rate(); ok {
			seconds := left.Seconds()
			d.Rate, d.Left = &rate, &seconds
		}
		if shared && state.Parts > 0 {
			d.Rate, d.Left = state.Rate, state.Left
		}
		found.Drawings = append(found.Drawings, d)
		p.Record.First, p.Record.Count = 0, 0
		set := fmt.Sprintf("%+v", p.Record) // equal for parts of one set
		if jobs[set] == nil {
			jobs[set] = new(Job)
		}
		jobs[set].add(d)
		return nil
	})
	for _, j := range jobs {
		if len(j.Parts) > 1 {
			found.Jobs = append(found.Jobs, *j)
		}
	}
	slices.SortFunc(found.Jobs, func(a, b Job) int { return strings.Compare(a.Parts[0], b.Parts[0]) })
	return found, err
}

func (j *Job) add(d Drawing) {
	j.Parts = append(j.Parts, d.ID)
	j.Done += d.Done
	j.Count += d.Count
}

func depth(id string) int {
	if id == "." {
		return 0
	}
	n := 1
	for _, r := range id {
		if r == '/' {
			n++
		}
	}
	return n
}

// run reads what the list shows of a run with an outline, or an error that one could
// not be read with; that is its Problem, since others are shown all the same.
func (s *scanner) run(dir, id string, o train.Outline, err error, now time.Time) Run {
	r := Run{ID: id, Network: o.Model, Data: o.Data, Steps: o.Steps, Losses: []float64{}}
	r.Report = files.IsRegular(filepath.Join(dir, report.HTMLFile))
	if err == nil && o.Steps <= 0 {
		err = fmt.Errorf("%s: its settings have steps %d, want those of a training", dir, o.Steps)
	}
	if err != nil {
		r.Problem = err.Error()
		return r
	}
	m := s.metrics(filepath.Join(dir, metrics.LinesFile))
	if m.err != nil && !errors.Is(m.err, fs.ErrNotExist) {
		r.Problem = m.err.Error()
	}
	if m.lines == 0 {
		return r
	}
	r.Step, r.Updated, r.Loss, r.HeldOut, r.Losses = m.last.Step, m.last.Time, m.loss, m.heldOut, m.losses
	r.Speed = finite(m.last, "steps_per_second")
	r.Running = now.Sub(m.last.Time) < max(2*time.Minute, 3*m.gap) && r.Step < int64(r.Steps)
	if r.Running && r.Speed != nil && *r.Speed > 0 {
		left := float64(int64(r.Steps)-r.Step) / *r.Speed
		r.Left = &left
	}
	return r
}

// sweep returns what the list shows of a sweep, or of the error that it could not be
// read with.
func sweep(dir, id string, of assess.Sweep, err error) Sweep {
	s := Sweep{ID: id, Report: files.IsRegular(filepath.Join(dir, report.HTMLFile))}
	if err != nil {
		s.Problem = err.Error()
		return s
	}
	s.Done, s.Count = of.Count()
	if list := of.Results(); len(list) > 0 && list[0].Rank > 0 {
		s.Best, s.HeldOut = assess.Label(list[0].Set), list[0].HeldOut
	}
	return s
}

// metrics reads a file of metrics, if it has changed.
func (s *scanner) metrics(path string) lately {
	info, err := os.Stat(path)
	if err != nil {
		return lately{err: err}
	}
	if had, ok := s.seen[path]; ok && had.size == info.Size() && had.modified.Equal(info.ModTime()) {
		return had
	}
	records, err := metrics.ReadFile(path)
	m := lately{size: info.Size(), modified: info.ModTime(), lines: len(records), err: err, losses: []float64{}}
	const points = 60 // of the small curve
	for i, r := range records {
		if v := finite(r, train.HeldOutLoss); v != nil {
			m.heldOut = v
		}
		v := finite(r, "loss")
		if v == nil {
			continue
		}
		m.loss = v
		if i%max(len(records)/points, 1) == 0 || i == len(records)-1 {
			m.losses = append(m.losses, *v)
		}
	}
	if n := len(records); n > 0 {
		m.last = records[n-1]
		if n > 1 {
			m.gap = m.last.Time.Sub(records[n-2].Time)
		}
	}
	if s.seen == nil {
		s.seen = map[string]lately{}
	}
	s.seen[path] = m
	return m
}

func finite(r metrics.Record, name string) *float64 {
	if v, ok := r.Values[name]; ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
		return &v
	}
	return nil
}
