package watch

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ebm/cmd/internal/report"
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
	Speed   *float64  `json:"steps_per_second"`
	Left    *float64  `json:"seconds_left"`
	Updated time.Time `json:"updated"`
	Running bool      `json:"running"` // whether metrics came within the last two minutes
	Report  bool      `json:"report"`
	Problem string    `json:"problem,omitempty"` // why the run cannot be read
}

// Drawing is a folder of samples that is being filled, or was.
type Drawing struct {
	ID    string    `json:"id"`
	Done  int       `json:"done"`
	Count int       `json:"count"`
	Whole bool      `json:"whole"`
	Last  time.Time `json:"last"`
}

// Found is all that lies below a folder.
type Found struct {
	Runs     []Run     `json:"runs"`
	Drawings []Drawing `json:"samples"`
}

// Scan lists the runs and folders of samples in dir and below it.
func Scan(dir string, now time.Time) (Found, error) {
	found := Found{Runs: []Run{}, Drawings: []Drawing{}}
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
		if train.HasConfig(path) {
			found.Runs = append(found.Runs, readRun(path, id, now))
		}
		if p, err := samples.ReadProgress(path); err == nil {
			found.Drawings = append(found.Drawings, Drawing{id, p.Done, p.Record.Count, p.Whole, p.Last})
		}
		return nil
	})
	return found, err
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

// readRun reads what the list shows of a run; what cannot be read is its
// Problem, since others are shown all the same.
func readRun(dir, id string, now time.Time) Run {
	r := Run{ID: id}
	r.Report = isFile(filepath.Join(dir, report.HTMLFile))
	s, err := train.ReadSettings(dir)
	if err != nil {
		r.Problem = err.Error()
		return r
	}
	r.Network, r.Data, r.Steps = s.Network().String(), s.Data.Name, s.Steps
	records, err := metrics.ReadFile(filepath.Join(dir, metrics.LinesFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.Problem = err.Error()
	}
	if len(records) == 0 {
		return r
	}
	last := records[len(records)-1]
	r.Step, r.Updated = last.Step, last.Time
	r.Loss, r.Speed = finite(last, "loss"), finite(last, "steps_per_second")
	r.Running = now.Sub(last.Time) < 2*time.Minute && r.Step < int64(r.Steps)
	if r.Running && r.Speed != nil && *r.Speed > 0 {
		left := float64(int64(r.Steps)-r.Step) / *r.Speed
		r.Left = &left
	}
	return r
}

func finite(r metrics.Record, name string) *float64 {
	if v, ok := r.Values[name]; ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
		return &v
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// most bounds the points of a curve on a page.
const most = 600

// curves returns a panel for each name in the metrics of runs, the loss first,
// with a series for each run.
func curves(ids []string, records [][]metrics.Record) []report.Panel {
	names := map[string]bool{}
	for _, list := range records {
		for _, r := range list {
			for name := range r.Values {
				names[name] = true
			}
		}
	}
	order := make([]string, 0, len(names))
	for name := range names {
		if name != "loss" {
			order = append(order, name)
		}
	}
	slices.Sort(order)
	if names["loss"] {
		order = slices.Insert(order, 0, "loss")
	}
	var panels []report.Panel
	for _, name := range order {
		p := report.Panel{Y: report.Axis{Label: name}}
		positive := true
		for i, id := range ids {
			line := report.Series{Name: id}
			every := max(len(records[i])/most, 1)
			for k, r := range records[i] {
				if v, ok := r.Values[name]; ok && (k%every == 0 || k == len(records[i])-1) {
					line.X, line.Y = append(line.X, float64(r.Step)), append(line.Y, v)
					positive = positive && (v > 0 || math.IsNaN(v))
				}
			}
			if len(line.X) > 0 {
				p.Series = append(p.Series, line)
			}
		}
		p.Y.Log = positive && name != "steps_per_second"
		panels = append(panels, p)
	}
	return panels
}
