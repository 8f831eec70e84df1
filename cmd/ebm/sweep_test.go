package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/cmd/internal/assess"
	"ebm/internal/metrics"
	"ebm/internal/testkit"
	"ebm/mdsm/train"
)

// sweepArgs is a sweep that takes a moment: eight runs of a small energy of points.
func sweepArgs(out string, more ...string) []string {
	return append([]string{"sweep", "--data", "moons", "--points", "120", "--hidden", "4", "--set", "batch=16,8", "--set",
		"learning-rate=1e-3,1e-1", "--seeds", "2", "--steps", "6", "--checkpoint-every", "2", "--keep-checkpoints", "0", "--log-every", "1",
		"--quiet", "--out", out}, more...)
}

// swept is what sweep --json prints.
type swept struct {
	Results []assess.SettingResult `json:"results"`
	Runs    []assess.SweepRun      `json:"runs"`
}

func sweptBy(t *testing.T, args []string) (s swept) {
	t.Helper()
	if err := json.Unmarshal([]byte(mustRun(t, append(args, "--json")...)), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// lastHeldOut reads the last held-out loss of a run.
func lastHeldOut(t *testing.T, run string) float64 {
	t.Helper()
	records, err := metrics.ReadFile(filepath.Join(run, metrics.LinesFile))
	if err != nil {
		t.Fatal(err)
	}
	last := records[len(records)-1]
	v, ok := last.Values[train.HeldOutLoss]
	if !ok || last.Step != 6 {
		t.Fatalf("the last line of %s is of step %d, with a held-out loss %v, want one of step 6", run, last.Step, ok)
	}
	return v
}

// TestSweep compares the table with the runs' own metrics, and goes on after a kill:
// finished runs stay as they are, the broken one goes on from its checkpoint, and all
// have the bits of a sweep that nothing happened to.
func TestSweep(t *testing.T) {
	testkit.Long(t)
	whole, killed := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "killed")
	if text := mustRun(t, sweepArgs(whole, "--dry-run")...); strings.Count(text, "to do") != 8 {
		t.Errorf("--dry-run lists %q, want eight runs", text)
	}
	if _, err := os.Stat(whole); err == nil {
		t.Error("--dry-run made the folder")
	}
	s := sweptBy(t, sweepArgs(whole))
	if len(s.Runs) != 8 || len(s.Results) != 4 {
		t.Fatalf("%d runs of %d settings, want 8 of 4", len(s.Runs), len(s.Results))
	}
	for i, r := range s.Results {
		if r.Rank != i+1 || len(r.Seeds) != 2 || r.Steps != 6 || i > 0 && *r.HeldOut < *s.Results[i-1].HeldOut {
			t.Errorf("result %d is %+v", i, r)
		}
		a := lastHeldOut(t, filepath.Join(whole, folderOf(r.Set, 1)))
		b := lastHeldOut(t, filepath.Join(whole, folderOf(r.Set, 2)))
		if mean, deviation := (a+b)/2, math.Abs(a-b)/math.Sqrt2; math.Abs(*r.HeldOut-mean) > 1e-9*mean ||
			math.Abs(*r.Deviation-deviation) > 1e-9*mean {
			t.Errorf("%v has %g ± %g, want %g ± %g of %g and %g", r.Set, *r.HeldOut, *r.Deviation, mean, deviation, a, b)
		}
	}

	// A kill in the fourth run, after its checkpoint of step 4.
	if err := os.CopyFS(killed, os.DirFS(whole)); err != nil {
		t.Fatal(err)
	}
	state, err := assess.ReadSweep(killed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range state.Runs[3:] {
		r := &state.Runs[3+i]
		r.Done, r.HeldOut, r.Loss, r.Seconds = false, nil, nil, 0
		gone := filepath.Join(killed, r.Name)
		if i == 0 {
			gone = filepath.Join(gone, "checkpoints", "step-00000006")
		}
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
	}
	if err := state.Write(killed); err != nil {
		t.Fatal(err)
	}
	again := sweptBy(t, sweepArgs(killed))
	for i, r := range s.Runs {
		testkit.SameFiles(t, filepath.Join(killed, r.Name), filepath.Join(whole, r.Name), "checkpoints/step-00000006/model.safetensors")
		if *again.Runs[i].HeldOut != *r.HeldOut {
			t.Errorf("%s has the held-out loss %g after a kill, want %g", r.Name, *again.Runs[i].HeldOut, *r.HeldOut)
		}
		was, is := lines(t, whole, r.Name), lines(t, killed, r.Name)
		same := 0 // lines have the time at which they were written
		for same < min(len(was), len(is)) && was[same] == is[same] {
			same++
		}
		if want := []int{6, 6, 6, 4, 0, 0, 0, 0}[i]; same != want || len(is) != 6 {
			t.Errorf("%s has %d of its %d lines of metrics from before the kill, want %d of 6", r.Name, same, len(is), want)
		}
	}

	// It grows, and is no other sweep.
	if more := sweptBy(t, sweepArgs(killed, "--seeds", "1", "--set", "beta2=0.99")); len(more.Runs) != 12 {
		t.Errorf("the sweep has %d runs with four of another setting, want 12", len(more.Runs))
	}
	code, _, stderr := ebmRun(t, sweepArgs(killed, "--sigma0", "0.2")...)
	if want := "--sigma0 0.1, want 0.2: leave out --sigma0 to go on, or begin another sweep"; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("another sweep in the folder: exit status %d, %q, want 1 and %q", code, stderr, want)
	}
}

func lines(t *testing.T, dir, run string) []string {
	return strings.Split(strings.TrimSpace(string(testkit.Read(t, filepath.Join(dir, run, metrics.LinesFile)))), "\n")
}

// TestSweepFinalists gives the other seeds to the best setting of the first alone, and
// says of a setting that diverges that it did.
func TestSweepFinalists(t *testing.T) {
	testkit.Long(t)
	args := []string{"sweep", "--data", "moons", "--points", "60", "--hidden", "4", "--batch", "8", "--set", "learning-rate=1e-2,1e-3,1e30",
		"--schedule", "constant", "--seeds", "3", "--finalists", "1", "--time", "50ms", "--quiet", "--out", filepath.Join(t.TempDir(), "out")}
	s := sweptBy(t, args)
	if len(s.Runs) != 5 || len(s.Results) != 3 {
		t.Fatalf("%d runs of %d settings, want three and two more of the best", len(s.Runs), len(s.Results))
	}
	first := slices.IndexFunc(s.Results, func(r assess.SettingResult) bool { return len(r.Seeds) == 3 })
	last := s.Results[2]
	if first < 0 || last.Rank != 0 || !strings.Contains(last.Problem, "not finite") || last.Set["learning-rate"] != "1e+30" {
		t.Errorf("results are %+v, want three seeds of one, and a rate of 1e30 last", s.Results)
	}
	best := s.Results[first].Set
	for _, r := range s.Runs {
		if r.Steps < 1 || r.Seed > 1 && r.Set["learning-rate"] != best["learning-rate"] ||
			r.Set["learning-rate"] == best["learning-rate"] && r.Steps != s.Results[first].Steps {
			t.Errorf("run %+v, want the steps of its setting, and the best rate %v", r, best)
		}
	}
	if again := sweptBy(t, args); len(again.Runs) != 5 || *again.Results[0].HeldOut != *s.Results[0].HeldOut {
		t.Errorf("the finished sweep gives %+v", again)
	}
}

func TestSweepRefuses(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	for args, want := range map[string]string{
		"--steps 5 --set banana=1":                             "--set banana=1, want one of flip, batch",
		"--steps 5 --set data=a,b":                             "--set data=a,b, want one of",
		"--steps 5 --set seed=1,2":                             "--set seed=1,2, want one of",
		"--steps 5 --set batch":                                "--set batch, want NAME=VALUE",
		"--steps 5 --set batch=8,many":                         "--set batch=8,many",
		"--steps 5 --set batch=8,0":                            "--set with batch 0: --batch 0, want a number from 1",
		"--steps 5 --set batch=8,8":                            "twice",
		"--steps 5 --set batch=8 --batch 4":                    "--set batch=8 is given beside",
		"--steps 5 --set batch=8 --set batch=4":                "--set batch=4 is given beside",
		"--steps 5 --set sigma-min=0.1,9 --set sigma-max=1":    "--sigma-min 9, want a positive number up to the largest level, 1",
		"--set batch=8":                                        "--time or --steps",
		"--steps 5 --time 1m --set batch=8":                    "--time or --steps",
		"--time -1m --set batch=8":                             "--time -1m0s",
		"--steps 5 --seeds 0":                                  "--seeds 0",
		"--steps 5 --set activation=elu,wave --set batch=8":    `--activation "wave", want one of`,
		"--steps 5 --set weighting=uniform,inverse --batch=-2": "--batch -2",
	} {
		code, _, stderr := ebmRun(t, append([]string{"sweep", "--preset", "demo", "--out", out}, strings.Fields(args)...)...)
		if code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("sweep %s: exit status %d, %q, want 2 and %q", args, code, stderr, want)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a sweep that was refused made its folder")
	}
}
