package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ebm/internal/testkit"
	"ebm/mdsm/train"
	"ebm/runtime"
)

// played has alternatives on the CPU, where runs take what the test says.
type played struct {
	now    time.Duration
	loads  int
	takes  []time.Duration // a run, by the number of the load
	gives  []float64
	fails  error // of load 3
	closed int
}

func (p *played) tuning() Tuning {
	return Tuning{Clock: func() time.Duration { return p.now },
		Load: func(context.Context, *runtime.Runtime) (Run, func(), error) {
			at := p.loads
			p.loads++
			if at == 3 && p.fails != nil {
				return nil, nil, p.fails
			}
			return func(context.Context) (float64, error) {
				p.now += p.takes[at]
				return p.gives[at], nil
			}, func() { p.closed++ }, nil
		}}
}

// The faster of two alternatives is taken, and the next choice is made beside it; one that is slow, that cannot
// be, or that computes something else is not.
func TestFastest(t *testing.T) {
	rt := testkit.Open(t, 1)
	both := []runtime.Choices{runtime.Elu, runtime.NHWC}
	same := []float64{1, 1.001, 1, 1}
	for _, c := range []struct {
		played
		want    runtime.Choices
		problem string
	}{
		{played{takes: []time.Duration{5, 3, 3, 9}, gives: same}, "elu", ""},
		{played{takes: []time.Duration{5, 9, 5, 3}, gives: same}, "nhwc", ""},
		{played{takes: []time.Duration{5, 3, 3, 2}, gives: same}, "elu,nhwc", ""},
		{played{takes: []time.Duration{5, 3, 3, 2}, gives: same, fails: errors.New("no such\nlayout")}, "elu", "no such layout"},
		{played{takes: []time.Duration{5, 3, 3, 2}, gives: []float64{1, 1, 1, 2}}, "elu", "a run gives 2, want 1"},
	} {
		best, rows, err := c.tuning().Fastest(t.Context(), rt, both)
		if err != nil || best != c.want || len(rows) != 4 {
			t.Errorf("%v: %q of %+v, error %v, want %q", c.takes, best, rows, err, c.want)
			continue
		}
		for i, r := range rows {
			if r.Problem == "" && (r.Least != c.takes[i] || r.Median != c.takes[i]) {
				t.Errorf("%v: row %d says %v and %v", c.takes, i, r.Least, r.Median)
			}
		}
		if table := TuningTable(rows); strings.Count(table, "taken\n") != 2 || !strings.Contains(table, c.problem+"\n") {
			t.Errorf("%v: the table is\n%swant %q", c.takes, table, c.problem)
		}
		if want := 4; c.fails == nil && c.closed != want {
			t.Errorf("%d of %d jobs are closed", c.closed, want)
		}
	}
	p := played{takes: []time.Duration{1}, gives: same}
	broken := errors.New("out of memory")
	tuning := p.tuning()
	tuning.Load = func(context.Context, *runtime.Runtime) (Run, func(), error) {
		return nil, nil, broken
	}
	if _, _, err := tuning.Fastest(t.Context(), rt, both); !errors.Is(err, broken) {
		t.Errorf("what cannot be computed at all: error %v, want %v", err, broken)
	}
}

// Updates of a small network are timed by the clock of the wall.
func TestFastestUpdate(t *testing.T) {
	rt := testkit.Open(t, 1)
	spec := tiny(t, Train, 4)
	steps := 0
	best, rows, err := Tuning{Load: func(_ context.Context, rt *runtime.Runtime) (Run, func(), error) {
		problem, err := train.NewProblem(spec.Settings, noise(16, spec.Settings.Network().InputShape()), spec.Weights)
		if err != nil {
			return nil, nil, err
		}
		trial, err := train.NewTrial(rt, problem, 1e-12)
		if err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context) (float64, error) {
			steps++
			err := trial.Step(ctx)
			return trial.Loss(), err
		}, trial.Close, nil
	}}.Fastest(t.Context(), rt, []runtime.Choices{runtime.Elu})
	if err != nil {
		t.Fatal(err)
	}
	taken := rows[0]
	if rows[1].Taken {
		taken = rows[1]
	}
	for _, r := range rows {
		if r.Problem != "" || !(r.Least > 0) || r.Median < r.Least || r.Least < taken.Least {
			t.Errorf("%+v beside %+v, which is taken", r, taken)
		}
	}
	if want := 2 * (runsBefore + runsTimed); best != taken.Choices || steps != want {
		t.Errorf("%q after %d steps, want %q after %d", best, steps, taken.Choices, want)
	}
}

func TestRemember(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	path, err := ChoicesFile()
	if err != nil {
		t.Fatal(err)
	}
	if found, err := Remembered(path); err != nil || found != nil {
		t.Errorf("%v, error %v, want nothing", found, err)
	}
	for key, c := range map[string]runtime.Choices{"a": "elu,nhwc", "b": "none"} {
		if err := Remember(path, key, c); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := Remembered(path); err != nil || !reflect.DeepEqual(found, map[string]runtime.Choices{"a": "elu,nhwc", "b": "none"}) {
		t.Errorf("%v, error %v", found, err)
	}
	for _, damaged := range []string{"{", `{"a": "fast"}`, `["elu"]`, ""} {
		if err := os.WriteFile(path, []byte(damaged), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Remembered(path); err == nil || !strings.Contains(err.Error(), filepath.Base(path)) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want a line with the file's name", damaged, err)
		}
	}
	if err := Remember(path, "c", "elu"); err != nil {
		t.Fatal(err)
	}
	if found, err := Remembered(path); err != nil || len(found) != 1 {
		t.Errorf("%v, error %v, want the new one alone", found, err)
	}
}
