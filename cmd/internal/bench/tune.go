package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/runtime"
)

// Run makes one run of a job and returns a number that all forms agree on, but for rounding.
type Run func(context.Context) (float64, error)

// Tuning finds the choices with which a job is fastest on a device.
type Tuning struct {
	// Load makes the job ready on a runtime. Two are loaded at once.
	Load func(ctx context.Context, rt *runtime.Runtime) (run Run, close func(), err error)
	// Clock tells the time that is counted, nil for that of the wall.
	Clock func() time.Duration
}

// Alternative is what runs of a job took with some choices.
type Alternative struct {
	Choices       runtime.Choices
	Least, Median time.Duration
	Problem       string // why there are no times, "" where there are
	Taken         bool   // it was the faster one of two
}

// How often each of two alternatives is run: first for what is made once, such as graphs of the
// two places of a state, and then to be timed.
const (
	runsBefore = 3
	runsTimed  = 7

	mayDiffer = 1e-2 // relative, between numbers of two forms
)

// Fastest begins with the choices of a runtime and makes, or takes back, one after another where
// that is faster: each pair is run by turns, and the least time counts. What the provider does not
// take, or computes otherwise, has the reason in its row. It returns the rows, two for each.
func (t Tuning) Fastest(ctx context.Context, rt *runtime.Runtime, all []runtime.Choices) (best runtime.Choices, rows []Alternative,
	err error) {
	best = rt.Info().Choices
	for _, one := range all {
		pair := []Alternative{{Choices: best}, {Choices: best.With(one, !best.Has(one))}}
		if err := t.time(ctx, rt, pair); err != nil {
			return best, rows, err
		}
		taken := &pair[0]
		if other := &pair[1]; other.Problem == "" && other.Least < taken.Least {
			taken = other
		}
		taken.Taken, best = true, taken.Choices
		rows = append(rows, pair...)
	}
	return best, rows, nil
}

// time runs two alternatives by turns. Where the first cannot be, that is an error.
func (t Tuning) time(ctx context.Context, rt *runtime.Runtime, pair []Alternative) error {
	clock := t.Clock
	if clock == nil {
		begin := time.Now()
		clock = func() time.Duration { return time.Since(begin) }
	}
	runs, times := make([]Run, len(pair)), make([][]time.Duration, len(pair))
	results := make([]float64, len(pair))
	for i := range pair {
		with, err := rt.With(pair[i].Choices)
		if err != nil {
			return err
		}
		defer with.Close()
		run, end, err := t.Load(ctx, with)
		if err == nil {
			defer end()
			for k := 0; k < runsBefore && err == nil; k++ {
				results[i], err = run(ctx)
			}
		}
		if ctx.Err() != nil || err != nil && i == 0 {
			return err
		}
		if runs[i] = run; err != nil {
			pair[i].Problem = err.Error()
		} else if i > 0 {
			pair[i].Problem = with.Refused()
		}
	}
	if a, b := results[0], results[1]; pair[1].Problem == "" && !(math.Abs(a-b) <= mayDiffer*max(math.Abs(a), math.Abs(b))) {
		pair[1].Problem = fmt.Sprintf("a run gives %g, want %g", b, a)
	}
	if pair[1].Problem != "" {
		runs = runs[:1]
	}
	for range runsTimed {
		for i, run := range runs {
			begin := clock()
			if _, err := run(ctx); err != nil {
				return err
			}
			times[i] = append(times[i], clock()-begin)
		}
	}
	for i := range runs {
		slices.Sort(times[i])
		pair[i].Least, pair[i].Median = times[i][0], times[i][runsTimed/2]
	}
	return nil
}

// TuningTable writes alternatives as lines whose cells end at tabs.
func TuningTable(rows []Alternative) string {
	var b strings.Builder
	b.WriteString("choices\tleast, ms\tmedian, ms\t\n")
	for _, r := range rows {
		if r.Problem != "" {
			fmt.Fprintf(&b, "%s\t–\t–\tnot taken: %s\n", r.Choices, strings.Join(strings.Fields(r.Problem), " "))
			continue
		}
		fmt.Fprintf(&b, "%s\t%.3f\t%.3f\t%s\n", r.Choices, milliseconds(r.Least), milliseconds(r.Median), map[bool]string{true: "taken"}[r.Taken])
	}
	return b.String()
}

// ChoicesFile is where the user's cache keeps what was found, by what it was found for.
func ChoicesFile() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "ebm", "choices.json"), err
}

// Remembered reads a file of choices. One that is not there has none.
func Remembered(path string) (found map[string]runtime.Choices, err error) {
	found, err = files.Parse(path, func(data []byte) (all map[string]runtime.Choices, err error) {
		err = json.Unmarshal(data, &all)
		for _, c := range all {
			_, wrong := runtime.ParseChoices(string(c), runtime.Auto)
			err = errors.Join(err, wrong)
		}
		return all, err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return found, err
}

// Remember adds choices to a file; one that is damaged begins anew.
func Remember(path, key string, c runtime.Choices) error {
	all, err := Remembered(path)
	if err != nil || all == nil {
		all = make(map[string]runtime.Choices)
	}
	all[key] = c
	if err := atomicfile.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	return atomicfile.WriteJSON(path, all)
}
