//go:build crash

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ebm/cmd/internal/inspect"
	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/internal/metrics"
	"ebm/internal/testkit"
)

// The crash tests (make crash-test) run commands in processes of their own, kill
// them at random moments, fail their system calls one after another, and take
// their disk away. Whatever happens, every file that has its final name must be
// whole, the same command must finish what was begun, with the bytes of a run
// that nothing happened to, and nothing else may be left.

var (
	kills  = flag.Int("kills", 200, "kills of each command")
	killed = flag.String("killed", "", "which commands are killed, between commas (default all)")
	failed = flag.String("failed", "", "which commands have system calls failed and disks filled (default all)")
	dense  = flag.Int("dense", 1<<30, "so many calls of a kind are failed one by one; later ones 1, 2, 4, 8 … apart")
)

// crashJob is a command that fills a folder. What it makes is a function of its
// arguments, and giving it again finishes it.
type crashJob struct {
	name  string
	start func(t *testing.T, out string) // puts into the folder what is there before; nil for nothing
	args  []string                       // OUT is the folder, RUN a finished run
}

func crashJobs() []crashJob {
	return []crashJob{
		{"train", nil, []string{"train", "--preset", "demo", "--net", "res6", "--dim", "2", "--size", "16", "--batch", "4",
			"--steps", "8", "--shards", "2",
			"--checkpoint-every", "2", "--keep-checkpoints", "1", "--log-every", "1", "--resume", "--out", "OUT"}},
		{"fit", func(t *testing.T, out string) {
			testkit.Write(t, filepath.Join(testkit.Mkdir(t, out), "points.csv"), testkit.Read(t, circle(t, 80)))
		},
			[]string{"fit", stepData + "/fit.onnx", "--data", "OUT/points.csv", "--steps", "24", "--batch", "8", "--checkpoint-every", "4",
				"--keep-checkpoints", "2", "--log-every", "2", "--validate-every", "6", "--resume", "--out", "OUT"}},
		{"sweep", nil, []string{"sweep", "--data", "moons", "--points", "120", "--hidden", "4", "--set", "batch=8,16", "--steps", "8",
			"--checkpoint-every", "2", "--keep-checkpoints", "1", "--log-every", "1", "--out", "OUT"}},
		{"sample", nil, []string{"sample", "--run", "RUN", "--count", "12", "--steps", "300", "--batch", "2", "--float32",
			"--png", "--out", "OUT"}},
		{"evaluate", nil, []string{"evaluate", "RUN", "--count", "4", "--steps", "10", "--limit", "64", "--pictures", "16",
			"--features", "classifier",
			"--parts", "metrics,noise", "--cache", "OUT/cache", "--out", "OUT"}},
		{"select", func(t *testing.T, out string) { copyDir(t, out, finishedRun(t)) },
			[]string{"evaluate", "OUT", "--select", "--select-count", "4",
				"--select-steps", "5", "--count", "4", "--steps", "10", "--limit", "64", "--features", "classifier", "--parts", "metrics",
				"--cache", "OUT/cache"}},
		{"likelihood", nil, []string{"likelihood", "--run", "RUN", "--count", "2", "--chains", "2", "--distributions", "12", "--out", "OUT"}},
		{"export", nil, []string{"export", "--run", "RUN", "--kinds", "energy,score,train", "--out", "OUT"}},
		{"convert", func(t *testing.T, out string) { testkit.Mkdir(t, out) },
			[]string{"convert", "--force", formats + "/weights.pt", "OUT/weights.npz"}},
		{"inpaint", nil, []string{"inpaint", "--run", "RUN", "--images", "mnist:test", "--count", "2", "--mask", "left",
			"--steps", "30", "--out", "OUT"}},
		{"restore", nil, []string{"restore", "--run", "RUN", "--images", "mnist:test", "--count", "2", "--task", "superres", "--factor", "2",
			"--samples", "2", "--out", "OUT"}},
		{"denoise", nil, []string{"denoise", "--run", "RUN", "--images", "mnist:test", "--count", "2", "--noise", "0.1", "--out", "OUT"}},
	}
}

