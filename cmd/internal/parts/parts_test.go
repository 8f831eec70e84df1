package parts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ebm/internal/testkit"
	"ebm/mdsm/samples"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// silent is a progress that shows nothing.
type silent struct{}

func (silent) Stage(string, int64, string) progress.Stage { return progress.Silent{} }

// clock is a time that tests move on.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, dir string, p parallel.Part, c *clock) *Work {
	t.Helper()
	w := NewWork(p)
	w.now = c.now
	w.Begin(dir)
	return w
}

// TestTogether has four parts of eight units: one that is finished, one that runs, one that
// failed, and one whose machine was lost. Two of six have not begun.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir, time.Now()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder of nothing: error %v", err)
	}
	if err := (Job{Command: "restore", Key: "k"}).Claim(dir); err != nil {
		t.Fatal(err)
	}
	c := &clock{time.Now()}
	var works []*Work
	for i, done := range []int64{8, 4, 2, 2} {
		w := begin(t, dir, parallel.Part{Index: i + 1, Count: 6}, c)
		stage := progress.Begin(w.Over(silent{}), "restore", 8, "steps")
		c.at = c.at.Add(time.Second)
		stage.Skip(1) // found done
		stage.Add(done - 1)
		stage.Done()
		works = append(works, w)
	}
	c.at = time.Now()
	for i, w := range works { // a second of each
		w.begun = c.at.Add(-time.Second)
		switch i {
		case 0:
			must(t, w.End(nil))
		case 2:
			must(t, w.End(errors.New("disk\x1b[2J full")))
		default:
			w.write(record{})
		}
	}
	old := time.Now().Add(-2 * lost)
	if err := os.Chtimes(works[3].path, old, old); err != nil {
		t.Fatal(err)
	}
	s, err := Read(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if s.Command != "restore" || s.Parts != 6 || s.Finished != 1 || s.Running != 1 || s.Stopped != 2 || len(s.Open) != 3 {
		t.Errorf("the parts are %+v, want one finished, one running, two stopped of six", s)
	}
	// Two parts that have not said have eight units each.
	if s.Done != 16 || s.Total != 48 || s.Unit != "steps" || s.Share != 16.0/48 {
		t.Errorf("%d of %d %s, share %g, want 16 of 48 steps", s.Done, s.Total, s.Unit, s.Share)
	}
	// The running part made three of its four in a second.
	if s.Rate == nil || *s.Rate != 3 || s.Left == nil || math.Abs(*s.Left-32.0/3) > 1e-9 {
		t.Errorf("rate %v, left %v, want 3 a second and the 32 units at that rate", s.Rate, s.Left)
	}
	lines := strings.Join(s.Lines(), "\n")
	for _, want := range []string{"part 3/6", "ended: disk\ufffd[2J full", "part 4/6", "no word since",
		"1 of 6 parts are running", "2 of 6 parts have not begun"} {
		if !strings.Contains(lines, want) {
			t.Errorf("the lines are\n%s\nwant %q", lines, want)
		}
	}
	for _, i := range []int{1, 3} {
		must(t, works[i].End(nil))
	}
	before := testkit.Read(t, works[0].path)
	stranger := begin(t, dir, parallel.Part{Index: 1, Count: 6}, c)
	must(t, stranger.End(&samples.MismatchError{Dir: dir}))
	if after := testkit.Read(t, works[0].path); !bytes.Equal(before, after) {
		t.Errorf("a part of another job left the record %s, want it as it was", after)
	}
	// Submitted again in two parts, these are the ones that count.
	again := begin(t, dir, parallel.Part{Index: 2, Count: 2}, c)
	later := time.Now().Add(time.Minute)
	must(t, again.End(nil))
	if err := os.Chtimes(again.path, later, later); err != nil {
		t.Fatal(err)
	}
	if s, err = Read(dir, later); err != nil || s.Parts != 2 || s.Finished != 1 || s.Rate != nil {
		t.Errorf("after another cut: %+v, error %v, want one of two parts finished", s, err)
	}
}

// TestExpected counts one unit over several stages, whose sum is known before.
func TestExpected(t *testing.T) {
	c := &clock{time.Now()}
	w := begin(t, t.TempDir(), parallel.Part{Index: 1, Count: 2}, c)
	p := w.Over(silent{})
	progress.Expect(p, 100, "steps")
	pilots := progress.Begin(p, "pilots", 7, "transitions")
	pilots.Add(7)
	for _, n := range []int64{40, 60} {
		stage := progress.Begin(p, "chains", n, "steps")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { stage.Add(n / 4) })
		}
		all.Wait()
		if want := map[int64]int64{40: 40, 60: 100}[n]; w.done != want || max(w.total, w.expected) != 100 {
			t.Errorf("%d of %d steps, want %d of 100", w.done, max(w.total, w.expected), want)
		}
	}
	stage := progress.Begin(p, "chains", 10, "steps")
	stage.Set(3)
	stage.Set(5)
	if w.done != 105 {
		t.Errorf("%d steps after Set, want 105", w.done)
	}
	must(t, w.End(nil))
}

// TestNoPart has nothing written of what is no part of a job.
func TestNoPart(t *testing.T) {
	w, dir := NewWork(parallel.Part{}), t.TempDir()
	w.Begin(dir)
	if p := w.Over(silent{}); p != (silent{}) {
		t.Errorf("the progress is %T, want the one that was given", p)
	}
	must(t, w.End(nil))
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%v in the folder, error %v, want nothing", entries, err)
	}
}

// TestHostileRecords reads a folder of records that say what they are not.
func TestHostileRecords(t *testing.T) {
	dir := t.TempDir()
	if err := (Job{Command: "restore"}).Claim(dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"000001-of-000002.json": `{"part":"1/2","done":5,"total":9,"unit":"steps"}`,
		"000002-of-000002.json": `{"part":"1/2","done":5,"total":9}`,
		"000003-of-000002.json": `{"part":"3/2"}`,
		"000001-of-000003.json": `{"part":`,
		"notes.json":            `[]`,
		"notes.txt":             `x`,
	} {
		testkit.Write(t, filepath.Join(dir, recordsDir, name), []byte(text))
	}
	s, err := Read(dir, time.Now())
	if err != nil || s.Parts != 2 || len(s.Open) != 1 || s.Done != 5 {
		t.Errorf("%+v, error %v, want one part of two", s, err)
	}
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprint(i))
		s.Open = append(s.Open, Open{Part: fmt.Sprint(i)})
	}
	s.Stopped = len(names)
	if lines := s.Lines(); len(lines) != mostLines+2 || !slices.Contains(lines, "10 more parts have stopped") {
		t.Errorf("lines %q, want %d parts and how many more there are", lines, mostLines)
	}
}
