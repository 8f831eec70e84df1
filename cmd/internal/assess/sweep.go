package assess

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
)

// SweepFile is in the folder of a sweep: its runs, and what came of those that are
// finished.
const SweepFile = "sweep.json"

// Sweep is a search over the settings of a training: every setting with every seed, for
// the same time or number of steps.
type Sweep struct {
	// Base are the settings that all runs begin with, by their paths in config.toml.
	Base map[string]string `json:"base"`
	Time string            `json:"time,omitempty"` // of each run, where the steps follow from it
	Runs []SweepRun        `json:"runs"`           // in the order in which they are made
}

// SweepRun is the training of one setting with one seed.
type SweepRun struct {
	Name    string            `json:"name"` // of its folder in the sweep's
	Set     map[string]string `json:"set"`  // the values of the settings that differ, by their flags
	Seed    uint64            `json:"seed"`
	Steps   int               `json:"steps"` // to make, 0 where a time says it and was not measured yet
	Done    bool              `json:"done"`
	Problem string            `json:"problem,omitempty"` // why a run that is done has no loss
	HeldOut *float64          `json:"held_out_loss,omitempty"`
	Loss    *float64          `json:"loss,omitempty"`
	Seconds float64           `json:"seconds,omitempty"` // in updates, by the clock on the wall
}

// ReadSweep reads the sweep in a folder. The error wraps fs.ErrNotExist where there is
// none.
func ReadSweep(dir string) (Sweep, error) {
	return files.Parse(filepath.Join(dir, SweepFile), files.JSON[Sweep])
}

// Write writes the sweep's file into its folder.
func (s Sweep) Write(dir string) error { return atomicfile.WriteJSON(filepath.Join(dir, SweepFile), s) }

// Adopt takes over what the sweep in a folder says of runs that s has too, and its
// other finished runs behind these. It returns false where that is a sweep of another base or
// time, and which settings differ, by their paths.
func (s *Sweep) Adopt(dir string) (same bool, differ []string, err error) {
	had, err := ReadSweep(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil, nil
	}
	if err != nil {
		return false, nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(s.Base)) {
		if had.Base[key] != s.Base[key] {
			differ = append(differ, key)
		}
	}
	if len(differ) > 0 || had.Time != s.Time {
		return false, differ, nil
	}
	for _, t := range had.Runs {
		if i := slices.IndexFunc(s.Runs, func(mine SweepRun) bool { return mine.Name == t.Name }); i >= 0 {
			s.Runs[i] = t
		} else if t.Done {
			s.Runs = append(s.Runs, t)
		}
	}
	return true, nil, nil
}

// Finish enters what a run's folder, in that of the sweep, says of its training.
func (t *SweepRun) Finish(dir string) error {
	r, err := ReadRun(filepath.Join(dir, t.Name))
	if err != nil {
		return err
	}
	t.Done, t.Seconds = true, r.Seconds
	if !math.IsNaN(r.HeldOut) {
		t.HeldOut = &r.HeldOut
	}
	if !math.IsNaN(r.Loss) {
		t.Loss = &r.Loss
	}
	return nil
}

// SettingResult is what came of a setting over its seeds.
type SettingResult struct {
	Rank      int               `json:"rank"` // 1 for the lowest held-out loss, 0 without one
	Set       map[string]string `json:"set"`
	Steps     int               `json:"steps"`
	Seeds     []uint64          `json:"seeds"`
	HeldOut   *float64          `json:"held_out_loss"` // its mean over the seeds, and its deviation over them
	Deviation *float64          `json:"deviation"`     // nil for fewer than two
	Loss      *float64          `json:"loss"`          // the mean of that of training batches
	Seconds   float64           `json:"seconds"`       // the mean, in updates
	Problem   string            `json:"problem,omitempty"`
	runs      []string
}

// Results returns the settings whose runs are done, in part at least, the best first:
// those of the lowest mean of the held-out loss, then those in which a run failed.
func (s Sweep) Results() []SettingResult {
	var list []SettingResult
	for _, t := range s.Runs {
		if !t.Done {
			continue
		}
		i := slices.IndexFunc(list, func(r SettingResult) bool { return maps.Equal(r.Set, t.Set) })
		if i < 0 {
			i = len(list)
			list = append(list, SettingResult{Set: t.Set, Steps: t.Steps})
		}
		list[i].Seeds = append(list[i].Seeds, t.Seed)
		list[i].runs = append(list[i].runs, t.Name)
		list[i].Problem = cmp.Or(list[i].Problem, t.Problem)
	}
	for i := range list {
		r := &list[i]
		var heldOut, loss []float64
		for _, t := range s.Runs {
			if !slices.Contains(r.runs, t.Name) {
				continue
			}
			r.Seconds += t.Seconds / float64(len(r.runs))
			if t.HeldOut != nil {
				heldOut = append(heldOut, *t.HeldOut)
			}
			if t.Loss != nil {
				loss = append(loss, *t.Loss)
			}
		}
		if len(heldOut) == len(r.runs) {
			r.HeldOut, r.Deviation = moments(heldOut)
		}
		if len(loss) == len(r.runs) {
			r.Loss, _ = moments(loss)
		}
	}
	value := func(r SettingResult) float64 {
		if r.HeldOut == nil {
			return math.Inf(1)
		}
		return *r.HeldOut
	}
	slices.SortStableFunc(list, func(a, b SettingResult) int { return cmp.Compare(value(a), value(b)) })
	for i := range list {
		if list[i].HeldOut != nil {
			list[i].Rank = i + 1
		}
	}
	return list
}

// moments returns the mean, and the deviation of a sample of two or more.
func moments(values []float64) (mean, deviation *float64) {
	m, squares := 0.0, 0.0
	for _, v := range values {
		m += v / float64(len(values))
	}
	for _, v := range values {
		squares += (v - m) * (v - m)
	}
	if len(values) > 1 {
		d := math.Sqrt(squares / float64(len(values)-1))
		deviation = &d
	}
	return &m, deviation
}

// Count returns how many runs there are, and how many of them are done.
func (s Sweep) Count() (done, all int) {
	for _, t := range s.Runs {
		if t.Done {
			done++
		}
	}
	return done, len(s.Runs)
}

// Varied returns the flags of the settings that differ, in their order.
func (s Sweep) Varied() []string {
	names := map[string]bool{}
	for _, t := range s.Runs {
		for name := range t.Set {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Label says a setting in words.
func Label(set map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		parts = append(parts, name+" "+set[name])
	}
	return cmp.Or(strings.Join(parts, ", "), "as given")
}