func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// crasher runs one command again and again and counts what becomes of it.
type crasher struct {
	t    *testing.T
	job  crashJob
	run  string            // RUN
	want map[string]string // what each file has to be, "" for any content
	took time.Duration     // of the last run that nothing happened to

	attempts, survived, lost, damaged, panics, hangs, leftovers int
}

// newCrasher runs the command twice: files that differ, by times, may differ.
func newCrasher(t *testing.T, job crashJob, run string) *crasher {
	c := &crasher{t: t, job: job, run: run}
	for range 2 {
		dir := c.folder(t.TempDir())
		if r := c.finish(dir); r.code != 0 {
			t.Fatalf("ebm %v: exit status %d\n%s", job.args, r.code, r.stderr)
		}
		got := contents(t, dir)
		for path, content := range got {
			if c.want != nil && c.want[path] != content {
				got[path] = ""
			}
		}
		c.want = got
	}
	same := slices.DeleteFunc(slices.Sorted(maps.Keys(c.want)), func(path string) bool { return c.want[path] == "" })
	t.Logf("%d files, of one content: %s", len(c.want), strings.Join(same, " "))
	if len(same) == 0 {
		t.Fatal("no file has the same content twice")
	}
	return c
}

// folder returns the folder of one attempt.
func (c *crasher) folder(parent string) string {
	dir := filepath.Join(parent, "out")
	if c.job.start != nil {
		c.job.start(c.t, dir)
	}
	return dir
}

// result is how a process ended.
type result struct {
	code           int // -1 for a signal
	stdout, stderr string
}

// command is the program on a folder, run by a tracer if there is one.
func (c *crasher) command(ctx context.Context, dir string, tracer ...string) *exec.Cmd {
	args := append(slices.Clone(tracer), os.Args[0])
	for _, a := range c.job.args {
		args = append(args, strings.NewReplacer("OUT", dir, "RUN", c.run).Replace(a))
	}
	args = append(args, "--provider", "cpu", "--threads", "1", "-q")
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), victim+"=1")
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// execute waits for a process and looks for panics and hangs.
func (c *crasher) execute(dir string, kill time.Duration, tracer ...string) result {
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Minute)
	defer cancel()
	cmd := c.command(ctx, dir, tracer...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	if kill > 0 {
		timer := time.AfterFunc(kill, func() { cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	r := result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	if ctx.Err() != nil {
		c.hangs++
		c.t.Errorf("%v did not end", cmd.Args)
	}
	// Go's runtime ends a process whose event counter cannot be written, which only
	// the tests do: that is one more kill.
	if strings.Contains(r.stderr, "runtime: netpollBreak write failed") {
		return result{code: -1}
	}
	if strings.Contains(r.stderr, "goroutine ") || strings.Contains(r.stderr, "fatal error:") ||
		strings.Contains(r.stderr, "terminate called") {
		c.panics++
		c.t.Errorf("%v: %s", cmd.Args, r.stderr)
	}
	return r
}

// finish runs the command and lets it end.
func (c *crasher) finish(dir string) result {
	begin := time.Now()
	r := c.execute(dir, 0)
	c.took = time.Since(begin)
	return r
}

// whole checks that no file under a final name is damaged, whatever happened.
func (c *crasher) whole(dir, what string) {
	if !atomicfile.Exists(dir) {
		return
	}
	list, err := inspect.Verify(c.t.Context(), dir)
	if err != nil {
		c.t.Error(err)
	}
	for _, f := range list {
		if f.Damage != "" {
			c.damaged++
			c.t.Errorf("%s: %s is damaged: %s", what, f.Path, f.Damage)
		}
	}
}

// recovers gives the command again, which must end well and leave what it
// leaves when nothing happens.
func (c *crasher) recovers(dir, what string) {
	c.attempts++
	if r := c.finish(dir); r.code != 0 {
		c.lost++
		c.t.Errorf("%s: given again, it ends with exit status %d: %s", what, r.code, r.stderr)
		return
	}
	if c.same(dir, what) && c.clean(dir, what) {
		c.survived++
	}
}

// same compares what was made with what is wanted.
func (c *crasher) same(dir, what string) bool {
	got, same := contents(c.t, dir), true
	for path, want := range c.want {
		if content, ok := got[path]; !ok || want != "" && content != want {
			same = false
			c.t.Errorf("%s: %s (there: %v) differs from that of a run that nothing happened to", what, path, ok)
		}
	}
	for path := range got {
		if _, ok := c.want[path]; !ok {
			same = false
			c.t.Errorf("%s: %s is not wanted", what, path)
		}
	}
	if !same {
		c.lost++
	}
	return same
}

// clean checks that no temporary names and locks are left.
func (c *crasher) clean(dir, what string) bool {
	left := leftoversIn(c.t, filepath.Dir(dir))
	c.leftovers += len(left)
	if len(left) > 0 {
		c.t.Errorf("%s: left are %v", what, left)
	}
	return len(left) == 0
}

func leftoversIn(t *testing.T, dir string) (left []string) {
	t.Helper()
	walk(t, dir, func(path string, e fs.DirEntry) {
		if atomicfile.IsTemporary(path) || files.IsLock(path) {
			left = append(left, path)
		}
	})
	return left
}

// walk visits the names below a folder.
func walk(t *testing.T, dir string, visit func(path string, e fs.DirEntry)) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && path != dir {
			visit(path, e)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// contents returns a hash of each file of a folder. Event files have the time in
// their names and are left out; lines of metrics are their steps.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	walk(t, dir, func(path string, e fs.DirEntry) {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case e.IsDir() || atomicfile.IsTemporary(path) || files.IsLock(path) || strings.HasPrefix(name, "tensorboard"):
		case e.Name() == metrics.LinesFile:
			lines, err := metrics.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var steps []int64
			for _, l := range lines {
				steps = append(steps, l.Step)
			}
			all[name] = fmt.Sprint(steps)
		default:
			all[name] = fmt.Sprintf("%x", sha256.Sum256(testkit.Read(t, path)))
		}
	})
	return all
}

// report prints the figures, as docs/reliability.md has them.
func (c *crasher) report(what string) {
	c.t.Logf("| %s | %s | %d | %d | %d | %d | %d | %d | %d |", c.job.name, what, c.attempts, c.survived, c.lost, c.damaged,
		c.panics, c.hangs, c.leftovers)
}

// eachJob runs a test for the chosen commands.
func eachJob(t *testing.T, chosen string, test func(t *testing.T, c *crasher)) {
	run := finishedRun(t)
	for _, job := range crashJobs() {
		if chosen != "" && !slices.Contains(strings.Split(chosen, ","), job.name) {
			continue
		}
		t.Run(job.name, func(t *testing.T) { test(t, newCrasher(t, job, run)) })
	}
}

// TestCrashKills kills each command up to three times, at random moments, and
// then lets it finish.
func TestCrashKills(t *testing.T) {
	eachJob(t, *killed, func(t *testing.T, c *crasher) {
		random := rand.New(rand.NewPCG(1, 2))
		n := 0
		for n < *kills && !t.Failed() {
			dir := c.folder(t.TempDir())
			for range 1 + random.IntN(3) {
				at := time.Duration(random.Float64() * float64(c.took))
				if r := c.execute(dir, max(at, 1)); r.code == 0 {
					break // it was faster
				} else if r.code > 0 {
					t.Errorf("exit status %d: %s", r.code, r.stderr)
				}
				n++
				c.whole(dir, "killed")
			}
			c.recovers(dir, "killed")
			if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
				t.Fatal(err)
			}
		}
		c.report(fmt.Sprintf("%d kills", n))
	})
}
